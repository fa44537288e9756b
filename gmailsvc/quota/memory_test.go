package quota_test

import (
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

func TestUsersWhoAreGoneAreForgotten(t *testing.T) {
	t.Parallel()
	const users = 250_000
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{})
		before := heap()
		for i := range users {
			acquire(t, l, quota.Request{User: strconv.Itoa(i), Units: 5}).Done(quota.Outcome{})
			time.Sleep(10 * time.Millisecond) // so that some 6,000 are within their minute
		}
		// To remember a user takes 200 bytes. Other tests at the same time have some heap, too.
		if grown := heap() - before; grown > users*100 {
			t.Errorf("after %d users the heap has grown by %d KB", users, grown>>10)
		}
		runtime.KeepAlive(l)
	})
}

// A user whom Google has silenced, or who has calls under way, must not come back as somebody new.
func TestUsersWhoMatterAreNotForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{PerUser: 100, PerProject: -1})
		var permits []*quota.Permit
		for i := range 100 {
			user := strconv.Itoa(i)
			acquire(t, l, quota.Request{User: "flying " + user, Units: 100}) // not done
			permits = append(permits, acquire(t, l, quota.Request{User: "busy with little " + user, Calls: 1000}))
			acquire(t, l, quota.Request{User: "silenced " + user}).Done(
				quota.Outcome{Rejected: quota.UserRate, RetryAfter: 30 * time.Minute})
		}
		time.Sleep(20 * time.Minute)
		for i := range 10_000 {
			acquire(t, l, quota.Request{User: "passing " + strconv.Itoa(i), Units: 1}).Done()
		}
		for i := range 100 {
			user := strconv.Itoa(i)
			if got := l.Estimate(quota.Request{User: "flying " + user, Units: 1}); got < time.Minute {
				t.Fatalf("a user with 100 units under way may spend more in %v", got)
			}
			if got := l.Estimate(quota.Request{User: "silenced " + user}); got != 10*time.Minute {
				t.Fatalf("a user silenced for 10 minutes more may call again in %v", got)
			}
			if inFlight(t, l, "busy with little "+user) == 0 {
				t.Fatal("a user with as many calls in flight as allowed may make more")
			}
		}
		for _, p := range permits {
			p.Done()
		}
	})
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
