package gmailtest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func fetch(t *testing.T, s *gmailtest.Server, url, token string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return do(t, s, req)
}

func publishedKeys(t *testing.T, s *gmailtest.Server) jose.JSONWebKeySet {
	t.Helper()
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(fetch(t, s, s.JWKSURL(), "").raw), &keys); err != nil {
		t.Fatal(err)
	}
	return keys
}

// verify returns the claims of an ID token, or false where none of the keys verifies it.
func verify(t *testing.T, keys jose.JSONWebKeySet, idToken string) (map[string]any, bool) {
	t.Helper()
	signed, err := jose.ParseSignedCompact(idToken, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	matching := keys.Key(signed.Signatures[0].Header.KeyID)
	if len(matching) == 0 {
		return nil, false
	}
	payload, err := signed.Verify(matching[0])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims, true
}

func TestIDTokenSaysWhoTheUserIs(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := newServer(t, gmailtest.Config{Now: func() time.Time { return now }})
	user := s.AddUser(gmailtest.User{Email: ada, Name: "Ada", HostedDomain: "example.com"}).User()
	a := exchange(t, s, consent(t, s, params{"nonce": "n-1", "scope": "openid email profile"}), nil)
	claims, ok := verify(t, publishedKeys(t, s), a.str("id_token"))
	if !ok {
		t.Fatal("no published key has the token's kid")
	}
	hash := sha256.Sum256([]byte(a.str("access_token")))
	id := gmailtest.DefaultClient().ID
	for name, want := range map[string]any{
		"iss": "https://accounts.google.com", "aud": id, "azp": id, "sub": user.Sub, "email": ada, "email_verified": true,
		"hd": "example.com", "name": "Ada", "nonce": "n-1", "at_hash": base64.RawURLEncoding.EncodeToString(hash[:16]),
		"iat": float64(now.Unix()), "exp": float64(now.Add(time.Hour).Unix()),
	} {
		if claims[name] != want {
			t.Errorf("%s = %v, want %v", name, claims[name], want)
		}
	}
	claims, _ = verify(t, publishedKeys(t, s), refresh(t, s, a.str("refresh_token"), nil).str("id_token"))
	if _, has := claims["nonce"]; has || claims["sub"] != user.Sub {
		t.Errorf("the claims of a refresh are %v, want the same sub and no nonce", claims)
	}
}

func TestIDTokenTellsOnlyWhatTheScopesAllow(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{Issuer: "accounts.google.com"})
	s.AddUser(gmailtest.User{Email: ada})
	claims, _ := verify(t, publishedKeys(t, s), tokens(t, s, "openid").str("id_token"))
	for _, name := range []string{"email", "email_verified", "name", "hd", "nonce"} {
		if v, has := claims[name]; has {
			t.Errorf("%s = %v, want none", name, v)
		}
	}
	if claims["iss"] != "accounts.google.com" {
		t.Errorf("iss = %v", claims["iss"])
	}
	if a := tokens(t, s, "email"); a.str("id_token") != "" {
		t.Error("an ID token came without the scope openid")
	}
}

func TestSigningKeysRotate(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	s.AddUser(gmailtest.User{Email: ada})
	var idTokens []string
	for range 3 {
		idTokens = append(idTokens, tokens(t, s, "openid").str("id_token"))
		if len(idTokens) < 3 {
			if err := s.RotateSigningKey(); err != nil {
				t.Fatal(err)
			}
		}
	}
	keys := publishedKeys(t, s)
	for i, want := range []bool{false, true, true} {
		if _, ok := verify(t, keys, idTokens[i]); ok != want {
			t.Errorf("token %d of 3 is verified: %t, want %t", i+1, ok, want)
		}
	}
}

func TestUserInfoNamesTheUserByVersion(t *testing.T) {
	t.Parallel()
	const v2, v3 = "https://www.googleapis.com/oauth2/v2/userinfo", "https://www.googleapis.com/oauth2/v3/userinfo"
	s := newServer(t, gmailtest.Config{})
	user := s.AddUser(gmailtest.User{Email: ada, Name: "Ada"}).User()
	all, emailOnly := tokens(t, s, "openid email profile").str("access_token"), tokens(t, s, "email").str("access_token")
	mailOnly := tokens(t, s, readonlyScope).str("access_token")
	for name, tc := range map[string]struct {
		url, token string
		status     int
		want       map[string]any
	}{
		"OpenID Connect":        {s.UserInfoURL(), all, 200, map[string]any{"sub": user.Sub, "email": ada, "email_verified": true, "name": "Ada", "id": nil}},
		"v3":                    {v3, emailOnly, 200, map[string]any{"sub": user.Sub, "email": ada, "name": nil}},
		"v2":                    {v2, all, 200, map[string]any{"id": user.Sub, "email": ada, "verified_email": true, "name": "Ada", "sub": nil, "email_verified": nil}},
		"v3, no token":          {v3, "", 401, map[string]any{"error": "invalid_request", "error_description": "Invalid Credentials"}},
		"v3, a bad token":       {v3, "ya29.x", 401, map[string]any{"error": "invalid_request"}},
		"v3, scopes of another": {v3, mailOnly, 403, map[string]any{"error": "access_denied"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := fetch(t, s, tc.url, tc.token)
			if a.status != tc.status {
				t.Errorf("answer = %d %s, want %d", a.status, a.raw, tc.status)
			}
			for claim, want := range tc.want {
				if a.body[claim] != want {
					t.Errorf("%s = %v, want %v", claim, a.body[claim], want)
				}
			}
		})
	}
	wantAPIError(t, fetch(t, s, v2, mailOnly), 403, "PERMISSION_DENIED", "insufficientPermissions",
		"Request had insufficient authentication scopes.")
	if a := fetch(t, s, v2, ""); a.status != 401 || a.at("error/status") != "UNAUTHENTICATED" || a.at("error/errors/0/reason") != "required" {
		t.Errorf("v2 without a token answers %d %s", a.status, a.raw)
	}
}

func TestSubsDependOnTheAddressAlone(t *testing.T) {
	t.Parallel()
	one, two := newServer(t, gmailtest.Config{}), newServer(t, gmailtest.Config{})
	two.AddUser(gmailtest.User{Email: "grace@example.com"})
	sub := one.AddUser(gmailtest.User{Email: ada}).User().Sub
	if got := two.AddUser(gmailtest.User{Email: "Ada@example.com"}).User().Sub; got != sub || len(sub) != 21 {
		t.Errorf("subs = %q and %q, want the same 21 digits", sub, got)
	}
	if one.AddUser(gmailtest.User{Email: ada}) != one.Mailbox("ADA@example.com") {
		t.Error("adding a user again made a second mailbox")
	}
}
