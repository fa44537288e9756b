package quota_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

func TestARejectionMakesForQuiet(t *testing.T) {
	t.Parallel()
	rate := func(after time.Duration) quota.Outcome {
		return quota.Outcome{Rejected: quota.UserRate, RetryAfter: after}
	}
	for name, tc := range map[string]struct {
		outcomes []quota.Outcome // of one call after the other
		quiet    []time.Duration // after each
	}{
		"for as long as Google says":              {[]quota.Outcome{rate(7 * time.Second)}, []time.Duration{7 * time.Second}},
		"for longer than a minute, if it says so": {[]quota.Outcome{rate(15 * time.Minute)}, []time.Duration{15 * time.Minute}},
		"for a second, twice as long each time": {
			[]quota.Outcome{rate(0), rate(0), rate(0), rate(0), rate(0), rate(0), rate(0), rate(0)},
			[]time.Duration{
				time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second,
				time.Minute, time.Minute,
			},
		},
		"for a second again after a success": {
			[]quota.Outcome{rate(0), rate(0), {}, rate(0)},
			[]time.Duration{time.Second, 2 * time.Second, 0, time.Second},
		},
		"where too much was in flight": {[]quota.Outcome{{Rejected: quota.Concurrency}}, []time.Duration{time.Second}},
		"in the whole project": {
			[]quota.Outcome{{Rejected: quota.ProjectRate}, {Rejected: quota.ProjectRate}, {}, {Rejected: quota.ProjectRate}},
			[]time.Duration{time.Second, 2 * time.Second, 0, time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, quota.Config{})
				for i, o := range tc.outcomes {
					time.Sleep(time.Second) // so that no pace is in the way
					acquire(t, l, quota.Request{User: "ada", Units: 1}).Done(o)
					rejected := time.Since(epoch)
					p := acquire(t, l, quota.Request{User: "ada", Units: 1})
					if quiet := time.Since(epoch) - rejected; quiet != tc.quiet[i] {
						t.Errorf("after outcome %d quiet for %v, want %v", i+1, quiet, tc.quiet[i])
					}
					p.Cancel()
				}
			})
		})
	}
}

func TestAnOldCallsRejectionMakesForQuietToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{})
		r := quota.Request{User: "ada", Units: 1}
		old := acquire(t, l, r)
		acquire(t, l, r).Done(quota.Outcome{Rejected: quota.UserRate})
		spend(t, l, r)
		time.Sleep(time.Second)
		spend(t, l, r)
		old.Done(quota.Outcome{Rejected: quota.UserRate})
		begun := time.Since(epoch)
		if quiet := spend(t, l, r) - begun; quiet != time.Second {
			t.Errorf("quiet for %v, want 1s", quiet)
		}
	})
}

func TestAProjectsRejectionConcernsEveryUserAndAUsersOnlyThatOne(t *testing.T) {
	t.Parallel()
	for rejected, want := range map[quota.Rejection]time.Duration{
		quota.UserRate:    0,
		quota.Concurrency: 0,
		quota.ProjectRate: time.Second,
	} {
		t.Run(rejected.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, quota.Config{})
				acquire(t, l, quota.Request{User: "ada", Units: 1}).Done(quota.Outcome{Rejected: rejected})
				if got := spend(t, l, quota.Request{User: "bob", Units: 1}); got != want {
					t.Errorf("another user's call went after %v, want %v", got, want)
				}
			})
		})
	}
}

func TestAcquireDoesNotWaitForAPauseBeyondItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{})
		acquire(t, l, quota.Request{User: "ada"}).Done(quota.Outcome{Rejected: quota.UserRate, RetryAfter: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), 59*time.Second)
		defer cancel()
		_, err := l.Acquire(ctx, quota.Request{User: "ada"})
		paused, ok := errors.AsType[*quota.PausedError](err)
		if !ok || paused.User != "ada" || paused.For != time.Minute || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%v, want a *PausedError of ada's minute", err)
		}
		if !strings.Contains(err.Error(), `user "ada"`) || paused.LogValue().String() != "[user=ada for=1m0s]" {
			t.Errorf("text %q, logged as %v", err, paused.LogValue())
		}
		acquire(t, l, quota.Request{User: "bob"}).Done(quota.Outcome{Rejected: quota.ProjectRate, RetryAfter: time.Minute})
		if _, err := l.Acquire(ctx, quota.Request{User: "cem"}); !errors.As(err, &paused) || paused.User != "cem" {
			t.Errorf("when the project is to be quiet, another user's call: %v", err)
		}
		if took := time.Since(epoch); took != 0 {
			t.Errorf("waited for %v", took)
		}
		enough, cancel := context.WithTimeout(t.Context(), time.Minute+time.Nanosecond)
		defer cancel()
		if _, err := l.Acquire(enough, quota.Request{User: "ada"}); err != nil || time.Since(epoch) != time.Minute {
			t.Errorf("with time enough: %v after %v", err, time.Since(epoch))
		}
	})
}

// perMinute runs calls of 20 units, one after the other for as many minutes, and returns how many Google let
// through in each.
func perMinute(t *testing.T, l *quota.Limiter, minutes int, call func(minute int) quota.Outcome) []int {
	t.Helper()
	through := make([]int, minutes)
	for {
		p := acquire(t, l, quota.Request{User: "ada", Units: 20})
		minute := int(time.Since(epoch).Minutes())
		if minute >= minutes {
			p.Cancel()
			return through
		}
		o := call(minute)
		if o.Rejected == quota.NotRejected {
			through[minute]++
		}
		p.Done(o)
	}
}

