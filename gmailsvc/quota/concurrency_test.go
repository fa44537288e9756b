package quota_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// A crowd is requests that all come at once, each held for a second.
type crowd struct {
	calls int // of each
	count int
}

func TestCallsInFlightAreBoundedForEachUser(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg    quota.Config
		crowds []crowd
		took   time.Duration
	}{
		"five single calls at once":           {crowds: []crowd{{1, 15}}, took: 3 * time.Second},
		"calls that don't say how many":       {crowds: []crowd{{0, 10}}, took: 2 * time.Second},
		"one full batch at once":              {crowds: []crowd{{25, 3}}, took: 3 * time.Second},
		"a batch too large goes alone":        {crowds: []crowd{{100, 3}}, took: 3 * time.Second},
		"a batch and no calls beside":         {crowds: []crowd{{25, 1}, {1, 5}}, took: 2 * time.Second},
		"batches of ten leave room for two":   {crowds: []crowd{{10, 4}}, took: 2 * time.Second},
		"small batches are as single calls":   {crowds: []crowd{{3, 10}}, took: 2 * time.Second},
		"as many as the configuration allows": {cfg: quota.Config{Concurrency: 10}, crowds: []crowd{{1, 30}}, took: 3 * time.Second},
		"batches as the configuration allows": {cfg: quota.Config{BatchSize: 100}, crowds: []crowd{{50, 4}}, took: 2 * time.Second},
		"batches at least as large as calls":  {cfg: quota.Config{Concurrency: 50}, crowds: []crowd{{1, 100}}, took: 2 * time.Second},
		"one at a time":                       {cfg: quota.Config{Concurrency: 1, BatchSize: 1}, crowds: []crowd{{1, 3}}, took: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, tc.cfg)
				for _, c := range tc.crowds {
					for range c.count {
						for _, user := range []string{"ada", "bob"} {
							go func() {
								p, err := l.Acquire(t.Context(), quota.Request{User: user, Units: 1, Calls: c.calls, Class: quota.Interactive})
								if err != nil {
									t.Error(err)
									return
								}
								time.Sleep(time.Second)
								p.Done()
							}()
						}
					}
					synctest.Wait()
				}
				time.Sleep(tc.took - time.Nanosecond)
				if left := inFlight(t, l, "ada"); left == 0 {
					t.Errorf("all were done before %v", tc.took)
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				if left := inFlight(t, l, "bob"); left > 0 {
					t.Errorf("after %v %d are under way", tc.took, left)
				}
			})
		})
	}
}

// inFlight returns 1 if a batch that has to be alone would have to wait.
func inFlight(t *testing.T, l *quota.Limiter, user string) int {
	t.Helper()
	went := make(chan *quota.Permit, 1)
	go func() {
		p, err := l.Acquire(t.Context(), quota.Request{User: user, Calls: 1000, Class: quota.Interactive})
		if err != nil {
			t.Error(err)
		}
		went <- p
	}()
	synctest.Wait()
	select {
	case p := <-went:
		p.Cancel()
		return 0
	default:
		go func() { (<-went).Cancel() }()
		return 1
	}
}
