package quota_test

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// keepBusy lets so many goroutines make calls of 20 units, one after the other, for the users in turn, until
// the given time of the bubble. It returns what waits for them and says how many calls went until then.
func keepBusy(
	t *testing.T, l *quota.Limiter, class quota.Class, goroutines int, until time.Duration, users ...string,
) (calls func() int) {
	t.Helper()
	var count atomic.Int64
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() {
			for {
				p, err := l.Acquire(t.Context(), quota.Request{User: users[i%len(users)], Units: 20, Class: class})
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(50 * time.Millisecond)
				p.Done()
				if time.Since(epoch) > until {
					return
				}
				count.Add(1)
			}
		})
	}
	return func() int { wg.Wait(); return int(count.Load()) }
}

func TestAPersonOvertakesBackgroundWork(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg   quota.Config
		users []string
	}{
		"of the same user": {users: []string{"ada"}},
		"of all users":     {cfg: quota.Config{PerProject: 6000}, users: []string{"bob", "cem", "dan"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, tc.cfg)
				const end = 10 * time.Minute
				busy := keepBusy(t, l, quota.Background, 50, end, tc.users...)
				// From its first minute on the background uses up all there is, so that a call has to wait for
				// units to come back.
				for at := 90 * time.Second; at < end; at += 10 * time.Second {
					time.Sleep(at - time.Since(epoch))
					asked := time.Since(epoch)
					if took := spend(t, l, quota.Request{User: "ada", Units: 20, Class: quota.Interactive}) - asked; took > 1500*time.Millisecond {
						t.Errorf("a person waited for %v", took)
					}
				}
				if got := busy(); got < 10*300*97/100 {
					t.Errorf("%d calls of the background, less than 97 %% of what the quota has", got)
				}
			})
		})
	}
}

func TestBackgroundWorkGetsATenthWhilePeopleKeepTheQuotaBusy(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		perMinute      int // calls of all
		cfg            quota.Config
		people, others []string
	}{
		"of the same user": {perMinute: 300, people: []string{"ada"}, others: []string{"ada"}},
		"of all users": {
			perMinute: 3000, cfg: quota.Config{PerProject: 60_000},
			people: strings.Fields("a b c d e f g h i j k l m n o"), others: strings.Fields("1 2 3 4 5"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, tc.cfg)
				const minutes = 10
				busyInBackground := keepBusy(t, l, quota.Background, 5*len(tc.others), minutes*time.Minute, tc.others...)
				busyPeople := keepBusy(t, l, quota.Interactive, 20*len(tc.people), minutes*time.Minute, tc.people...)
				background := busyInBackground()
				all := background + busyPeople()
				if share := float64(background) / float64(all); share < 0.08 || share > 0.12 {
					t.Errorf("background work had %d calls of %d", background, all)
				}
				if all < minutes*tc.perMinute*97/100 {
					t.Errorf("%d calls in %d minutes, less than 97 %% of what the quota has", all, minutes)
				}
			})
		})
	}
}

func TestRequestsOfAClassGoInTheirOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, quota.Config{})
		spend(t, l, quota.Request{User: "ada", Units: 6000, Class: quota.Interactive})
		var wg sync.WaitGroup
		went := make([]time.Duration, 100)
		for i := range went {
			// Of the cheap ones behind dear ones some would have room a minute earlier.
			wg.Go(func() {
				went[i] = spend(t, l, quota.Request{User: "ada", Units: 5000 - 50*i, Class: quota.Interactive})
			})
			synctest.Wait()
		}
		wg.Wait()
		if !slices.IsSorted(went) {
			t.Errorf("went at %v", went)
		}
	})
}
