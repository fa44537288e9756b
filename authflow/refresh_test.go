package authflow_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// refreshes returns how often the provider was asked to refresh.
func (x *fixture) refreshes() int { return x.google.Count("token.refresh") }

// tokens asks each of creds for a token, all at the same time, and returns how often each came.
func tokens(t *testing.T, creds ...*authflow.Credentials) map[string]int {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	served := make(map[string]int)
	for _, c := range creds {
		all.Go(func() {
			token, err := c.TokenContext(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if !token.Valid() || token.RefreshToken != "" || token.Type() != "Bearer" {
				t.Errorf("a token valid until %v, with a refresh token: %v", token.Expiry, token.RefreshToken != "")
			}
			mu.Lock()
			defer mu.Unlock()
			served[token.AccessToken]++
		})
	}
	all.Wait()
	return served
}

func TestALiveTokenIsServedWithoutACall(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		creds := x.connect(t, flow)
		first := token(t, creds)
		for range 40 { // minutes
			pass(time.Minute)
			if token(t, creds) != first || token(t, credentials(t, flow)) != first {
				t.Fatal("another token came")
			}
		}
		if x.refreshes() != 0 || x.google.Count("token.exchange") != 1 {
			t.Errorf("the provider was asked: %v", x.google.Counts())
		}
	})
}

func TestATokenThatLivesIsServedWithoutAnAllocation(t *testing.T) { // AllocsPerRun wants no tests in parallel
	x := newFixture(t, gmailtest.Config{})
	creds := x.connect(t, x.flow(t))
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := creds.Token(); err != nil {
			t.Error(err)
		}
		if _, err := creds.TokenContext(ctx); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAnExpiredTokenIsRefreshedOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		flows, each int
		get         bool // Credentials of their own
	}{
		"for one caller":                           {1, 1, false},
		"for 1,000 callers with one Credentials":   {1, 1000, false},
		"for 1,000 callers with their own":         {1, 1000, true},
		"for two processes that share the store":   {2, 500, true},
		"for eight processes that share the store": {8, 125, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{RotateRefreshTokens: true}, func(t *testing.T, x *fixture) {
				before := token(t, x.connect(t, x.flow(t)))
				x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 300 * time.Millisecond})
				pass(time.Hour)
				var all []*authflow.Credentials
				for range c.flows {
					flow := x.flow(t)
					shared := credentials(t, flow)
					for range c.each {
						if c.get {
							shared = credentials(t, flow)
						}
						all = append(all, shared)
					}
				}
				start := time.Now()
				served := tokens(t, all...)
				if len(served) != 1 || served[before] != 0 {
					t.Errorf("%d tokens were served, the expired one %d times", len(served), served[before])
				}
				if n := x.refreshes(); n != 1 {
					t.Errorf("%d refreshes", n)
				}
				if took := time.Since(start); took > 3*time.Second {
					t.Errorf("it took %v", took)
				}
				grant := x.stored(t)
				if served[grant.AccessToken] != len(all) || grant.Lease != nil || !grant.LastRefresh.After(start) {
					t.Errorf("stored %+v", grant)
				}
			})
		})
	}
}

func TestARefreshHappensInTheBackgroundBeforeTheTokenExpires(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		creds := x.connect(t, x.flow(t))
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 5 * time.Second})
		start, first := time.Now(), token(t, creds)
		var asked time.Duration
		for token(t, creds) == first {
			if age := time.Since(start); asked == 0 && x.refreshes() == 1 {
				asked = age
			} else if age > time.Hour {
				t.Fatal("the old token is served after its expiry")
			}
			before := time.Now()
			token(t, creds)
			if waited := time.Since(before); waited != 0 {
				t.Fatalf("a caller waited %v though the token lives", waited)
			}
			pass(time.Second)
		}
		if asked < 44*time.Minute || asked > 54*time.Minute+5*time.Second {
			t.Errorf("the refresh began after %v of an hour; want 75 to 90 %%", asked)
		}
		if n := x.refreshes(); n != 1 {
			t.Errorf("%d refreshes", n)
		}
	})
}

func TestReplicasInUseRefreshAGrantOnceAnHour(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		x.connect(t, x.flow(t))
		var all []*authflow.Credentials
		for range 20 {
			all = append(all, credentials(t, x.flow(t)))
		}
		for range 58 {
			pass(time.Minute)
			tokens(t, all...)
		}
		if n := x.refreshes(); n != 1 {
			t.Errorf("20 replicas refreshed one grant %d times", n)
		}
	})
}

func TestTokensAreReplacedForDays(t *testing.T) {
	t.Parallel()
	for name, rotate := range map[string]bool{"by one refresh token": false, "by refresh tokens that rotate": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{RotateRefreshTokens: rotate}, func(t *testing.T, x *fixture) {
				creds := x.connect(t, x.flow(t))
				first := x.stored(t)
				for i := range 48 {
					pass(time.Hour)
					if served := tokens(t, creds, credentials(t, x.flow(t))); len(served) != 1 || served[x.stored(t).AccessToken] != 2 {
						t.Fatalf("after %d hours %d tokens are served, the stored one %d times", i+1, len(served), served[x.stored(t).AccessToken])
					}
				}
				last := x.stored(t)
				if x.refreshes() != 48 || (last.RefreshToken != first.RefreshToken) != rotate {
					t.Errorf("%d refreshes; another refresh token is stored: %v", x.refreshes(), last.RefreshToken != first.RefreshToken)
				}
				if last.ID != first.ID || !last.CreatedAt.Equal(first.CreatedAt) || last.Status.Revoked {
					t.Errorf("stored %+v", last)
				}
			})
		})
	}
}

