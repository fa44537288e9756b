package authflow_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// sessionKey is shared by Flows that differ otherwise.
func sessionKey(cfg *authflow.Config) { cfg.SessionKey = bytes.Repeat([]byte("k"), 32) }

func TestExchangeCodeReturnsTheTokens(t *testing.T) {
	inBubble(t, gmailtest.Config{RefreshTokenLifetime: 7 * 24 * time.Hour}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		code, state := x.code(t, flow)
		token, err := flow.ExchangeCode(t.Context(), code, state)
		if err != nil {
			t.Fatal(err)
		}
		if token.AccessToken == "" || token.RefreshToken == "" || !token.Expiry.Equal(time.Now().Add(time.Hour)) {
			t.Errorf("got an access token: %v, a refresh token: %v, expiry %v",
				token.AccessToken != "", token.RefreshToken != "", token.Expiry)
		}
		if user, err := flow.GetUserInfo(t.Context(), token); err != nil || user.ID != adaID {
			t.Errorf("GetUserInfo = %+v, %v", user, err)
		}
	})
}

func TestARefusedCodeIsACodeExchangeError(t *testing.T) {
	t.Parallel()
	other := gmailtest.Client{ID: "other.apps.googleusercontent.com", Secret: "the other client's secret"}
	for name, c := range map[string]struct {
		code   func(t *testing.T, x *fixture, code, state string) (string, string)
		config func(*authflow.Config) // of the Flow that exchanges the code
		want   authflow.ProviderError
		local  bool // the provider is not asked
	}{
		"a code that was used": {
			code: func(t *testing.T, x *fixture, code, state string) (string, string) {
				if _, err := x.flow(t, sessionKey).ExchangeCode(t.Context(), code, state); err != nil {
					t.Fatal(err)
				}
				return code, state
			},
			want: authflow.ProviderError{StatusCode: 400, Code: "invalid_grant", Description: "Bad Request"},
		},
		"a code that nobody issued": {
			code: func(_ *testing.T, _ *fixture, _, state string) (string, string) { return "made up", state },
			want: authflow.ProviderError{StatusCode: 400, Code: "invalid_grant", Description: "Malformed auth code."},
		},
		"a stolen code in another session": {
			code: func(_ *testing.T, _ *fixture, code, _ string) (string, string) { return code, authflow.NewState() },
			want: authflow.ProviderError{StatusCode: 400, Code: "invalid_grant", Description: "Invalid code verifier."},
		},
		"a stolen code without the session key": {
			config: func(cfg *authflow.Config) { cfg.SessionKey = bytes.Repeat([]byte("x"), 32) },
			want:   authflow.ProviderError{StatusCode: 400, Code: "invalid_grant", Description: "Invalid code verifier."},
		},
		"another client's code": {
			config: func(cfg *authflow.Config) { cfg.ClientID, cfg.ClientSecret = other.ID, other.Secret },
			want:   authflow.ProviderError{StatusCode: 400, Code: "invalid_grant", Description: "Bad Request"},
		},
		"a wrong client secret": {
			config: func(cfg *authflow.Config) { cfg.ClientSecret = "wrong" },
			want:   authflow.ProviderError{StatusCode: 401, Code: "invalid_client", Description: "Unauthorized"},
		},
		"a client that is unknown": {
			config: func(cfg *authflow.Config) { cfg.ClientID = "nobody.apps.googleusercontent.com" },
			want:   authflow.ProviderError{StatusCode: 401, Code: "invalid_client", Description: "The OAuth client was not found."},
		},
		"another redirect URL": {
			config: func(cfg *authflow.Config) { cfg.RedirectURL = "https://app.example/elsewhere" },
			want:   authflow.ProviderError{StatusCode: 400, Code: "redirect_uri_mismatch", Description: "Bad Request"},
		},
		"no code": {
			code:  func(_ *testing.T, _ *fixture, _, state string) (string, string) { return "", state },
			local: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{Clients: []gmailtest.Client{gmailtest.DefaultClient(), other}})
			x.connect(t, x.flow(t, sessionKey))
			before := x.stored(t)
			code, state := x.code(t, x.flow(t, sessionKey))
			if c.code != nil {
				code, state = c.code(t, x, code, state)
			}
			flow := x.flow(t, sessionKey, func(cfg *authflow.Config) {
				if c.config != nil {
					c.config(cfg)
				}
			})
			asked := x.google.Count("token.*")

			_, err := flow.GetCredentials(t.Context(), code, state)
			refused, ok := errors.AsType[*authflow.CodeExchangeError](err)
			if !ok {
				t.Fatalf("GetCredentials: %v; want *CodeExchangeError", err)
			}
			if answer, ok := errors.AsType[*authflow.ProviderError](err); ok == c.local || ok && *answer != c.want {
				t.Errorf("the provider's answer is %#v, want %#v", answer, c.want)
			}
			if got := query(t, refused.AuthorizationURL); got["state"] != state || got["prompt"] != "consent" {
				t.Errorf("the URL to start again at has %q", got)
			}
			if n := x.google.Count("token.*") - asked; n != 1 && !c.local || n != 0 && c.local {
				t.Errorf("the token endpoint was asked %d times", n)
			}
			x.unchanged(t, before)
		})
	}
}

func TestTheURLOfACodeExchangeErrorStartsAgain(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	_, err := flow.GetCredentials(t.Context(), "4/0Amade-up", authflow.NewState())
	refused, ok := errors.AsType[*authflow.CodeExchangeError](err)
	if !ok {
		t.Fatal(err)
	}
	code, state, err := flow.ParseCallback(x.callback(t, refused.AuthorizationURL))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flow.GetCredentials(t.Context(), code, state); err != nil {
		t.Error(err)
	}
}

func TestACodeIsSentOnceHoweverTheClientAuthenticates(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*authflow.Config)
		basic  bool
	}{
		"by default": {func(*authflow.Config) {}, false},
		"where the provider's style was left to detection": {func(cfg *authflow.Config) {
			cfg.Provider = authflow.Google()
			cfg.Provider.AuthStyle = 0
		}, false},
		"in a header": {func(cfg *authflow.Config) {
			cfg.Provider = authflow.Google()
			cfg.Provider.AuthStyle = 2
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			flow := x.flow(t, c.change)
			code, state := x.code(t, flow)
			var basic bool
			x.google.Inject(gmailtest.Fault{Op: "token.exchange", Status: http.StatusUnauthorized,
				Match: func(r *http.Request) bool { _, _, basic = r.BasicAuth(); return true }})
			if _, err := flow.ExchangeCode(t.Context(), code, state); err == nil {
				t.Error("a 401 is no error")
			}
			if n := x.google.Count("token.*"); n != 1 || basic != c.basic {
				t.Errorf("%d requests, with an Authorization header: %v", n, basic)
			}
		})
	}
}

func TestTheCallersContextEndsAnExchange(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		code, state := x.code(t, flow)
		x.google.Inject(gmailtest.Fault{Op: "token.exchange", Hang: true})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := flow.GetCredentials(ctx, code, state)
		if _, ok := errors.AsType[*authflow.CodeExchangeError](err); !ok || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("GetCredentials: %v", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
