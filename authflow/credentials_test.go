package authflow_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// grant stores a grant of Ada's without asking Google.
func (x *fixture) grant(t *testing.T) *tokenstore.Grant {
	t.Helper()
	now := time.Now()
	grant := &tokenstore.Grant{
		UserID: adaID, Email: ada, ID: "an earlier consent", ClientID: gmailtest.DefaultClient().ID,
		RefreshToken: "1//0the-stored-refresh-token", AccessToken: "ya29.the-stored-access-token",
		Expiry: now.Add(time.Hour), LastRefresh: now, Scopes: []string{gmailReadonly}, CreatedAt: now, UpdatedAt: now,
	}
	if err := x.grants(t).Put(t.Context(), grant); err != nil {
		t.Fatal(err)
	}
	return grant
}

// unchanged checks that Ada's stored grant is still before, to the version.
func (x *fixture) unchanged(t *testing.T, before *tokenstore.Grant) {
	t.Helper()
	x.store.fail(nil, nil)
	if after := x.stored(t); after.Version() != before.Version() || after.RefreshToken != before.RefreshToken {
		t.Errorf("the stored grant was %+v\nand is now %+v", before, after)
	}
}

func TestAFirstConsentIsStored(t *testing.T) {
	inBubble(t, gmailtest.Config{RefreshTokenLifetime: 7 * 24 * time.Hour}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		creds := x.connect(t, flow)
		want := []string{gmailReadonly, "openid", "https://www.googleapis.com/auth/userinfo.email"}
		if creds.UserID != adaID || creds.Email != ada || !slices.Equal(creds.Scopes, want) {
			t.Errorf("Credentials{%q, %q, %q}", creds.UserID, creds.Email, creds.Scopes)
		}
		got, now := x.stored(t), time.Now()
		if got.RefreshToken == "" || got.ID == "" || got.AccessToken != token(t, creds) {
			t.Errorf("stored %+v", got)
		}
		for name, same := range map[string]bool{
			"user":             got.UserID == adaID && got.Email == ada,
			"client":           got.ClientID == gmailtest.DefaultClient().ID,
			"scopes":           slices.Equal(got.Scopes, want),
			"expiry":           got.Expiry.Equal(now.Add(time.Hour)),
			"refresh's expiry": got.RefreshTokenExpiry.Equal(now.Add(7 * 24 * time.Hour)),
			"times":            got.CreatedAt.Equal(now) && got.UpdatedAt.Equal(now) && got.LastRefresh.Equal(now),
			"status":           got.Status == tokenstore.Active && got.Lease == nil && got.LastError == "",
		} {
			if !same {
				t.Errorf("%s: stored %+v", name, got)
			}
		}
		if again := credentials(t, flow); again.UserID != adaID || token(t, again) != got.AccessToken {
			t.Error("GetStoredCredentials gives another's")
		}
		if n := x.google.Count("token.refresh") + x.google.Count("userinfo"); n != 0 {
			t.Errorf("%d calls more than the exchange were made", n)
		}
	})
}

func TestANewConsentReplacesTheStoredGrant(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(*tokenstore.Grant){
		"that lives": func(*tokenstore.Grant) {},
		"that was revoked": func(g *tokenstore.Grant) {
			g.Status = tokenstore.Status{Revoked: true, Reason: tokenstore.ReasonInvalidGrant, At: time.Now()}
			g.AccessToken, g.LastError = "", "invalid_grant"
		},
		"that another client obtained":      func(g *tokenstore.Grant) { g.ClientID = "other" },
		"that a dead process is refreshing": func(g *tokenstore.Grant) { g.Lease = &tokenstore.Lease{Holder: "dead", Duration: time.Minute} },
		"that was limited in time":          func(g *tokenstore.Grant) { g.RefreshTokenExpiry = time.Now().Add(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				x.grant(t)
				x.change(t, damage)
				old := x.stored(t)
				pass(time.Minute)
				creds := x.connect(t, x.flow(t))
				got := x.stored(t)
				if got.ID == old.ID || got.RefreshToken == old.RefreshToken || got.ClientID != gmailtest.DefaultClient().ID {
					t.Errorf("stored %+v", got)
				}
				if got.Status != tokenstore.Active || got.Lease != nil || got.LastError != "" || !got.RefreshTokenExpiry.IsZero() {
					t.Errorf("something of the old grant is left in %+v", got)
				}
				if !got.CreatedAt.Equal(time.Now()) || got.AccessToken != token(t, creds) {
					t.Errorf("stored %+v", got)
				}
				if err := x.grants(t).Put(t.Context(), old); !errors.Is(err, tokenstore.ErrConflict) {
					t.Errorf("the old version came back: Put = %v", err)
				}
			})
		})
	}
}

