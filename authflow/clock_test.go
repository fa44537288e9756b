package authflow_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestACrowdIsServedNoTokenThatHasExpired(t *testing.T) {
	t.Parallel()
	for name, closed := range map[string]bool{"": false, " by a Flow that is closed": true} {
		t.Run("to the millisecond"+name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				flow := x.flow(t)
				creds := x.connect(t, flow)
				live := token(t, creds)
				expires := x.stored(t).Expiry.Add(-expiryMargin)
				x.store.fail(errStoreDown, errStoreDown) // no other token comes
				pass(time.Until(expires) - 100*time.Millisecond)
				if closed {
					if err := flow.Close(); err != nil {
						t.Fatal(err)
					}
				}
				for range 200 { // milliseconds
					for range 250 {
						served, err := creds.Token()
						if lives := time.Now().Before(expires); lives != (err == nil) || lives && served.AccessToken != live {
							t.Fatalf("%v before the token expires: %v", time.Until(expires), err)
						}
					}
					pass(time.Millisecond)
				}
			})
		})
	}
}

func TestWhatExpiredWhileTheMachineSleptIsReplacedWithinAMinute(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		var slept atomic.Int64 // which the wall clock knows, and the monotonic one does not
		creds := x.connect(t, x.flow(t, func(cfg *authflow.Config) {
			cfg.Now = func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
		}))
		first := token(t, creds)
		slept.Store(int64(2 * time.Hour))
		for start := time.Now(); token(t, creds) == first; pass(time.Second) {
			if took := time.Since(start); took > 70*time.Second {
				t.Fatalf("after %v the old token is served", took)
			}
		}
		if x.refreshes() != 1 {
			t.Errorf("%d refreshes", x.refreshes())
		}
	})
}