func TestTheBudgetGoesDownWithRejectionsAndUpAgainWithout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{})
		rejections := 0
		through := perMinute(t, l, 10, func(minute int) quota.Outcome {
			if minute == 2 && rejections == 0 {
				rejections++
				return quota.Outcome{Rejected: quota.UserRate, RetryAfter: time.Millisecond}
			}
			return quota.Outcome{}
		})
		t.Log(through)
		if full := through[1]; full < 297 {
			t.Errorf("before the rejection %d calls a minute", full)
		}
		if cut := through[2] + through[3]; cut > 500 || cut < 450 {
			t.Errorf("after the rejection %d calls in two minutes, want between 80 and 90 %% of 600", cut)
		}
		if back := through[8]; back < 297 {
			t.Errorf("six minutes after the rejection %d calls a minute", back)
		}
	})
}

func TestPausesStayAMinuteHoweverLongGoogleRejects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{})
		r := quota.Request{User: "ada", Units: 20, Class: quota.Interactive}
		for i := range 300 {
			begun := time.Since(epoch)
			acquire(t, l, r).Done(quota.Outcome{Rejected: quota.UserRate})
			if got := l.BatchSize(r); got > 5 {
				t.Fatalf("during the pause batches of %d, more than of a second's worth", got)
			}
			if paused := time.Since(epoch) - begun; i > 7 && paused != time.Minute {
				t.Fatalf("rejection %d came after a pause of %v", i, paused)
			}
		}
	})
}

func TestWhatIsDearGoesWhateverIsLeftOfTheBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{})
		for range 30 {
			acquire(t, l, quota.Request{User: "ada", Units: 20, Class: quota.Interactive}).Done(
				quota.Outcome{Rejected: quota.UserRate, RetryAfter: time.Nanosecond})
			time.Sleep(time.Nanosecond)
		}
		begun := time.Since(epoch)
		// A twentieth of 6,000 units is left, and is tried again bit by bit.
		if took := spend(t, l, quota.Request{User: "ada", Units: 500}) - begun; took > 2*time.Minute {
			t.Errorf("a batch of 500 units went after %v", took)
		}
	})
}

// Somebody else, of whom the Limiter does not know, spends half of the user's quota.
func TestTheBudgetFindsWhatOthersLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{})
		g := newGoogle(sliding{}, 50*time.Millisecond)
		g.limit = 3000
		calls := 0
		through := perMinute(t, l, 60, func(int) quota.Outcome {
			calls++
			return g.call("ada", 20, 1)
		})
		used := 0
		for _, n := range through[5:] {
			used += n
		}
		t.Logf("%d of %d calls were rejected; then %.1f %% of what is left was used", g.rejected, calls, float64(used)/55/1.5)
		if used < 55*150*70/100 {
			t.Errorf("%d calls went through in 55 minutes, less than 70 %% of what others leave", used)
		}
		if g.rejected > calls/50 {
			t.Errorf("%d of %d calls were rejected, more than 2 %%", g.rejected, calls)
		}
	})
}

func TestCallsInFlightAdapt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{PerUser: -1})
		r := quota.Request{User: "ada", Units: 20, Class: quota.Interactive}
		if got := l.BatchSize(r); got != 25 {
			t.Fatalf("at first batches of %d, want 25", got)
		}
		var permits []*quota.Permit
		for range 5 {
			permits = append(permits, acquire(t, l, r))
		}
		for _, p := range permits { // five that were in flight together teach one lesson
			p.Done(quota.Outcome{Rejected: quota.Concurrency})
		}
		if got := l.BatchSize(r); got != 12 {
			t.Errorf("after a rejection batches of %d, want 12", got)
		}
		acquire(t, l, r).Done(quota.Outcome{}, quota.Outcome{Rejected: quota.Concurrency})
		if got := l.BatchSize(r); got != 6 {
			t.Errorf("after a second one batches of %d, want 6", got)
		}
		for range 10 {
			acquire(t, l, r).Done(quota.Outcome{Rejected: quota.Concurrency})
		}
		if got := l.BatchSize(r); got > 2 {
			t.Errorf("after many more batches of %d, want at most 2", got)
		}
		time.Sleep(15 * time.Minute)
		if got := l.BatchSize(r); got != 25 {
			t.Errorf("after a quarter of an hour batches of %d, want 25", got)
		}
	})
}

func TestALimiterFindsHowManyCallsGoogleBears(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{PerUser: -1})
		g := newGoogle(sliding{}, 200*time.Millisecond)
		g.limit, g.most = 0, 10
		var wg sync.WaitGroup
		calls := 0
		wg.Go(func() {
			for time.Since(epoch) < time.Hour {
				n := l.BatchSize(quota.Request{User: "ada", Units: 20})
				p := acquire(t, l, quota.Request{User: "ada", Units: n * 20, Calls: n})
				p.Done(g.call("ada", n*20, n))
				calls++
			}
		})
		wg.Wait()
		t.Logf("%d of %d batches were rejected, %.1f messages a batch", g.rejected, calls, float64(g.units)/20/float64(calls))
		if g.rejected > calls/100 {
			t.Errorf("%d of %d batches were rejected, more than 1 %%", g.rejected, calls)
		}
		if mean := float64(g.units) / 20 / float64(calls); mean < 6 {
			t.Errorf("%.1f messages a batch, where 10 are possible", mean)
		}
	})
}