func TestFewerScopesThanAskedForAreStoredAsGranted(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t, func(cfg *authflow.Config) { cfg.Scopes = []string{gmailReadonly, gmailSend} })
	browser := &gmailtest.Browser{Server: x.google, User: ada, Untick: []string{gmailSend}}
	back, err := browser.Visit(t.Context(), flow.GetAuthorizationURL(ada, "state"))
	if err != nil {
		t.Fatal(err)
	}
	creds, err := flow.GetCredentials(t.Context(), back.Query().Get("code"), "state")
	if err != nil {
		t.Fatal(err)
	}
	for _, scopes := range [][]string{creds.Scopes, x.stored(t).Scopes} {
		if slices.Contains(scopes, gmailSend) || !slices.Contains(scopes, gmailReadonly) {
			t.Errorf("scopes %q", scopes)
		}
	}
}

// Google sends a refresh token on a user's first consent only, unless it is told to ask again.

func TestWithoutARefreshTokenTheStoredGrantIsReturnedAsItIs(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		first := x.connect(t, flow)
		before := x.stored(t)
		pass(time.Minute)
		second := x.connect(t, flow, authflow.WithPrompt(""))
		x.unchanged(t, before)
		if !reflect.DeepEqual(first.Scopes, second.Scopes) || second.UserID != adaID || second.Email != ada {
			t.Errorf("Credentials{%q, %q, %q}", second.UserID, second.Email, second.Scopes)
		}
		if token(t, first) != before.AccessToken || token(t, second) != before.AccessToken {
			t.Error("the stored grant's token is not the one that is served")
		}
	})
}

func TestWithoutAnyRefreshTokenTheErrorLeadsToOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stored func(t *testing.T, x *fixture)
		cause  func(error) bool
	}{
		"where nothing is stored": {
			func(t *testing.T, x *fixture) {
				if err := x.grants(t).Delete(t.Context(), adaID); err != nil {
					t.Fatal(err)
				}
			},
			func(err error) bool { return errors.Is(err, tokenstore.ErrNotFound) },
		},
		"where the stored grant was revoked": {
			func(t *testing.T, x *fixture) {
				x.change(t, func(g *tokenstore.Grant) {
					g.Status = tokenstore.Status{Revoked: true, Reason: tokenstore.ReasonPolicy}
				})
			},
			func(err error) bool {
				ended, ok := errors.AsType[*authflow.ReauthorizationRequiredError](err)
				return ok && ended.Reason == tokenstore.ReasonPolicy && ended.UserID == adaID
			},
		},
		"where another client obtained the stored grant": {
			func(t *testing.T, x *fixture) { x.change(t, func(g *tokenstore.Grant) { g.ClientID = "other" }) },
			func(err error) bool {
				ended, ok := errors.AsType[*authflow.ReauthorizationRequiredError](err)
				return ok && ended.Reason == tokenstore.ReasonOtherClient
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			flow := x.flow(t)
			x.connect(t, flow)
			c.stored(t, x)
			before, _ := x.grants(t).Get(t.Context(), adaID)

			code, state := x.code(t, flow, authflow.WithPrompt(""))
			_, err := flow.GetCredentials(t.Context(), code, state)
			missing, ok := errors.AsType[*authflow.NoRefreshTokenError](err)
			if !ok || !c.cause(err) {
				t.Fatalf("GetCredentials: %v", err)
			}
			if missing.UserID != adaID || missing.Email != ada {
				t.Errorf("the error is %q's, %q", missing.UserID, missing.Email)
			}
			got := query(t, missing.AuthorizationURL)
			if got["login_hint"] != ada || got["prompt"] != "consent" || got["state"] != state || got["access_type"] != "offline" {
				t.Errorf("the URL has %q", got)
			}
			if before != nil {
				x.unchanged(t, before)
			}

			code, state, err = flow.ParseCallback(x.callback(t, missing.AuthorizationURL))
			if err != nil {
				t.Fatal(err)
			}
			creds, err := flow.GetCredentials(t.Context(), code, state)
			if err != nil {
				t.Fatalf("at the error's URL there is no new grant: %v", err)
			}
			if grant := x.stored(t); grant.Status.Revoked || grant.AccessToken != token(t, creds) {
				t.Errorf("stored %+v", grant)
			}
		})
	}
}

