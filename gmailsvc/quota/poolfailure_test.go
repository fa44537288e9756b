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

func TestWithoutItsPoolALimiterKeepsToItsShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newLedger(time.Millisecond)
		p.setDown(true)
		l := newLimiter(t, quota.Config{Pool: p, PoolShare: 0.25})
		calls := func(until time.Duration) (n int) {
			for time.Since(epoch) < until {
				spend(t, l, quota.Request{User: "ada", Units: 20})
				n++
			}
			return n
		}
		if n := calls(10 * time.Minute); n < 10*75*96/100 || n > 10*75+2 {
			t.Errorf("%d calls in ten minutes, want about a quarter of 3,000", n)
		}
		p.setDown(false)
		back := time.Since(epoch)
		calls(back + 5*time.Second)
		all := p.reservations()
		if len(all) == 0 || all[0].Unasked < 1400 || all[0].Unasked > 1500 {
			t.Fatalf("the first reservation afterwards: %+v; want it to tell of the last minute's 1,500 units", all)
		}
		for _, r := range all[1:] {
			if r.Unasked != 0 {
				t.Errorf("a later one tells of %d units once more", r.Unasked)
			}
		}
		if n := calls(back + 10*time.Minute); n < 9*300 {
			t.Errorf("%d calls in ten minutes with the pool, less than %d", n, 9*300)
		}
	})
}

func TestWhoWaitsWithoutThePoolGoesWhenItIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newLedger(time.Millisecond)
		p.setDown(true)
		l := newLimiter(t, quota.Config{Pool: p, PoolShare: 0.01})
		r := quota.Request{User: "ada", Units: 60, Class: quota.Interactive}
		spend(t, l, r) // all of the share
		time.AfterFunc(5*time.Second, func() { p.setDown(false) })
		if at := spend(t, l, r); at < 5*time.Second || at > 7*time.Second {
			t.Errorf("went at %v, want a second after the fifth", at)
		}
	})
}

func TestWithoutItsPoolALimiterWithoutAShareFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newLedger(time.Millisecond)
		l := newLimiter(t, quota.Config{Pool: p, PoolShare: -1})
		p.setDown(true)
		for range 2 {
			_, err := l.Acquire(t.Context(), quota.Request{User: "ada", Units: 20})
			failed, ok := errors.AsType[*quota.PoolError](err)
			if !ok || !errors.Is(err, errDown) || failed.LogValue().String() != err.Error() {
				t.Errorf("%v, want a *PoolError of the pool's", err)
			}
		}
		if _, err := l.Acquire(t.Context(), quota.Request{User: "ada"}); err != nil {
			t.Errorf("what costs nothing: %v", err)
		}
		p.setDown(false)
		if _, err := l.Acquire(t.Context(), quota.Request{User: "ada", Units: 20}); err != nil {
			t.Errorf("after the pool has come back: %v", err)
		}
	})
}

func TestWhoeverAsksThePoolMayGoAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newLedger(800 * time.Millisecond)
		l := newLimiter(t, quota.Config{Pool: p})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := l.Acquire(ctx, quota.Request{User: "ada", Units: 20}); !errors.Is(err, context.Canceled) {
				t.Errorf("the one who went away: %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if at := spend(t, l, quota.Request{User: "ada", Units: 20}); at != 1300*time.Millisecond {
				t.Errorf("the one behind went at %v, want 1.3s", at)
			}
		})
		time.Sleep(500 * time.Millisecond)
		cancel()
		wg.Wait()
	})
}

func TestAPoolThatIsTooSlowIsAsGoodAsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{Pool: newLedger(time.Second)}) // for which its grants last
		if at := spend(t, l, quota.Request{User: "ada", Units: 20}); at != time.Second {
			t.Errorf("went at %v, want 1s", at)
		}
		_, err := newLimiter(t, quota.Config{Pool: newLedger(time.Second), PoolShare: -1}).
			Acquire(t.Context(), quota.Request{User: "ada", Units: 20})
		if err == nil || !strings.Contains(err.Error(), "too late") {
			t.Errorf("without a share: %v", err)
		}
	})
}

// A careless pool grants nothing, and does not say when to ask again.
type careless struct{ asked int }

func (p *careless) Reserve(context.Context, quota.Reservation) (quota.Grant, error) {
	p.asked++
	return quota.Grant{}, nil
}

func TestACarelessPoolIsNotAskedWithoutEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := new(careless)
		l := newLimiter(t, quota.Config{Pool: p})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := l.Acquire(ctx, quota.Request{User: "ada", Units: 20}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the deadline's error", err)
		}
		if p.asked < 2 || p.asked > 101 {
			t.Errorf("asked %d times in 100 ms", p.asked)
		}
	})
}
