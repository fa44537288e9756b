package quota_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

func TestEstimateSaysWhenWorkWillBeDone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg    quota.Config
		before func(t *testing.T, l *quota.Limiter)
		calls  int // of 20 units, one after the other
		class  quota.Class
	}{
		"of one call":                   {calls: 1},
		"of a second's worth":           {calls: 5},
		"of a hundred calls":            {calls: 100},
		"of ten thousand calls":         {calls: 10_000},
		"of a person's call":            {calls: 1, class: quota.Interactive},
		"of a person's minute":          {calls: 300, class: quota.Interactive},
		"of a person's second minute":   {calls: 301, class: quota.Interactive},
		"of a person's ten minutes":     {calls: 3000, class: quota.Interactive},
		"when the project is the limit": {cfg: quota.Config{PerProject: 600}, calls: 300},
		"after most of the minute was spent": {calls: 200, before: func(t *testing.T, l *quota.Limiter) {
			t.Helper()
			spend(t, l, quota.Request{User: "ada", Units: 5000, Class: quota.Interactive})
			time.Sleep(10 * time.Second)
		}},
		"after others spent the project's minute": {cfg: quota.Config{PerProject: 6000}, calls: 200, before: func(t *testing.T, l *quota.Limiter) {
			t.Helper()
			spend(t, l, quota.Request{User: "bob", Units: 5000, Class: quota.Interactive})
			time.Sleep(10 * time.Second)
		}},
		"during a pause": {calls: 10, before: func(t *testing.T, l *quota.Limiter) {
			t.Helper()
			acquire(t, l, quota.Request{User: "ada", Units: 20}).Done(
				quota.Outcome{Rejected: quota.UserRate, RetryAfter: 20 * time.Second})
		}},
		"behind others that wait for the project": {cfg: quota.Config{PerProject: 6000}, calls: 50, before: func(t *testing.T, l *quota.Limiter) {
			t.Helper()
			spend(t, l, quota.Request{User: "bob", Units: 6000, Class: quota.Interactive})
			for range 20 {
				go func() {
					if p, err := l.Acquire(t.Context(), quota.Request{User: "bob", Units: 100}); err == nil {
						p.Done()
					}
				}()
			}
			synctest.Wait()
		}},
		"when others have waited in vain": {calls: 50, before: func(t *testing.T, l *quota.Limiter) {
			t.Helper()
			all := acquire(t, l, quota.Request{User: "ada", Calls: 100}) // that may be in flight
			ctx, cancel := context.WithCancel(t.Context())
			for range 10 {
				go func() {
					if _, err := l.Acquire(ctx, quota.Request{User: "ada", Units: 500}); err == nil {
						t.Error("did not wait")
					}
				}()
			}
			synctest.Wait()
			cancel()
			synctest.Wait()
			all.Done()
		}},
		"behind others that wait": {calls: 50, before: func(t *testing.T, l *quota.Limiter) {
			t.Helper()
			for range 100 {
				go func() {
					if p, err := l.Acquire(t.Context(), quota.Request{User: "ada", Units: 20}); err == nil {
						p.Done()
					}
				}()
			}
			synctest.Wait()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, tc.cfg)
				if tc.before != nil {
					tc.before(t, l)
				}
				begun := time.Now()
				estimate := l.Estimate(quota.Request{User: "ada", Units: 20 * tc.calls, Class: tc.class})
				var wg sync.WaitGroup
				wg.Go(func() {
					for range tc.calls {
						spend(t, l, quota.Request{User: "ada", Units: 20, Class: tc.class})
					}
				})
				wg.Wait()
				took := time.Since(begun)
				if off := (took - estimate).Abs(); off > took/50+500*time.Millisecond {
					t.Errorf("estimated %v, took %v", estimate, took)
				}
			})
		})
	}
}

func TestEstimateReservesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{PerUser: 100})
		r := quota.Request{User: "ada", Units: 100}
		for range 10 {
			if got := l.Estimate(r); got > time.Minute {
				t.Errorf("estimated %v", got)
			}
			l.BatchSize(r)
		}
		if got := spend(t, l, r); got != 0 {
			t.Errorf("went at %v", got)
		}
	})
}

func TestBatchesAreAsLargeAsTheQuotaHasRoom(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg   quota.Config
		spent int // before, by a person
		r     quota.Request
		want  int
	}{
		"a second's worth of messages":             {r: quota.Request{Units: 20}, want: 5},
		"a second's worth of threads":              {r: quota.Request{Units: 40}, want: 2},
		"one of what is dearer than a second":      {r: quota.Request{Units: 120}, want: 1},
		"all that may be in flight, of cheap ones": {r: quota.Request{Units: 1}, want: 25},
		"of what costs nothing too":                {r: quota.Request{}, want: 25},
		"before 2026":                              {cfg: quota.Config{PerUser: 15_000}, r: quota.Request{Units: 5}, want: 25},
		"for a person, what the minute has left":   {spent: 5700, r: quota.Request{Units: 20, Class: quota.Interactive}, want: 15},
		"for a person, at least as for others":     {spent: 5990, r: quota.Request{Units: 20, Class: quota.Interactive}, want: 5},
		"for a person, no more than in flight":     {r: quota.Request{Units: 20, Class: quota.Interactive}, want: 25},
		"without limits, no more than in flight":   {cfg: quota.Config{PerUser: -1, BatchSize: 50}, r: quota.Request{Units: 20}, want: 50},
		"when the project has less":                {cfg: quota.Config{PerProject: 2400}, r: quota.Request{Units: 20}, want: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, tc.cfg)
				tc.r.User = "ada"
				if tc.spent > 0 {
					spend(t, l, quota.Request{User: "ada", Units: tc.spent, Class: quota.Interactive})
				}
				if got := l.BatchSize(tc.r); got != tc.want {
					t.Errorf("batches of %d, want %d", got, tc.want)
				}
			})
		})
	}
}
