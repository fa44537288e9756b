package authflow_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// An answering transport is a provider that answers the token endpoint with one body and publishes keys.
type answering struct{ token, keys []byte }

func (a answering) RoundTrip(req *http.Request) (*http.Response, error) {
	body := a.token
	if strings.HasSuffix(req.URL.Path, "/certs") {
		body = a.keys
	}
	return &http.Response{
		StatusCode: http.StatusOK, Request: req, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(string(body))),
	}, nil
}

// flowAnswered returns a Flow whose provider answers every exchange with token.
func flowAnswered(t testing.TB, token, keys []byte) *authflow.Flow {
	t.Helper()
	flow, err := authflow.New(authflow.Config{
		ClientID: "client", ClientSecret: "the-client's-own-secret", RedirectURL: redirectURL, Scopes: []string{gmailReadonly},
		Store: tokenstore.NewMemory(), Keys: nopAEAD{}, HTTPClient: &http.Client{Transport: answering{token, keys}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = flow.Close() })
	return flow
}

func FuzzTokenResponse(f *testing.F) {
	for _, answer := range []string{
		"", "{}", "[]", `{"access_token":"a"}`, `{"access_token":"a","expires_in":"3600","token_type":"bearer"}`,
		`{"access_token":"a","expires_in":-1}`, `{"access_token":"a","expires_in":9223372036854775807}`, `{"access_token":"a","expires_in":1e99}`,
		`{"access_token":"a","refresh_token_expires_in":1e308,"refresh_token":"r","scope":"x  y"}`, `{"access_token":"a","token_type":"mac"}`,
		`{"error":"invalid_grant","error_description":"the-client's-own-secret"}`, `{"access_token":{}}`, "\xff\xfe{",
	} {
		f.Add([]byte(answer))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		flow := flowAnswered(t, answer, nil)
		before := time.Now()
		token, err := flow.ExchangeCode(t.Context(), "4/the-code-of-the-callback", "a state")
		if err != nil {
			if _, ok := errors.AsType[*authflow.CodeExchangeError](err); !ok {
				t.Errorf("%q gives %T %v", answer, err, err)
			}
			for _, secret := range []string{"the-client's-own-secret", "4/the-code-of-the-callback"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q: the error shows %q", answer, secret)
				}
			}
			return
		}
		if lives := token.Expiry.Sub(before); token.AccessToken == "" || lives <= 0 || lives > 24*time.Hour+time.Minute {
			t.Errorf("%q gives a token that lives %v", answer, lives)
		}
		if token.TokenType != "" && !strings.EqualFold(token.TokenType, "bearer") {
			t.Errorf("%q gives a token of type %q", answer, token.TokenType)
		}
	})
}

// Whatever is made of an ID token, it tells of no other user than the one whom the provider signed.
func FuzzIDToken(f *testing.F) {
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: testKey().Public(), KeyID: testKeyID, Algorithm: string(jose.RS256), Use: "sig"},
	}})
	if err != nil {
		f.Fatal(err)
	}
	now := time.Now()
	claims := map[string]any{
		"iss": "https://accounts.google.com", "aud": "client", "azp": "client", "sub": adaID, "email": ada,
		"iat": now.Unix(), "exp": now.Add(24 * time.Hour).Unix(),
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		f.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: testKey()},
		new(jose.SignerOptions).WithHeader("kid", testKeyID))
	if err != nil {
		f.Fatal(err)
	}
	genuine, err := signer.Sign(payload)
	if err != nil {
		f.Fatal(err)
	}
	compact, err := genuine.CompactSerialize()
	if err != nil {
		f.Fatal(err)
	}
	flow := flowAnswered(f, nil, keys)
	identify := func(t testing.TB, raw string) (*authflow.UserInfo, error) {
		t.Helper()
		token := (&oauth2.Token{AccessToken: "ya29.an-access-token"}).WithExtra(map[string]any{"id_token": raw})
		return flow.GetUserInfo(t.Context(), token)
	}
	if user, err := identify(f, compact); err != nil || user.ID != adaID {
		f.Fatalf("the genuine ID token gives %v, %v", user, err)
	}
	header, rest, _ := strings.Cut(compact, ".")
	f.Add(compact)
	f.Add(genuine.FullSerialize())
	f.Add("eyJhbGciOiJub25lIn0." + strings.Split(rest, ".")[0] + ".")
	f.Add(header + ".e30." + strings.Split(rest, ".")[1])
	f.Add("..")
	f.Fuzz(func(t *testing.T, raw string) {
		if raw == "" {
			return // then the userinfo endpoint is asked
		}
		user, err := identify(t, raw)
		if err == nil && (user.ID != adaID || user.Email != ada) {
			t.Errorf("%q is taken for an ID token of %+v", raw, user)
		}
		if err != nil && len(raw) > 20 && strings.Contains(err.Error(), raw) {
			t.Errorf("the error shows the ID token: %v", err)
		}
	})
}
