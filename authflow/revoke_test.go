package authflow_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// works reports whether Google still knows a refresh token.
func (x *fixture) works(t *testing.T, refreshToken string) bool {
	t.Helper()
	client := gmailtest.DefaultClient()
	resp, err := x.google.Client().PostForm(x.google.TokenURL(), url.Values{
		"client_id": {client.ID}, "client_secret": {client.Secret}, "grant_type": {"refresh_token"}, "refresh_token": {refreshToken},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// ended fails the test unless err says that the grant ended for a reason.
func ended(t *testing.T, err error, reason tokenstore.Reason) {
	t.Helper()
	if e, ok := errors.AsType[*authflow.ReauthorizationRequiredError](err); !ok || e.Reason != reason || e.UserID != adaID {
		t.Errorf("want that the grant has ended (%s), got: %v", reason, err)
	}
}

// pending fails the test unless err says that the provider is still to be told.
func pending(t *testing.T, err error) {
	t.Helper()
	if e, ok := errors.AsType[*authflow.RevocationPendingError](err); !ok || e.UserID != adaID || e.Err == nil {
		t.Errorf("want a revocation that is pending, got: %v", err)
	}
}

func TestRevokeTellsTheProviderAsRFC7009Wants(t *testing.T) {
	t.Parallel()
	client := gmailtest.DefaultClient()
	for name, c := range map[string]struct {
		style         oauth2.AuthStyle
		form          url.Values
		authorization bool
	}{
		"with the client in the form": {oauth2.AuthStyleInParams, url.Values{"client_id": {client.ID}, "client_secret": {client.Secret}}, false},
		"with the client in a header": {oauth2.AuthStyleInHeader, url.Values{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			flow := x.flow(t, func(cfg *authflow.Config) {
				cfg.Provider = authflow.Google()
				cfg.Provider.AuthStyle = c.style
			})
			x.connect(t, flow)
			before := x.stored(t)
			var asked *http.Request
			var form url.Values
			x.google.Inject(gmailtest.Fault{Op: "revoke", Match: func(r *http.Request) bool {
				body, _ := io.ReadAll(r.Body) // it is in memory
				asked, form = r, parseQuery(t, string(body))
				return false
			}})
			if err := flow.Revoke(t.Context(), adaID); err != nil {
				t.Fatal(err)
			}
			c.form.Set("token", before.RefreshToken)
			c.form.Set("token_type_hint", "refresh_token")
			if !reflect.DeepEqual(form, c.form) || asked.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
				t.Errorf("the provider was sent %v as %s", form, asked.Header.Get("Content-Type"))
			}
			user, password, ok := asked.BasicAuth()
			if ok != c.authorization || ok && (user != url.QueryEscape(client.ID) || password != url.QueryEscape(client.Secret)) {
				t.Errorf("the client authenticated as %q: %v", user, ok)
			}
			if x.works(t, before.RefreshToken) {
				t.Error("the grant lives on at Google")
			}
		})
	}
}

func parseQuery(t *testing.T, query string) url.Values {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Error(err)
	}
	return values
}

func TestARevokedGrantHasEndedEverywhere(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		flow, other := x.flow(t), x.flow(t)
		here, there := x.connect(t, flow), credentials(t, other)
		token(t, here)
		token(t, there)
		before := x.stored(t)
		noticed := time.Now()
		if err := flow.Revoke(t.Context(), adaID); err != nil {
			t.Fatal(err)
		}
		_, err := here.Token()
		ended(t, err, tokenstore.ReasonApplication)
		after := x.stored(t)
		if after.RefreshToken != "" || after.AccessToken != "" || !after.Status.Revoked || !after.Status.At.Equal(noticed) ||
			after.ID != before.ID || after.Email != ada || !after.CreatedAt.Equal(before.CreatedAt) {
			t.Errorf("stored %+v", after)
		}
		for err = nil; err == nil && time.Since(noticed) < 70*time.Second; pass(time.Second) {
			_, err = there.Token()
		}
		ended(t, err, tokenstore.ReasonApplication)
		if err := flow.Revoke(t.Context(), adaID); err != nil {
			t.Errorf("revoked again: %v", err)
		}
		if n := x.google.Count("revoke"); n != 1 {
			t.Errorf("the provider was told %d times", n)
		}
		again := x.connect(t, flow)
		if token(t, here) != token(t, again) || x.stored(t).Status != tokenstore.Active {
			t.Error("a new consent does not bring the grant back")
		}
	})
}

