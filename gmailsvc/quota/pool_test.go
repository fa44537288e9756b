package quota_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// Four Limiters read 3,000 messages of one user, which at 97 % of the quota takes 10.3 minutes.
func TestAFleetReadsAtTheSpeedOfTheQuota(t *testing.T) {
	t.Parallel()
	for _, m := range []minute{sliding{}, fixed{31}, bucket{}} {
		for _, class := range []quota.Class{quota.Background, quota.Interactive} {
			t.Run(fmt.Sprintf("%T%v %v", m, m, class), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					g := newGoogle(m, 100*time.Millisecond)
					p := newLedger(time.Millisecond)
					left := atomic.Int64{}
					left.Store(3000)
					var wg sync.WaitGroup
					for range 4 {
						l := newLimiter(t, quota.Config{Pool: p})
						for range 5 {
							wg.Go(func() {
								for left.Add(-1) >= 0 {
									p := acquire(t, l, quota.Request{User: "ada", Units: 20, Class: class})
									p.Done(g.call("ada", 20, 1))
								}
							})
						}
					}
					wg.Wait()
					took := time.Since(epoch)
					if g.rejected > 0 || g.units != 60_000 {
						t.Errorf("%d calls were rejected, %d units let through", g.rejected, g.units)
					}
					if took.Minutes() > 10.31 {
						t.Errorf("took %.2f minutes, more than 10.31", took.Minutes())
					}
					t.Logf("took %.2f minutes and %d reservations", took.Minutes(), len(p.reservations()))
				})
			})
		}
	}
}

func TestAReservationIsOfWhatCanBeUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newLedger(10 * time.Millisecond)
		l := newLimiter(t, quota.Config{Pool: p})
		want := func(when string, reservations ...string) {
			t.Helper()
			var got []string
			for _, r := range p.reservations() {
				got = append(got, fmt.Sprintf("%d-%d %v", r.Need, r.Want, r.Reports))
			}
			if all := strings.Join(got, ", "); all != strings.Join(reservations, ", ") {
				t.Errorf("%s: %s; want %s", when, all, strings.Join(reservations, ", "))
			}
		}
		r := quota.Request{User: "ada", Units: 20, Class: quota.Interactive}
		first := acquire(t, l, r)
		want("a single call", "20-20 []")

		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				p := acquire(t, l, r)
				time.Sleep(100 * time.Millisecond)
				p.Done()
			})
		}
		synctest.Wait()
		time.Sleep(50 * time.Millisecond)
		// Twice as much each time, for as long as it is used up. The call that is under way is not reported yet.
		want("a crowd", "20-40 []", "20-80 []")
		first.Done()
		wg.Wait()
		if all := p.reservations(); len(all) == 0 || all[0].Reports[0] != (quota.Report{ID: 1, Spent: 20}) {
			t.Errorf("what was spent meanwhile was reported in %+v", all)
		}

		time.Sleep(2 * time.Minute)
		for range 10 {
			wg.Go(func() {
				p := acquire(t, l, quota.Request{User: "bob", Units: 20})
				time.Sleep(100 * time.Millisecond)
				p.Done()
			})
		}
		time.Sleep(50 * time.Millisecond)
		want("a crowd that is new", "20-20 []", "20-80 []")
		wg.Wait()

		time.Sleep(2 * time.Minute)
		acquire(t, l, r).Cancel()
		p.reservations()
		acquire(t, l, r).Done()
		want("units of a canceled call")
		time.Sleep(time.Second) // for which a grant lasts
		acquire(t, l, r).Cancel()
		last := p.reservations()[0]
		time.Sleep(time.Second)
		acquire(t, l, r).Done()
		if all := p.reservations(); len(all) != 1 || all[0].Reports[0].Unused != last.Want {
			t.Errorf("after %+v, which was not used: %+v", last, all)
		}
	})
}

func TestOthersLearnWhatGoogleWants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newLedger(time.Millisecond)
		one, two := newLimiter(t, quota.Config{Pool: p}), newLimiter(t, quota.Config{Pool: p})
		r := quota.Request{User: "ada", Units: 20}
		acquire(t, one, r).Done(quota.Outcome{Rejected: quota.UserRate, RetryAfter: 20 * time.Second})
		go func() { // the call is tried again, which tells the Pool
			if p, err := one.Acquire(t.Context(), r); err == nil {
				p.Done()
			}
		}()
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		spend(t, two, r)
		if waited := time.Since(epoch); waited < 20*time.Second || waited > 26*time.Second {
			t.Errorf("the other process has waited until %v, want 20s and at most one more round", waited)
		}
		before := time.Since(epoch)
		if took := spend(t, two, quota.Request{User: "bob", Units: 20}) - before; took > time.Second {
			t.Errorf("another user has waited for %v", took)
		}

		acquire(t, one, r).Done(quota.Outcome{Rejected: quota.ProjectRate, RetryAfter: 20 * time.Second})
		before = time.Since(epoch)
		go func() {
			if p, err := one.Acquire(t.Context(), r); err == nil {
				p.Done()
			}
		}()
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		time.Sleep(time.Second) // for longer than the units last that the user has left
		if took := spend(t, two, quota.Request{User: "bob", Units: 20}) - before; took < 20*time.Second || took > 26*time.Second {
			t.Errorf("when the project was rejected, another user has waited for %v", took)
		}
		time.Sleep(time.Minute)
	})
}

func TestAPersonDoesNotWaitForWhatWasPromisedToBackgroundWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newLedger(time.Millisecond)
		p.after = 500 * time.Millisecond
		l := newLimiter(t, quota.Config{Pool: p})
		var wg sync.WaitGroup
		wg.Go(func() {
			if at := spend(t, l, quota.Request{User: "ada", Units: 20}); at > p.after+10*time.Millisecond {
				t.Errorf("background work went at %v, want %v at the latest", at, p.after)
			}
		})
		time.Sleep(100 * time.Millisecond)
		wg.Go(func() {
			if at := spend(t, l, quota.Request{User: "ada", Units: 20, Class: quota.Interactive}); at > 110*time.Millisecond {
				t.Errorf("a person's call went at %v, want 101ms", at)
			}
		})
		wg.Wait()
	})
}

func TestAPersonDoesNotWaitForTheTimeThatBackgroundWorkWasTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newLedger(time.Millisecond)
		one, two := newLimiter(t, quota.Config{Pool: p}), newLimiter(t, quota.Config{Pool: p})
		spend(t, one, quota.Request{User: "ada", Units: 5000, Class: quota.Interactive})
		var wg sync.WaitGroup
		wg.Go(func() { spend(t, two, quota.Request{User: "ada", Units: 3000}) }) // is told to ask again in five seconds
		time.Sleep(time.Second)
		before := time.Since(epoch)
		if took := spend(t, two, quota.Request{User: "ada", Units: 20, Class: quota.Interactive}) - before; took > 10*time.Millisecond {
			t.Errorf("a person waited for %v", took)
		}
		wg.Wait()
	})
}
