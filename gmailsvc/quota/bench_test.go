package quota_test

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// BenchmarkAcquire is what a call that does not have to wait pays for its permit, from Acquire to Done.
func BenchmarkAcquire(b *testing.B) {
	for _, users := range []int{1, 100_000} {
		b.Run(fmt.Sprintf("users=%d/by=mailgrant", users), func(b *testing.B) {
			l := newLimiter(b, quota.Config{PerUser: 1 << 30, PerProject: 1 << 30})
			requests := make([]quota.Request, users)
			for i := range requests {
				requests[i] = quota.Request{User: strconv.Itoa(i), Units: 1}
				acquire(b, l, requests[i]).Done()
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p, err := l.Acquire(b.Context(), requests[i%users])
				if err != nil {
					b.Fatal(err)
				}
				p.Done(quota.Outcome{})
			}
		})
	}
}

// BenchmarkAcquireInParallel has a goroutine on each core use the same Limiter, each for a user of its own.
func BenchmarkAcquireInParallel(b *testing.B) {
	b.Run("by=mailgrant", func(b *testing.B) {
		l := newLimiter(b, quota.Config{PerUser: 1 << 30, PerProject: 1 << 30})
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			r := quota.Request{User: strconv.FormatInt(time.Now().UnixNano(), 36), Units: 1}
			for pb.Next() {
				p, err := l.Acquire(b.Context(), r)
				if err != nil {
					b.Error(err)
					return
				}
				p.Done(quota.Outcome{})
			}
		})
	})
}

// BenchmarkAcquireThatWaits has 1,000 calls wait for one user, so that each Acquire is let go by the Done of
// another one.
func BenchmarkAcquireThatWaits(b *testing.B) {
	b.Run("by=mailgrant", func(b *testing.B) {
		l := newLimiter(b, quota.Config{PerUser: 1 << 30, PerProject: 1 << 30})
		b.ReportAllocs()
		b.SetParallelism(1000)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				p, err := l.Acquire(b.Context(), quota.Request{User: "ada", Units: 1})
				if err != nil {
					b.Error(err)
					return
				}
				p.Done(quota.Outcome{})
			}
		})
	})
}

// BenchmarkUser is what each of 100,000 users takes of memory who has made a call within the last minute.
func BenchmarkUser(b *testing.B) {
	const users = 100_000
	names := make([]string, users)
	for i := range names {
		names[i] = fmt.Sprintf("%021d", i) // as long as Google's
	}
	b.Run("by=mailgrant", func(b *testing.B) {
		for b.Loop() {
			before := heap()
			l := newLimiter(b, quota.Config{PerProject: -1})
			for _, name := range names {
				acquire(b, l, quota.Request{User: name, Units: 20}).Done()
			}
			b.ReportMetric(float64(heap()-before)/users, "B/user")
			runtime.KeepAlive(l)
		}
	})
}