func TestRevokingAGrantThatEndedLeavesNoToken(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		creds := x.connect(t, flow)
		x.google.Revoke(ada)
		pass(time.Hour)
		_, err := creds.Token()
		ended(t, err, tokenstore.ReasonInvalidGrant)
		if err := flow.Revoke(t.Context(), adaID); err != nil {
			t.Fatal(err)
		}
		if after := x.stored(t); after.RefreshToken != "" || after.Status.Reason != tokenstore.ReasonInvalidGrant {
			t.Errorf("stored %+v, with a token: %v", after, after.RefreshToken != "")
		}
	})
}

func TestWhatCountsAsRevokedAtTheProvider(t *testing.T) {
	t.Parallel()
	text := http.Header{"Content-Type": {"text/plain"}}
	for name, c := range map[string]struct {
		fault gmailtest.Fault
		done  bool
	}{
		"an empty answer":                        {gmailtest.Fault{Status: 200}, true},
		"200 with whatever, as RFC 7009 says":    {gmailtest.Fault{Status: 200, Header: text, Body: "OK"}, true},
		"a token that the provider doesn't know": {gmailtest.Fault{Status: 400, Body: `{"error":"invalid_token"}`}, true},
		"another refusal":                        {gmailtest.Fault{Status: 400, Body: `{"error":"invalid_request"}`}, false},
		"a client that is refused":               {gmailtest.Fault{Status: 401, Body: `{"error":"invalid_client"}`}, false},
		"an outage":                              {gmailtest.Fault{Status: 503}, false},
		"an outage that speaks of invalid_token": {gmailtest.Fault{Status: 500, Body: `{"error":"invalid_token"}`}, false},
		"a redirect":                             {gmailtest.Fault{Status: 307, Header: http.Header{"Location": {"https://elsewhere.example/"}}}, false},
		"a connection that breaks":               {gmailtest.Fault{Drop: true}, false},
		"no answer":                              {gmailtest.Fault{Hang: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				flow := x.flow(t)
				creds := x.connect(t, flow)
				secret := x.stored(t).RefreshToken
				c.fault.Op = "revoke"
				mend := x.google.Inject(c.fault)
				start := time.Now()
				err := flow.Revoke(t.Context(), adaID)
				if c.done && err != nil {
					t.Errorf("Revoke: %v", err)
				}
				if !c.done {
					pending(t, err)
					secrets{"the refresh token": secret}.checkChain(t, "Revoke", err)
				}
				if took := time.Since(start); took > 15*time.Second {
					t.Errorf("it took %v", took)
				}
				_, err = creds.Token()
				ended(t, err, tokenstore.ReasonApplication)
				mend()
				told, err := x.flow(t).RetryRevocations(t.Context())
				if want := map[bool]int{false: 1, true: 0}[c.done]; told != want || err != nil {
					t.Errorf("RetryRevocations told %d, want %d: %v", told, want, err)
				}
				if !c.done && x.works(t, secret) {
					t.Error("the provider was not told")
				}
			})
		})
	}
}

func TestWithoutARevocationEndpointNothingIsDone(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t, func(cfg *authflow.Config) {
		cfg.Provider = authflow.Google()
		cfg.Provider.RevokeURL = ""
	})
	creds := x.connect(t, flow)
	before := x.stored(t)
	if err := flow.Revoke(t.Context(), adaID); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Revoke: %v", err)
	}
	x.unchanged(t, before)
	token(t, creds)
}

