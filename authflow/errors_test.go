package authflow_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// secrets are what no text may show, not even a large part of it.
type secrets map[string]string

// in returns the names of the secrets in text.
func (s secrets) in(text string) []string {
	const part = 18 // characters: less than this of a random token is no use to anybody
	var names []string
	for name, secret := range s {
		if strings.Contains(text, secret[:min(part, len(secret))]) || strings.Contains(text, secret[max(0, len(secret)-part):]) {
			names = append(names, name)
		}
	}
	return names
}

// check fails the test where value, shown in whichever way, shows a secret.
func (s secrets) check(t *testing.T, what string, value any) {
	t.Helper()
	for form, text := range shown(value) {
		if names := s.in(text); len(names) > 0 {
			t.Errorf("%s: %s shows %s: %.900s", what, form, strings.Join(names, ", "), text)
			return // the others do, too
		}
	}
}

// checkChain checks err and everything that it wraps.
func (s secrets) checkChain(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	s.check(t, fmt.Sprintf("%s: %T", what, err), err)
	s.checkChain(t, what, errors.Unwrap(err))
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		for _, err := range joined.Unwrap() {
			s.checkChain(t, what, err)
		}
	}
}

// sent are the secrets of a token request, together with those that the provider need not know.
func (s secrets) sent(body []byte) secrets {
	form, _ := url.ParseQuery(string(body))
	for _, name := range []string{"code", "code_verifier", "refresh_token", "client_secret"} {
		if value := form.Get(name); value != "" {
			s[name] = value
		}
	}
	return s
}

var secretSessionKey = []byte("the session key of these tests, which nobody may see")

// formSecrets are those of Flows with secretSessionKey.
func formSecrets() secrets {
	return secrets{
		"session key":            string(secretSessionKey),
		"session key in base64":  base64.StdEncoding.EncodeToString(secretSessionKey),
		"session key in hex":     fmt.Sprintf("%x", secretSessionKey),
		"session key as numbers": strings.Trim(fmt.Sprintf("%d", secretSessionKey), "[]"),
	}
}

// An echo is an answer that shows all that it was asked with. body is the request's.
type echo func(body string) (status int, header http.Header, answer string)

// jsonText is text in a JSON string.
func jsonText(text string) string {
	quoted, _ := json.Marshal(text)
	return string(quoted)
}

func decoded(body string) string {
	text, _ := url.QueryUnescape(body)
	return text
}

// echoes are the ways in which providers, and whatever is in between, have been seen to repeat what they were sent.
func echoes() map[string]echo {
	page := func(text string) string { return "<h1>Bad request</h1><pre>" + text + "</pre>" }
	errorWith := func(field string, show func(string) string) echo {
		return func(body string) (int, http.Header, string) {
			other := `"error":"invalid_request",`
			if field == "error" {
				other = ""
			}
			return 400, jsonType(), `{` + other + `"` + field + `":` + jsonText(show(body)) + `}`
		}
	}
	padded := func(n int) func(string) string {
		return func(body string) string { return strings.Repeat("x", n) + body }
	}
	all := map[string]echo{
		"an error code":                 errorWith("error", decoded),
		"a description":                 errorWith("error_description", decoded),
		"a description, as it was sent": errorWith("error_description", func(body string) string { return body }),
		"a description, escaped":        errorWith("error_description", url.PathEscape),
		"a description in quotes":       errorWith("error_description", func(body string) string { return fmt.Sprintf("%q", body) }),
		"an error URI":                  errorWith("error_uri", func(body string) string { return "https://accounts.google.com/error?" + body }),
		"a subtype":                     errorWith("error_subtype", decoded),
		"a page of status 400":          func(body string) (int, http.Header, string) { return 400, nil, page(decoded(body)) },
		"a page of status 502":          func(body string) (int, http.Header, string) { return 502, nil, page(decoded(body)) },
		"a page of status 200":          func(body string) (int, http.Header, string) { return 200, nil, page(decoded(body)) },
		"a plain text": func(body string) (int, http.Header, string) {
			return 400, http.Header{"Content-Type": {"text/plain"}}, "error=" + body
		},
		"a number that is none": func(body string) (int, http.Header, string) {
			return 200, jsonType(), `{"access_token":"a","expires_in":` + jsonText(decoded(body)) + `}`
		},
		"a number that is none, escaped": func(body string) (int, http.Header, string) {
			return 200, jsonType(), `{"access_token":"a","expires_in":` + jsonText(body) + `}`
		},
		"a token type": func(body string) (int, http.Header, string) {
			return 200, jsonType(), `{"access_token":"a","token_type":` + jsonText(decoded(body)) + `}`
		},
		"broken JSON": func(body string) (int, http.Header, string) { return 200, jsonType(), body },
	}
	for n := 0; n <= 130; n += 10 { // the text is cut somewhere within a secret
		all[fmt.Sprintf("a description of which %d characters come before", n)] = errorWith("error_description", padded(n))
	}
	for name, show := range map[string]func(string) string{"": decoded, ", escaped": url.QueryEscape, ", as it was sent": func(s string) string { return s }} {
		inHeader := func(status int, key, prefix string) echo {
			return func(body string) (int, http.Header, string) {
				return status, http.Header{key: {prefix + show(body)}}, ""
			}
		}
		all["a redirect"+name] = inHeader(307, "Location", "https://evil.example/?")
		all["a redirect that is no URL"+name] = inHeader(302, "Location", "https://evil.example:port/%zz?")
		all["a header"+name] = inHeader(401, "Www-Authenticate", "Basic realm=")
		all["a pause"+name] = inHeader(429, "Retry-After", "")
		all["a content type"+name] = func(body string) (int, http.Header, string) {
			return 200, http.Header{"Content-Type": {"text/x-" + show(body)}}, "sorry"
		}
	}
	return all
}

