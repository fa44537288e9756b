package authflow_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// forToken matches the refreshes that use a refresh token.
func forToken(refresh string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		body, err := io.ReadAll(r.Body)
		form, perr := url.ParseQuery(string(body))
		return err == nil && perr == nil && form.Get("refresh_token") == refresh
	}
}

// An ambiguousStore loses the answer of one Swap.
type ambiguousStore struct {
	tokenstore.TokenStore

	lose    atomic.Int32 // which Swap from now on
	happens bool         // though
}

func (s *ambiguousStore) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	if s.lose.Add(-1) != 0 {
		return s.TokenStore.Swap(ctx, key, oldVersion, next)
	}
	if s.happens {
		if err := s.TokenStore.Swap(ctx, key, oldVersion, next); err != nil {
			return err
		}
	}
	return io.ErrUnexpectedEOF
}

func TestACommitThatLostItsAnswerIsFoundOut(t *testing.T) {
	t.Parallel()
	for when, nth := range map[string]int32{"of the lease": 1, "of the result": 2} {
		for name, happens := range map[string]bool{", though it happened": true, ", and it did not happen": false} {
			t.Run(when+name, func(t *testing.T) {
				inBubble(t, gmailtest.Config{RotateRefreshTokens: true}, func(t *testing.T, x *fixture) {
					store := &ambiguousStore{TokenStore: x.store, happens: happens}
					creds := x.connect(t, x.flow(t, func(cfg *authflow.Config) { cfg.Store = store }))
					pass(time.Hour)
					store.lose.Store(nth)
					start := time.Now()
					served, err := creds.Token()
					if claimed := nth == 2 || happens; claimed && err != nil || !claimed && !errors.Is(err, io.ErrUnexpectedEOF) {
						t.Fatalf("Token: %v", err)
					}
					if n, want := x.refreshes(), map[bool]int{true: 1, false: 0}[err == nil]; n != want {
						t.Errorf("%d refreshes, want %d", n, want)
					}
					pass(time.Minute)
					if took := time.Since(start); took > 2*time.Minute {
						t.Errorf("it took %v", took)
					}
					last := token(t, creds)
					if after := x.stored(t); x.refreshes() != 1 || after.AccessToken != last || after.Lease != nil || err == nil && served.AccessToken != last {
						t.Errorf("after %d refreshes stored %+v", x.refreshes(), after)
					}
				})
			})
		}
	}
}

// A conflictingStore answers ErrConflict to every Swap, and another error once that was too often.
type conflictingStore struct {
	tokenstore.TokenStore

	on    atomic.Bool
	swaps atomic.Int32

	mu sync.Mutex
	at []time.Time // of each Swap
}

// slowsDown reports whether the last tries were further apart than the first.
func (s *conflictingStore) slowsDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	few, last := len(s.at)/4, len(s.at)-1
	return s.at[last].Sub(s.at[last-few]) > s.at[few].Sub(s.at[0])
}

var errTooOften = errors.New("it was tried a thousand times")

func (s *conflictingStore) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	switch {
	case !s.on.Load():
		return s.TokenStore.Swap(ctx, key, oldVersion, next)
	case s.swaps.Add(1) > 1000:
		return errTooOften
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, time.Now())
	return tokenstore.ErrConflict
}

