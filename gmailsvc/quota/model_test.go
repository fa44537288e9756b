package quota_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// Random users make random calls, in both classes, alone and in batches, give up, do not send, and are held up
// at random. Whatever happens, no minute sees more than its units, no user more calls in flight than allowed,
// and nobody waits for ever.
func TestTheLimitsHoldWhateverHappens(t *testing.T) {
	t.Parallel()
	seeds := 20
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		for _, m := range []minute{sliding{}, fixed{13}, bucket{}} {
			t.Run(fmt.Sprintf("%T seed=%d", m, seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := &world{
						limiter: newLimiter(t, quota.Config{PerUser: 1000, PerProject: 2500}),
						user:    newGoogle(m, 0),
						project: newGoogle(m, 0),
					}
					w.user.limit, w.project.limit = 1000, 2500
					var wg sync.WaitGroup
					for i := range 20 {
						wg.Go(func() { w.live(t, rand.New(rand.NewPCG(uint64(seed), uint64(i)))) })
					}
					wg.Wait()
					if n := w.user.rejected + w.project.rejected; n > 0 {
						t.Errorf("%d calls went beyond a limit", n)
					}
					for user, c := range w.user.users {
						if c.peak > 125 {
							t.Errorf("%s had calls of weight %d in flight at once, more than 125", user, c.peak)
						}
					}
					w.atRest(t)
				})
			})
		}
	}
}

type world struct {
	limiter       *quota.Limiter
	user, project *google
}

// live makes calls for half an hour.
func (w *world) live(t *testing.T, chance *rand.Rand) {
	for time.Since(epoch) < 30*time.Minute {
		time.Sleep(time.Duration(chance.ExpFloat64() * float64(5*time.Second)))
		r := quota.Request{
			User:  fmt.Sprint("user ", chance.IntN(4)),
			Units: 1 + chance.IntN(60),
			Class: quota.Class(chance.IntN(2)),
		}
		weight := 25
		if chance.IntN(3) == 0 {
			r.Calls = 1 + chance.IntN(30)
			weight = min(max(25, 5*r.Calls), 125)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(chance.ExpFloat64()*float64(20*time.Second)))
		p, err := w.limiter.Acquire(ctx, r)
		cancel()
		if err != nil {
			continue
		}
		if chance.IntN(10) == 0 {
			time.Sleep(time.Duration(chance.IntN(3000)) * time.Millisecond)
			p.Cancel()
			continue
		}
		latency := time.Duration(chance.ExpFloat64() * float64(time.Second))
		c, all := w.user.enter(r.User, weight), w.project.enter("project", weight)
		time.Sleep(latency / 2)
		w.user.count(c, r.Units)
		w.project.count(all, r.Units)
		time.Sleep(latency / 2)
		w.user.leave(c, weight)
		w.project.leave(all, weight)
		p.Done(quota.Outcome{})
	}
}

// atRest fails unless everything was given back: a minute later, all users may spend all there is.
func (w *world) atRest(t *testing.T) {
	t.Helper()
	time.Sleep(2 * time.Minute)
	begun := time.Now()
	for _, user := range []string{"user 0", "user 1"} {
		acquire(t, w.limiter, quota.Request{User: user, Units: 1000, Calls: 1000, Class: quota.Interactive}).Done()
	}
	acquire(t, w.limiter, quota.Request{User: "user 2", Units: 500, Calls: 1000, Class: quota.Interactive}).Done()
	if waited := time.Since(begun); waited > 0 {
		t.Errorf("after two quiet minutes the limits were not free for %v", waited)
	}
}