func TestNobodysGrantIsNotFound(t *testing.T) {
	t.Parallel()
	flow := newFixture(t, gmailtest.Config{}).flow(t)
	for name, err := range map[string]error{
		"Revoke":      flow.Revoke(t.Context(), "nobody"),
		"MarkRevoked": flow.MarkRevoked(t.Context(), "nobody", tokenstore.ReasonUser),
	} {
		if !errors.Is(err, tokenstore.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := flow.Forget(t.Context(), "nobody"); err != nil {
		t.Errorf("Forget: %v", err)
	}
}

func TestARevocationDuringARefreshIsFinal(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(context.Context, *authflow.Flow) error{
		"by Revoke": func(ctx context.Context, f *authflow.Flow) error { return f.Revoke(ctx, adaID) },
		"by MarkRevoked": func(ctx context.Context, f *authflow.Flow) error {
			return f.MarkRevoked(ctx, adaID, tokenstore.ReasonApplication)
		},
	} {
		for where, elsewhere := range map[string]bool{"here": false, "in another process": true} {
			t.Run(name+" "+where, func(t *testing.T) {
				inBubble(t, gmailtest.Config{RotateRefreshTokens: true}, func(t *testing.T, x *fixture) {
					flow := x.flow(t)
					creds := x.connect(t, flow)
					pass(30 * time.Minute)
					rejected := token(t, creds)
					pass(30 * time.Minute)
					x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 2 * time.Second})
					waiter := waiting(t, creds)
					pass(time.Second)
					by := flow
					if elsewhere {
						by = x.flow(t)
					}
					if err := end(t.Context(), by); err != nil {
						t.Fatal(err)
					}
					got, err := waiter()
					ended(t, err, tokenstore.ReasonApplication)
					if got != "" {
						t.Error("a token is served that came too late")
					}
					pass(time.Minute)
					_, err = creds.Refresh(t.Context(), rejected)
					ended(t, err, tokenstore.ReasonApplication)
					if after := x.stored(t); after.RefreshToken != "" || after.AccessToken != "" || !after.Status.Revoked {
						t.Errorf("stored %+v", after)
					}
				})
			})
		}
	}
}

func TestALiveTokenIsDroppedWhileItIsRefreshed(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		creds := x.connect(t, flow)
		pass(55 * time.Minute)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Hang: true})
		token(t, creds) // a refresh begins in the background
		synctest.Wait()
		if err := flow.Revoke(t.Context(), adaID); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if got, err := creds.TokenContext(ctx); err == nil {
			t.Errorf("a token of a revoked grant is served, which is good until %v", got.Expiry)
		}
	})
}

func TestATokenOfARevokedGrantIsNotServedWhereTheStoreFails(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		creds := x.connect(t, flow)
		pass(time.Hour)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 2 * time.Second})
		waiter := waiting(t, creds)
		pass(time.Second)
		if err := flow.Revoke(t.Context(), adaID); err != nil {
			t.Fatal(err)
		}
		x.store.fail(errStoreDown, errStoreDown)
		if _, err := waiter(); err == nil {
			t.Error("the refresh that was under way serves a token, which the store could not be asked about")
		}
		if _, err := creds.Token(); err == nil {
			t.Error("a token is served")
		}
	})
}

func TestARevocationThatTheStoreRefusesIsNotMade(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	creds := x.connect(t, flow)
	for name, fail := range map[string][2]error{"reading": {errStoreDown, nil}, "writing": {nil, errStoreDown}} {
		x.store.fail(fail[0], fail[1])
		err := flow.Revoke(t.Context(), adaID)
		if _, ok := errors.AsType[*authflow.RevocationPendingError](err); ok || !errors.Is(err, errStoreDown) {
			t.Errorf("%s: Revoke: %v", name, err)
		}
		if err := flow.MarkRevoked(t.Context(), adaID, tokenstore.ReasonUser); !errors.Is(err, errStoreDown) {
			t.Errorf("%s: MarkRevoked: %v", name, err)
		}
		if err := flow.Forget(t.Context(), adaID); !errors.Is(err, errStoreDown) {
			t.Errorf("%s: Forget: %v", name, err)
		}
	}
	x.store.fail(nil, nil)
	if x.google.Count("revoke") != 0 {
		t.Error("the provider was told, and the store does not know")
	}
	token(t, creds)
}