func TestAStoreThatConflictsForEverIsNoBusyLoop(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(ctx context.Context, x *fixture, flow *authflow.Flow, creds *authflow.Credentials, code string) error{
		"Token": func(ctx context.Context, _ *fixture, _ *authflow.Flow, creds *authflow.Credentials, _ string) error {
			_, err := creds.TokenContext(ctx)
			if _, ok := errors.AsType[*authflow.RefreshError](err); !ok {
				return errors.Join(errors.New("no RefreshError"), err)
			}
			return err
		},
		"GetCredentials": func(ctx context.Context, _ *fixture, flow *authflow.Flow, _ *authflow.Credentials, code string) error {
			_, err := flow.GetCredentials(ctx, code, "state")
			return err
		},
		"Revoke": func(ctx context.Context, _ *fixture, flow *authflow.Flow, _ *authflow.Credentials, _ string) error {
			return flow.Revoke(ctx, adaID)
		},
		"MarkRevoked": func(ctx context.Context, _ *fixture, flow *authflow.Flow, _ *authflow.Credentials, _ string) error {
			return flow.MarkRevoked(ctx, adaID, tokenstore.ReasonUser)
		},
		"Forget": func(ctx context.Context, _ *fixture, flow *authflow.Flow, _ *authflow.Credentials, _ string) error {
			return flow.Forget(ctx, adaID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				store := &conflictingStore{TokenStore: x.store}
				flow := x.flow(t, func(cfg *authflow.Config) { cfg.Store = store })
				creds := x.connect(t, flow)
				pass(time.Hour)
				code := x.callback(t, flow.GetAuthorizationURL(ada, "state")).Get("code")
				store.on.Store(true)
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
				defer cancel()
				start := time.Now()
				err := do(ctx, x, flow, creds, code)
				if !errors.Is(err, tokenstore.ErrConflict) || errors.Is(err, errTooOften) {
					t.Errorf("%s: %v", name, err)
				}
				most := 30 * time.Second
				if name == "Token" { // others may be refreshing
					most = 100 * time.Second
				}
				if took := time.Since(start); took > most {
					t.Errorf("it took %v", took)
				}
				if n := store.swaps.Load(); n < 8 || n > 300 || !store.slowsDown() {
					t.Errorf("it was tried %d times, slower and slower: %v", n, n >= 8 && store.slowsDown())
				}
				if x.refreshes() != 0 {
					t.Error("the provider was asked without a lease")
				}
			})
		})
	}
}

func TestACrashBetweenRefreshAndStoreCostsALease(t *testing.T) {
	t.Parallel()
	for name, rotate := range map[string]bool{"at Google": false, "and the grant, at a provider that rotates": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{RotateRefreshTokens: rotate}, func(t *testing.T, x *fixture) {
				process := &faultyStore{TokenStore: x.store}
				flow := x.flow(t, func(cfg *authflow.Config) { cfg.Store = process })
				creds := x.connect(t, flow)
				before := x.stored(t)
				pass(time.Hour)
				x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 2 * time.Second, Times: 1})
				ctx, crash := context.WithCancel(t.Context())
				go func() { _, _ = creds.TokenContext(ctx) }() // nobody reads it
				pass(time.Second)
				process.fail(errStoreDown, errStoreDown) // for ever: it is dead
				crash()
				pass(2 * time.Second)
				if held := x.stored(t); x.refreshes() != 1 || held.Lease == nil || held.RefreshToken != before.RefreshToken {
					t.Fatal("the process is not between refresh and store")
				}
				start := time.Now()
				served, err := credentials(t, x.flow(t)).Token()
				if took := time.Since(start); took < 55*time.Second || took > 65*time.Second {
					t.Errorf("another process was held up for %v", took)
				}
				after := x.stored(t)
				if after.RefreshToken != before.RefreshToken || after.Lease != nil || x.refreshes() != 2 {
					t.Errorf("after %d refreshes stored %+v", x.refreshes(), after)
				}
				if rotate { // the one who died had the successor
					ended(t, err, tokenstore.ReasonInvalidGrant)
				} else if err != nil || after.AccessToken != served.AccessToken || after.Status != tokenstore.Active {
					t.Errorf("Token: %v; stored %+v", err, after)
				}
			})
		})
	}
}

func TestARefusalOfATokenThatAnotherProcessRotatedMarksNothing(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		creds := x.connect(t, x.flow(t))
		used := x.stored(t).RefreshToken
		pass(time.Hour)
		x.google.Inject(gmailtest.Fault{
			Op: "token.refresh", Delay: 2 * time.Second, Match: forToken(used), Status: 400, Body: `{"error":"invalid_grant"}`,
		})
		waiter := waiting(t, creds)
		pass(time.Second)
		access, next, err := x.google.Grant(ada, gmailReadonly)
		if err != nil {
			t.Fatal(err)
		}
		x.change(t, func(g *tokenstore.Grant) {
			g.RefreshToken, g.AccessToken, g.Expiry, g.LastRefresh, g.Lease = next, access, time.Now().Add(time.Hour), time.Now(), nil
		})
		if served, err := waiter(); served != access || err != nil {
			t.Errorf("the caller got the other process's token: %v, %v", served == access, err)
		}
		if after := x.stored(t); after.Status != tokenstore.Active || after.RefreshToken != next || x.refreshes() != 1 {
			t.Errorf("after %d refreshes stored %+v", x.refreshes(), after)
		}
	})
}

