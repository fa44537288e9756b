package authflow_test

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestAThousandGrantsThatExpiredInAnOutageAreRefreshedAFewAtATime(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		const users = 1000
		x.crowd(t, users, time.Hour)
		var now, most atomic.Int32
		var down atomic.Bool
		flow := x.flow(t, func(cfg *authflow.Config) {
			next := cfg.HTTPClient.Transport
			cfg.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				n := now.Add(1)
				defer now.Add(-1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				if down.Load() {
					return &http.Response{StatusCode: http.StatusBadGateway, Body: http.NoBody, Request: r}, nil
				}
				return next.RoundTrip(r)
			})}
		})
		all := make([]*authflow.Credentials, users)
		for i := range all {
			creds, err := flow.GetStoredCredentials(t.Context(), "crowd"+strconv.Itoa(i))
			if err != nil {
				t.Fatal(err)
			}
			all[i] = creds
		}
		down.Store(true)
		ask := func() (failed int32) {
			var failures atomic.Int32
			var done sync.WaitGroup
			for _, creds := range all {
				done.Go(func() {
					if _, err := creds.TokenContext(t.Context()); err != nil {
						failures.Add(1)
					}
				})
			}
			done.Wait()
			return failures.Load()
		}
		if failed := ask(); failed != users {
			t.Errorf("in the outage %d of %d tokens were refused", failed, users)
		}
		down.Store(false)
		most.Store(0)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 200 * time.Millisecond})
		pass(time.Minute)
		start := time.Now()
		if failed := ask(); failed != 0 {
			t.Errorf("after the outage %d of %d tokens were refused", failed, users)
		}
		if n := x.refreshes(); n != users {
			t.Errorf("%d grants were refreshed %d times", users, n)
		}
		if n := most.Load(); n > 64 || n < 16 {
			t.Errorf("%d refreshes at a time, want at most 64, and a good part of that", n)
		}
		t.Logf("%d refreshes of 200 ms, at most %d at a time, in %v", users, most.Load(), time.Since(start))
	})
}
