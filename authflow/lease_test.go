package authflow_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// waiting asks for a token in the background. The result is there when it is called, at the latest.
func waiting(t *testing.T, creds *authflow.Credentials) func() (string, error) {
	t.Helper()
	type result struct {
		token string
		err   error
	}
	done := make(chan result, 1)
	go func() {
		token, err := creds.TokenContext(context.WithoutCancel(t.Context()))
		if err != nil {
			done <- result{err: err}
			return
		}
		done <- result{token: token.AccessToken}
	}()
	return func() (string, error) { r := <-done; return r.token, r.err }
}

func TestALeaseOfADeadProcessIsTakenOverAfterAMinute(t *testing.T) {
	t.Parallel()
	for name, taken := range map[string]time.Duration{ // by its holder's clock, before the others begin to wait
		"by clocks that agree":         0,
		"whatever it says of the time": 24 * time.Hour,
		"even if that is to come":      -24 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				x.connect(t, x.flow(t))
				pass(time.Hour)
				x.change(t, func(g *tokenstore.Grant) {
					g.Lease = &tokenstore.Lease{Holder: "dead", Duration: time.Minute, TakenAt: time.Now().Add(-taken)}
				})
				start := time.Now()
				var all []*authflow.Credentials
				for range 3 {
					flow := x.flow(t)
					all = append(all, credentials(t, flow), credentials(t, flow))
				}
				go func() {
					pass(59 * time.Second)
					if x.refreshes() != 0 {
						t.Error("the provider was asked while the lease ran")
					}
				}()
				if served := tokens(t, all...); len(served) != 1 {
					t.Errorf("%d tokens were served", len(served))
				}
				if took := time.Since(start); took < time.Minute || took > 65*time.Second {
					t.Errorf("it took %v", took)
				}
				if n := x.refreshes(); n != 1 {
					t.Errorf("%d refreshes", n)
				}
				if got := x.stored(t); got.Lease != nil {
					t.Errorf("the lease is still there: %+v", got.Lease)
				}
			})
		})
	}
}

func TestALeaseOfALivingProcessIsWaitedFor(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		x.connect(t, x.flow(t))
		pass(time.Hour)
		x.change(t, func(g *tokenstore.Grant) { g.Lease = &tokenstore.Lease{Holder: "slow", Duration: time.Minute} })
		token := waiting(t, credentials(t, x.flow(t)))
		pass(25 * time.Second)
		x.change(t, func(g *tokenstore.Grant) {
			g.Lease, g.AccessToken, g.Expiry, g.LastRefresh = nil, "ya29.of-the-slow-one", time.Now().Add(time.Hour), time.Now()
		})
		done := time.Now()
		if got, err := token(); got != "ya29.of-the-slow-one" || err != nil {
			t.Errorf("served %q, %v", got, err)
		}
		if took := time.Since(done); took > 2*time.Second {
			t.Errorf("that the other was done was noticed after %v", took)
		}
		if x.refreshes() != 0 {
			t.Error("the provider was asked again")
		}
	})
}

func TestAGrantThatIsDeletedDuringARefreshStaysDeleted(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		creds := x.connect(t, x.flow(t))
		pass(time.Hour)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 2 * time.Second})
		token := waiting(t, creds)
		pass(time.Second)
		if err := x.grants(t).Delete(t.Context(), adaID); err != nil {
			t.Fatal(err)
		}
		if got, err := token(); !errors.Is(err, tokenstore.ErrNotFound) || got != "" {
			t.Errorf("Token: %v", err)
		}
		pass(time.Hour)
		if _, err := creds.Token(); !errors.Is(err, tokenstore.ErrNotFound) {
			t.Errorf("later: %v", err)
		}
		if grant, err := x.grants(t).Get(t.Context(), adaID); !errors.Is(err, tokenstore.ErrNotFound) {
			t.Errorf("the grant came back: %+v, %v", grant, err)
		}
		if n := x.refreshes(); n != 1 {
			t.Errorf("%d refreshes", n)
		}
	})
}

func TestAConsentDuringARefreshWins(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]gmailtest.Fault{
		"that succeeds":   {},
		"that is refused": {Status: 400, Body: `{"error":"invalid_grant"}`},
		"that fails":      {Status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				flow := x.flow(t)
				creds := x.connect(t, flow)
				old := x.stored(t)
				pass(time.Hour)
				fault.Op, fault.Delay, fault.Times = "token.refresh", 2*time.Second, 3
				x.google.Inject(fault)
				refreshed := waiting(t, creds)
				pass(time.Second)
				again := x.connect(t, x.flow(t)) // in another process
				consent := x.stored(t)
				if consent.ID == old.ID {
					t.Fatal("the consent was not stored")
				}
				got, err := refreshed()
				if name != "that fails" && (err != nil || got != consent.AccessToken) {
					t.Errorf("the caller who waited got another token than the new consent's, %v", err)
				}
				pass(time.Minute)
				if after := x.stored(t); after.Version() != consent.Version() {
					t.Errorf("the refresh overwrote the consent with %+v", after)
				}
				if token(t, creds) != token(t, again) {
					t.Error("the old Credentials serve another token")
				}
			})
		})
	}
}

func TestWhatAnotherReplicaDidIsSeenWithinAMinute(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		other func(t *testing.T, x *fixture, live string) (want string) // a token, if there is to be one
		seen  func(err error) bool
	}{
		"a revocation": {
			func(t *testing.T, x *fixture, live string) string {
				x.google.Revoke(ada)
				_, err := credentials(t, x.flow(t)).Refresh(t.Context(), live)
				if _, ok := errors.AsType[*authflow.ReauthorizationRequiredError](err); !ok {
					t.Fatal(err)
				}
				return ""
			},
			func(err error) bool {
				ended, ok := errors.AsType[*authflow.ReauthorizationRequiredError](err)
				return ok && ended.Reason == tokenstore.ReasonInvalidGrant
			},
		},
		"a consent": {
			func(t *testing.T, x *fixture, _ string) string { return token(t, x.connect(t, x.flow(t))) },
			func(err error) bool { return err == nil },
		},
		"a deletion": {
			func(t *testing.T, x *fixture, _ string) string {
				if err := x.grants(t).Delete(t.Context(), adaID); err != nil {
					t.Fatal(err)
				}
				return ""
			},
			func(err error) bool { return errors.Is(err, tokenstore.ErrNotFound) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				creds := x.connect(t, x.flow(t))
				live := token(t, creds)
				pass(10 * time.Minute)
				token(t, creds) // it is in use
				pass(time.Second)
				want := c.other(t, x, live)
				calls := x.google.Count("token.*")
				for start := time.Now(); ; pass(time.Second) {
					token, err := creds.Token()
					got := ""
					if err == nil {
						got = token.AccessToken
					}
					if c.seen(err) && got == want {
						break
					}
					if time.Since(start) > 70*time.Second || err != nil || got != live {
						t.Fatalf("after %v: another token: %v, %v", time.Since(start), got != live, err)
					}
				}
				if x.google.Count("token.*") != calls {
					t.Error("the provider was asked what the store knows")
				}
			})
		})
	}
}