func TestANetworkThatFailsMarksNoGrant(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]error{
		"a name that can't be looked up":     &net.DNSError{Err: "no such host", Name: "oauth2.googleapis.com", IsNotFound: true},
		"a resolver that does not answer":    &net.DNSError{Err: "i/o timeout", Name: "oauth2.googleapis.com", IsTimeout: true},
		"a port that is closed":              &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")},
		"a certificate of somebody else":     errors.New("tls: failed to verify certificate"),
		"a connection that ends in between ": io.ErrUnexpectedEOF,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				var down atomic.Bool
				flow := x.flow(t, func(cfg *authflow.Config) {
					next := cfg.HTTPClient.Transport
					cfg.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
						if down.Load() {
							return nil, cause
						}
						return next.RoundTrip(r)
					})}
				})
				creds := x.connect(t, flow)
				before := x.stored(t)
				down.Store(true)
				pass(55 * time.Minute)
				for range 4 { // minutes
					if token(t, creds) != before.AccessToken {
						t.Error("another token than the one that lives")
					}
					pass(time.Minute)
				}
				pass(time.Hour)
				_, err := creds.Token()
				if _, ok := errors.AsType[*authflow.RefreshError](err); !ok || !errors.Is(err, cause) {
					t.Errorf("Token: %v", err)
				}
				after := x.stored(t)
				if after.Status != tokenstore.Active || after.RefreshToken != before.RefreshToken || after.Lease != nil || after.LastError == "" {
					t.Errorf("stored %+v", after)
				}
				down.Store(false)
				pass(time.Minute)
				token(t, creds)
			})
		})
	}
}

func TestACorruptedRecordFailsItsOwnUserAlone(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		creds := x.connect(t, flow)
		x.crowd(t, 1, time.Hour)
		x.damage(t)
		live := token(t, creds)
		pass(time.Hour)
		_, err := creds.Token()
		unreadable, ok := errors.AsType[*tokenstore.UnsealError](err)
		if _, refresh := errors.AsType[*authflow.RefreshError](err); !ok || unreadable.UserID != adaID || !refresh {
			t.Errorf("Token: %v", err)
		}
		secrets{"the access token": live}.checkChain(t, "Token", err)
		if _, err := flow.GetStoredCredentials(t.Context(), adaID); !errors.As(err, &unreadable) {
			t.Errorf("GetStoredCredentials: %v", err)
		}
		if x.refreshes() != 0 {
			t.Error("the provider was asked")
		}
		other, err := flow.GetStoredCredentials(t.Context(), "crowd0")
		if err != nil {
			t.Fatal(err)
		}
		token(t, other)
		if rec, err := x.store.Get(t.Context(), "grant/"+adaID); err != nil || rec.Version != "damaged" {
			t.Errorf("the record did not stay as it is: %v", err)
		}
		if err := flow.Forget(t.Context(), adaID); err != nil {
			t.Error(err)
		}
		if _, err := x.store.Get(t.Context(), "grant/"+adaID); !errors.Is(err, tokenstore.ErrNotFound) {
			t.Errorf("Forget left the record: %v", err)
		}
	})
}

func TestOneOfAHundredWaitersCancelling(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		creds := x.connect(t, x.flow(t))
		pass(time.Hour)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 2 * time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := creds.TokenContext(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("the one who gave up: %v", err)
			}
		})
		pass(time.Second)
		for range 99 {
			all.Go(func() {
				if got, err := creds.TokenContext(t.Context()); err != nil || !got.Valid() {
					t.Errorf("one of those who wait on: %v", err)
				}
			})
		}
		cancel()
		all.Wait()
		if x.refreshes() != 1 {
			t.Errorf("%d refreshes", x.refreshes())
		}
	})
}