func TestARefreshAsksForNoScope(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		creds := x.connect(t, x.flow(t))
		var scoped atomic.Bool
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Match: func(r *http.Request) bool {
			scoped.Store(r.ParseForm() != nil || r.PostForm.Has("scope"))
			return false
		}})
		pass(time.Hour)
		token(t, creds)
		if scoped.Load() || x.refreshes() != 1 {
			t.Error("a scope that was not granted would be refused")
		}
	})
}

func TestTokensThatLiveForSecondsAreServed(t *testing.T) {
	t.Parallel()
	for _, expiresIn := range []string{"1", "5", "10", "11", "30"} {
		t.Run(expiresIn+" s", func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				creds := x.connect(t, x.flow(t))
				x.google.Inject(gmailtest.Fault{Op: "token.refresh", Body: `{"access_token":"ya29.short","expires_in":` + expiresIn + `}`})
				pass(time.Hour)
				for range 3 {
					if got := token(t, creds); got != "ya29.short" {
						t.Errorf("served %q", got)
					}
					pass(time.Second)
				}
			})
		})
	}
}

func TestRefreshReplacesARejectedTokenOnce(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		creds := x.connect(t, flow)
		rejected := token(t, creds)
		x.google.ExpireAccessTokens(ada)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: time.Second})
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				token, err := credentials(t, flow).Refresh(t.Context(), rejected)
				if err != nil || token.AccessToken == rejected {
					t.Errorf("Refresh: the rejected token again: %v, %v", err == nil, err)
				}
			})
		}
		all.Wait()
		pass(time.Minute)
		again, err := creds.Refresh(t.Context(), rejected) // a caller who is late
		if err != nil || again.AccessToken != token(t, creds) {
			t.Errorf("Refresh: %v", err)
		}
		if n := x.refreshes(); n != 1 {
			t.Errorf("%d refreshes", n)
		}
	})
}

func TestRefreshIsNoStormWhereTheProviderInsistsOnARejectedToken(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		creds := x.connect(t, x.flow(t))
		rejected := token(t, creds)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Times: 100,
			Body: `{"access_token":"` + rejected + `","token_type":"Bearer","expires_in":3600}`})
		x.google.Inject(gmailtest.TokenError("invalid_request", "enough"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		got, err := creds.Refresh(ctx, rejected)
		if n := x.refreshes(); n > 10 {
			t.Errorf("within a minute there were %d refreshes or more", n)
		}
		if failed, ok := errors.AsType[*authflow.RefreshError](err); !ok || failed.UserID != adaID || got != nil {
			t.Errorf("Refresh: a token: %v, %v", got != nil, err)
		}
	})
}

func TestOneWaitersCancellationFailsNobodyElse(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		connecting, disconnect := context.WithCancel(t.Context())
		code, state := x.code(t, flow)
		creds, err := flow.GetCredentials(connecting, code, state)
		if err != nil {
			t.Fatal(err)
		}
		disconnect() // the request in which Ada connected is over
		pass(time.Hour)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 5 * time.Second})

		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var all sync.WaitGroup
		start := time.Now()
		all.Go(func() {
			_, err := creds.TokenContext(impatient)
			if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != time.Second {
				t.Errorf("after %v: %v", took, err)
			}
		})
		synctest.Wait() // its call is the one that the others join
		for range 10 {
			all.Go(func() { token(t, creds) })
		}
		all.Wait()
		if n := x.refreshes(); n != 1 || x.stored(t).AccessToken != token(t, creds) {
			t.Errorf("%d refreshes", n)
		}
	})
}

func TestCloseWaitsAndNothingRunsAfterwards(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		creds := x.connect(t, flow)
		before := token(t, creds)
		pass(time.Hour)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 5 * time.Second})
		var waiter sync.WaitGroup
		waiter.Go(func() { token(t, creds) })
		pass(time.Second)

		start := time.Now()
		if err := flow.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 4*time.Second {
			t.Errorf("Close took %v while a refresh had 4 s to go", took)
		}
		waiter.Wait()
		after := x.stored(t)
		if after.AccessToken == before || after.Lease != nil || token(t, creds) != after.AccessToken {
			t.Errorf("what the provider said is lost: %+v", after)
		}
		for range 120 {
			pass(time.Minute)
			_, _ = creds.Token()
		}
		_, err := creds.Token()
		if _, ok := errors.AsType[*authflow.RefreshError](err); !ok {
			t.Errorf("Token of a closed Flow, with nothing that lives: %v", err)
		}
		if n := x.refreshes(); n != 1 || x.stored(t).Version() != after.Version() {
			t.Errorf("%d refreshes, and stored is %+v", n, x.stored(t))
		}
		if err := flow.Close(); err != nil {
			t.Errorf("closing again: %v", err)
		}
	})
}