// echoing makes the token endpoint answer as e says, and returns the secrets that it was sent, once there was a request.
func (x *fixture) echoing(op string, e echo) func() secrets {
	found := formSecrets()
	x.google.Inject(gmailtest.Fault{Op: op, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		found.sent(body)
		status, header, answer := e(string(body))
		maps.Copy(w.Header(), header)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	})})
	return func() secrets { return found }
}

func withSessionKey(cfg *authflow.Config) { cfg.SessionKey = slices.Clone(secretSessionKey) }

func TestNoErrorOfAnExchangeShowsASecret(t *testing.T) {
	t.Parallel()
	for name, e := range echoes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			flow := x.flow(t, withSessionKey)
			code, state := x.code(t, flow)
			sent := x.echoing("token.exchange", e)
			_, err := flow.GetCredentials(t.Context(), code, state)
			if _, ok := errors.AsType[*authflow.CodeExchangeError](err); !ok {
				t.Fatalf("GetCredentials: %v", err)
			}
			secrets := sent()
			if secrets["code"] != code || secrets["code_verifier"] == "" || secrets["client_secret"] == "" {
				t.Fatalf("the provider was sent %d secrets only", len(secrets))
			}
			secrets.checkChain(t, "error", err)
		})
	}
}

func TestNoErrorOfARefreshShowsASecret(t *testing.T) {
	t.Parallel()
	for name, e := range echoes() {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				flow := x.flow(t, withSessionKey)
				creds := x.connect(t, flow)
				before := x.stored(t)
				sent := x.echoing("token.refresh", e)
				pass(time.Hour)
				_, err := creds.Token()
				if _, ok := errors.AsType[*authflow.RefreshError](err); !ok {
					t.Fatalf("Token: %v", err)
				}
				secrets := sent()
				if secrets["refresh_token"] != before.RefreshToken || secrets["client_secret"] == "" {
					t.Fatalf("the provider was sent %d secrets only", len(secrets))
				}
				secrets["access token"] = before.AccessToken
				secrets.checkChain(t, "error", err)
				after := x.stored(t)
				if after.LastError == "" || after.RefreshToken != before.RefreshToken || after.Status.Revoked {
					t.Errorf("stored %+v", after)
				}
				secrets.check(t, "stored", *after)
			})
		})
	}
}

