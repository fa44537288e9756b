package quota_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

func acquire(t testing.TB, l *quota.Limiter, r quota.Request) *quota.Permit {
	t.Helper()
	p, err := l.Acquire(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// spend acquires and is done at once, and returns when that was.
func spend(t testing.TB, l *quota.Limiter, r quota.Request) time.Duration {
	t.Helper()
	acquire(t, l, r).Done(quota.Outcome{})
	return time.Since(epoch)
}

// minuteAndMargin is when units that were spent at once come back.
const minuteAndMargin = time.Minute + 300*time.Millisecond

func TestBackgroundWorkIsSpreadEvenly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{})
		for i := range 100 {
			// A second's worth goes at once, and then a call in every 20/6,000 of a minute.
			want := max(0, time.Duration(i)*minuteAndMargin/300-time.Second)
			if got := spend(t, l, quota.Request{User: "ada", Units: 20}); got.Round(time.Microsecond) != want.Round(time.Microsecond) {
				t.Fatalf("call %d went at %v, want %v", i, got, want)
			}
		}
	})
}

func TestAPersonMaySpendTheMinuteAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{})
		for i := range 900 {
			want := time.Duration(i/300) * minuteAndMargin // at full minutes nothing is rounded
			got := spend(t, l, quota.Request{User: "ada", Units: 20, Class: quota.Interactive})
			if got < want || got > want+time.Second {
				t.Fatalf("call %d went at %v, want %v", i, got, want)
			}
		}
	})
}

func TestUnitsComeBackAMinuteAfterTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{PerUser: 100})
		r := quota.Request{User: "ada", Units: 100, Class: quota.Interactive}
		p := acquire(t, l, r)
		time.Sleep(10 * time.Second)
		p.Done()
		p.Done() // has no effect
		p.Cancel()
		if got, want := spend(t, l, r), 10*time.Second+minuteAndMargin; got != want {
			t.Errorf("the next went at %v, want %v", got, want)
		}
	})
}

func TestCancelGivesBackWhatWasNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{PerUser: 100})
		for _, class := range []quota.Class{quota.Interactive, quota.Background} {
			for range 10 {
				p := acquire(t, l, quota.Request{User: "ada", Units: 100, Class: class})
				p.Cancel()
				p.Cancel() // has no effect
				p.Done()
			}
		}
		if got := spend(t, l, quota.Request{User: "ada", Units: 100}); got != 0 {
			t.Errorf("after canceled permits the next went at %v", got)
		}
	})
}

func TestAWaitThatIsCancelledLetsTheNextGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{PerUser: 100})
		acquire(t, l, quota.Request{User: "ada", Units: 60, Class: quota.Interactive}).Done()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := l.Acquire(ctx, quota.Request{User: "ada", Units: 100, Class: quota.Interactive})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the canceled wait ended with %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if got := spend(t, l, quota.Request{User: "ada", Units: 40, Class: quota.Interactive}); got != 5*time.Second {
				t.Errorf("the call behind the canceled one went at %v, want 5s", got)
			}
		})
		time.Sleep(5 * time.Second)
		cancel()
		wg.Wait()
		if _, err := l.Acquire(ctx, quota.Request{User: "bob"}); !errors.Is(err, context.Canceled) {
			t.Errorf("Acquire with a context that has ended: %v", err)
		}
	})
}

// Whoever goes away in the very moment in which he is let go, or sent to the Pool, takes nothing along.
func TestAWaitMayEndInTheMomentOfItsPermit(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]quota.Config{
		"in one process": {PerUser: 100},
		"with a pool":    {PerUser: 100, Pool: newLedger(0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, cfg)
				r := quota.Request{User: "ada", Units: 100, Class: quota.Interactive}
				for range 200 {
					p := acquire(t, l, r)
					ctx, cancel := context.WithCancel(t.Context())
					go func() {
						if p, err := l.Acquire(ctx, r); err == nil {
							p.Cancel()
						}
					}()
					time.Sleep(2 * time.Second) // for longer than a grant lasts
					cancel()                    // the waiter has hardly begun to leave when there is room
					p.Cancel()
					synctest.Wait()
				}
				begun := time.Since(epoch)
				if took := spend(t, l, r) - begun; took > 0 {
					t.Errorf("then %v went by until there was room", took)
				}
			})
		})
	}
}

func TestTheProjectHasALimitOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{PerUser: 100, PerProject: 300})
		var wg sync.WaitGroup
		var mu sync.Mutex
		went := make(map[time.Duration]int)
		for _, user := range []string{"ada", "bob", "cem", "dan", "eve", "fay", "gil", "hal"} {
			wg.Go(func() {
				at := spend(t, l, quota.Request{User: user, Units: 100, Class: quota.Interactive})
				mu.Lock()
				defer mu.Unlock()
				went[at.Truncate(time.Second)]++
			})
		}
		wg.Wait()
		if went[0] != 3 || went[time.Minute] != 3 || went[2*time.Minute] != 2 {
			t.Errorf("of eight users' calls so many went in each minute: %v; want 3, 3, 2", went)
		}
	})
}

func TestWithoutLimitsNothingWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{PerUser: -1, PerProject: -1})
		for range 1000 {
			if got := spend(t, l, quota.Request{User: "ada", Units: 1_000_000}); got != 0 {
				t.Fatalf("went at %v", got)
			}
		}
	})
}

func TestAcquireRefusesWhatCanNeverGo(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]quota.Config{
		"for the user":    {PerUser: 99, PerProject: 1000},
		"for the project": {PerUser: 1000, PerProject: 99},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newLimiter(t, cfg).Acquire(t.Context(), quota.Request{User: "ada", Units: 100})
			dear, ok := errors.AsType[*quota.CostError](err)
			if !ok || dear.Units != 100 || dear.Limit != 99 || !strings.Contains(err.Error(), "99 units a minute; split it") {
				t.Errorf("%v, want a *CostError of 100 against 99", err)
			}
			if ok && dear.LogValue().String() != "[units=100 limit=99]" {
				t.Errorf("logged as %v", dear.LogValue())
			}
		})
	}
}

func TestNewRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg   quota.Config
		field string
	}{
		"too many units for a user":      {quota.Config{PerUser: 1 << 31}, "PerUser"},
		"too many units for the project": {quota.Config{PerProject: 1 << 31}, "PerProject"},
		"negative concurrency":           {quota.Config{Concurrency: -1}, "Concurrency"},
		"concurrency without end":        {quota.Config{Concurrency: 1001}, "Concurrency"},
		"negative batches":               {quota.Config{BatchSize: -1}, "BatchSize"},
		"batches without end":            {quota.Config{BatchSize: 1001}, "BatchSize"},
		"more than all without the pool": {quota.Config{PoolShare: 1.5}, "PoolShare"},
		"no share at all":                {quota.Config{PoolShare: math.NaN()}, "PoolShare"},
		"a minute of no length":          {quota.Config{Window: time.Millisecond}, "Window"},
		"a minute that runs backwards":   {quota.Config{Window: -time.Minute}, "Window"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := quota.New(tc.cfg)
			bad, ok := errors.AsType[*quota.ConfigError](err)
			if !ok || l != nil || bad.Field != tc.field || !strings.Contains(err.Error(), tc.field+" is ") {
				t.Fatalf("%v, want a *ConfigError of %s and no Limiter", err, tc.field)
			}
			if bad.LogValue().String() != err.Error() {
				t.Errorf("logged as %q, want %q", bad.LogValue(), err)
			}
		})
	}
}