func TestGetStoredCredentialsNeedsAUsableGrant(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		if _, err := flow.GetStoredCredentials(t.Context(), adaID); !errors.Is(err, tokenstore.ErrNotFound) {
			t.Errorf("with nothing stored: %v", err)
		}
		x.grant(t)
		at := time.Now()
		for reason, change := range map[tokenstore.Reason]func(*tokenstore.Grant){
			tokenstore.ReasonOtherClient: func(g *tokenstore.Grant) { g.ClientID = "other" },
			tokenstore.ReasonExpired: func(g *tokenstore.Grant) {
				g.Status = tokenstore.Status{Revoked: true, Reason: tokenstore.ReasonExpired, At: at}
			},
		} {
			active := x.stored(t)
			x.change(t, change)
			before := x.stored(t)
			_, err := flow.GetStoredCredentials(t.Context(), adaID)
			ended, ok := errors.AsType[*authflow.ReauthorizationRequiredError](err)
			if !ok || ended.Reason != reason || ended.UserID != adaID || ended.Email != ada {
				t.Fatalf("%s: %v", reason, err)
			}
			if got := query(t, ended.AuthorizationURL); got["login_hint"] != ada || len(got["state"]) < 22 || got["prompt"] != "consent" {
				t.Errorf("%s: the URL has %q", reason, got)
			}
			if reason == tokenstore.ReasonExpired && !ended.At.Equal(at) {
				t.Errorf("%s: noticed at %v, want %v", reason, ended.At, at)
			}
			x.unchanged(t, before)
			x.change(t, func(g *tokenstore.Grant) { g.ClientID, g.Status = active.ClientID, active.Status })
		}
		other := x.flow(t, func(cfg *authflow.Config) { cfg.Keys = newKeyring(t) })
		_, err := other.GetStoredCredentials(t.Context(), adaID)
		if _, ok := errors.AsType[*tokenstore.UnsealError](err); !ok {
			t.Errorf("with another key: %v", err)
		}
	})
}

func TestAFailingStoreIsTheErrorsCause(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		get, put error
		prompt   string
	}{
		"reading before a new grant is written":         {errStoreDown, nil, "consent"},
		"writing the new grant":                         {nil, errStoreDown, "consent"},
		"reading the grant that stands in":              {errStoreDown, nil, ""},
		"everything, and it says why (context's error)": {context.DeadlineExceeded, context.DeadlineExceeded, "consent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			flow := x.flow(t)
			x.connect(t, flow)
			before := x.stored(t)
			code, state := x.code(t, flow, authflow.WithPrompt(c.prompt))
			x.store.fail(c.get, c.put)
			creds, err := flow.GetCredentials(t.Context(), code, state)
			if want := errors.Join(c.get, c.put); creds != nil || !errors.Is(err, c.get) && !errors.Is(err, c.put) {
				t.Errorf("GetCredentials: %v, want it to wrap %v", err, want)
			}
			if _, ok := errors.AsType[*authflow.NoRefreshTokenError](err); ok {
				t.Error("a store that is down is taken for one that is empty")
			}
			if !strings.HasPrefix(err.Error(), "authflow: ") || !strings.Contains(err.Error(), adaID) {
				t.Errorf("the error does not say where it happened and to whom: %v", err)
			}
			x.unchanged(t, before)
		})
	}
}

func TestAConsentThatMeetsAnotherWriterStillWins(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	x.connect(t, flow)
	before := x.stored(t)
	code, state := x.code(t, flow)
	x.store.interrupt(func() { x.change(t, func(g *tokenstore.Grant) { g.LastError = "written meanwhile" }) })
	if _, err := flow.GetCredentials(t.Context(), code, state); err != nil {
		t.Fatal(err)
	}
	if after := x.stored(t); after.ID == before.ID || after.LastError != "" {
		t.Errorf("the new consent is not stored, but %+v", after)
	}
}