func TestNoErrorAboutAGrantShowsASecret(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		secrets := formSecrets()
		secrets["client secret"] = gmailtest.DefaultClient().Secret
		flow := x.flow(t, withSessionKey)
		creds := x.connect(t, flow)
		grant := x.stored(t)
		secrets["refresh token"], secrets["access token"] = grant.RefreshToken, grant.AccessToken

		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Status: 400, Body: `{"error":"invalid_grant","error_subtype":"invalid_rapt",` +
			`"error_description":` + jsonText("the token "+grant.RefreshToken+" of "+gmailtest.DefaultClient().Secret+" has ended") + `}`})
		pass(time.Hour)
		_, err := creds.Token()
		ended, ok := errors.AsType[*authflow.ReauthorizationRequiredError](err)
		if !ok || ended.Reason != tokenstore.ReasonPolicy {
			t.Fatalf("Token: %v", err)
		}
		if answer, ok := errors.AsType[*authflow.ProviderError](err); !ok || answer.Code != "invalid_grant" || answer.Subtype != "invalid_rapt" {
			t.Errorf("the cause is %#v", answer)
		}
		secrets.checkChain(t, "ReauthorizationRequiredError", err)
		secrets.check(t, "stored", x.stored(t))

		code, state := x.code(t, flow, authflow.WithPrompt("none"))
		secrets["code"] = code
		_, err = flow.GetCredentials(t.Context(), code, state)
		if _, ok := errors.AsType[*authflow.NoRefreshTokenError](err); !ok {
			t.Fatalf("GetCredentials: %v", err)
		}
		if _, ok := errors.AsType[*authflow.ReauthorizationRequiredError](err); !ok {
			t.Errorf("the stored grant's end is not the cause of: %v", err)
		}
		secrets.checkChain(t, "NoRefreshTokenError", err)
	})
}

func TestNoErrorAboutTheUserShowsASecret(t *testing.T) {
	t.Parallel()
	const access, refresh = "ya29.an-access-token-of-the-test", "1//0a-refresh-token-of-the-test"
	const code, state = "4/0Aan-authorization-code", "the-state"
	for name, change := range map[string]func(claims map[string]any){
		"in the issuer":   func(claims map[string]any) { claims["iss"] = access + refresh + code },
		"in the audience": func(claims map[string]any) { claims["aud"] = []string{access, refresh, code} },
		"in a subject":    func(claims map[string]any) { claims["sub"] = map[string]string{access: refresh} },
		"in the nonce":    func(claims map[string]any) { claims["nonce"] = access + refresh + code },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			flow := x.flow(t, withSessionKey)
			x.serveKeys(t)
			claims := idClaims(t, flow.GetAuthorizationURL("", state))
			change(claims)
			idToken := signed(t, claims)
			x.serveIDToken(t, idToken)
			_, err := flow.GetCredentials(t.Context(), code, state)
			if _, ok := errors.AsType[*authflow.NoUserIDError](err); !ok {
				t.Fatalf("GetCredentials: %v", err)
			}
			secrets := formSecrets()
			secrets["code"], secrets["access token"], secrets["refresh token"], secrets["ID token"] = code, access, refresh, idToken
			secrets.checkChain(t, "NoUserIDError", err)
		})
	}
}

func TestNoValueShowsASecret(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		secrets := formSecrets()
		secrets["client secret"] = gmailtest.DefaultClient().Secret
		flow := x.flow(t, withSessionKey)
		creds := x.connect(t, flow)
		grant := x.stored(t)
		secrets["refresh token"], secrets["access token"] = grant.RefreshToken, grant.AccessToken
		cfg := x.config()
		withSessionKey(&cfg)
		for name, value := range map[string]any{
			"a Config": cfg, "a pointer to a Config": &cfg, "a Flow": flow, "Credentials": creds, "Credentials by value": *creds,
			"a Grant": *grant, "a pointer to a Grant": grant,
			"a struct that holds them": struct {
				Config authflow.Config
				Flow   *authflow.Flow
				Creds  authflow.Credentials
				Grant  tokenstore.Grant
			}{cfg, flow, *creds, *grant},
		} {
			secrets.check(t, name, value)
		}
	})
}

func TestErrorsAreFoundThroughEveryLayer(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		creds := x.connect(t, flow)
		refusal := gmailtest.TokenError("invalid_client", "Unauthorized")
		refusal.Times = 1
		x.google.Inject(refusal)
		pass(time.Hour)
		_, err := creds.Token()
		failed, ok := errors.AsType[*authflow.RefreshError](fmt.Errorf("a job: %w", err))
		if !ok || failed.UserID != adaID {
			t.Fatalf("Token: %v", err)
		}
		answer, ok := errors.AsType[*authflow.ProviderError](err)
		want := authflow.ProviderError{StatusCode: 401, Code: "invalid_client", Description: "Unauthorized"}
		if !ok || *answer != want {
			t.Errorf("the cause is %#v, want %#v", answer, want)
		}

		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Hang: true})
		pass(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := creds.TokenContext(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a context that ends first: %v", err)
		}

		_, err = flow.GetStoredCredentials(t.Context(), "nobody")
		if !errors.Is(err, tokenstore.ErrNotFound) || !strings.Contains(err.Error(), "nobody") {
			t.Errorf("of a user who never consented: %v", err)
		}
	})
}
