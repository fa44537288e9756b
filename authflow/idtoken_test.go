package authflow_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// testKey is the key of an ID provider of the tests' own. Making one takes a while: they share it.
var testKey = sync.OnceValue(newTestKey)

func newTestKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

const testKeyID = "test key"

// serveKeys makes the provider publish testKey.
func (x *fixture) serveKeys(t *testing.T) {
	t.Helper()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: testKey().Public(), KeyID: testKeyID, Algorithm: string(jose.RS256), Use: "sig"},
	}}
	keys, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	x.google.Inject(gmailtest.Fault{Op: "certs", Body: string(keys)})
}

// serveIDToken makes the provider answer the next exchange with an ID token.
func (x *fixture) serveIDToken(t *testing.T, idToken string) {
	t.Helper()
	answer, err := json.Marshal(map[string]any{
		"access_token": "ya29.an-access-token-of-the-test", "refresh_token": "1//0a-refresh-token-of-the-test",
		"token_type": "Bearer", "expires_in": 3600, "id_token": idToken, "scope": "openid",
	})
	if err != nil {
		t.Fatal(err)
	}
	x.google.Inject(gmailtest.Fault{Op: "token.exchange", Times: 1, Body: string(answer)})
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, keyID string, claims map[string]any) string {
	t.Helper()
	options := new(jose.SignerOptions)
	if keyID != "" {
		options.WithHeader("kid", keyID)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

func signed(t *testing.T, claims map[string]any) string {
	t.Helper()
	return sign(t, jose.RS256, testKey(), testKeyID, claims)
}

// unsigned returns an ID token of alg none.
func unsigned(t *testing.T, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + encode(payload) + "."
}

// publicPEM is what an attacker knows of testKey, and hopes that it is taken for an HMAC key.
func publicPEM(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(testKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// idClaims are the claims of a good ID token for the authorization with that URL.
func idClaims(t *testing.T, authURL string) map[string]any {
	t.Helper()
	asked, now := query(t, authURL), time.Now()
	return map[string]any{
		"iss": "https://accounts.google.com", "aud": asked["client_id"], "azp": asked["client_id"], "sub": adaID,
		"email": ada, "email_verified": true, "nonce": asked["nonce"],
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

func TestAnIDTokenTellsTheUserOnlyIfItVerifies(t *testing.T) {
	t.Parallel()
	set := func(changes map[string]any) func(*testing.T, map[string]any) string {
		return func(t *testing.T, claims map[string]any) string {
			t.Helper()
			maps.Copy(claims, changes)
			maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
			return signed(t, claims)
		}
	}
	const client, other = "407408718192-gmailtest.apps.googleusercontent.com", "other.apps.googleusercontent.com"
	for name, c := range map[string]struct {
		idToken func(t *testing.T, claims map[string]any) string
		says    string // of why it is refused; "": it is good
	}{
		"a good one":                        {signed, ""},
		"a good one of Google's old issuer": {set(map[string]any{"iss": "accounts.google.com"}), ""},
		"a good one without azp":            {set(map[string]any{"azp": nil}), ""},
		"a good one for several audiences":  {set(map[string]any{"aud": []string{client, other}}), ""},
		"a good one whose flags are texts":  {set(map[string]any{"email_verified": "true"}), ""},
		"alg none":                          {unsigned, "ID token does not verify"},
		"HMAC with the public key": {func(t *testing.T, claims map[string]any) string {
			return sign(t, jose.HS256, publicPEM(t), testKeyID, claims)
		}, "ID token does not verify"},
		"an algorithm that is not Google's": {func(t *testing.T, claims map[string]any) string {
			return sign(t, jose.RS512, testKey(), testKeyID, claims)
		}, "ID token does not verify"},
		"a key that the provider does not publish": {func(t *testing.T, claims map[string]any) string {
			return sign(t, jose.RS256, newTestKey(), "unknown key", claims)
		}, "ID token does not verify"},
		"another key under a known name": {func(t *testing.T, claims map[string]any) string {
			return sign(t, jose.RS256, newTestKey(), testKeyID, claims)
		}, "ID token does not verify"},
		"a signature of other claims": {func(t *testing.T, claims map[string]any) string {
			head, rest, _ := strings.Cut(signed(t, claims), ".")
			_, signature, _ := strings.Cut(rest, ".")
			claims["sub"] = "somebody else"
			_, rest, _ = strings.Cut(signed(t, claims), ".")
			payload, _, _ := strings.Cut(rest, ".")
			return head + "." + payload + "." + signature
		}, "ID token does not verify"},
		"text that is no token":     {func(*testing.T, map[string]any) string { return "not.a.token" }, "ID token does not verify"},
		"another audience":          {set(map[string]any{"aud": other}), "audience"},
		"no audience":               {set(map[string]any{"aud": nil}), "audience"},
		"another issuer":            {set(map[string]any{"iss": "https://evil.example"}), "different provider"},
		"an issuer that looks like": {set(map[string]any{"iss": "https://accounts.google.com.evil.example"}), "different provider"},
		"no issuer":                 {set(map[string]any{"iss": nil}), "different provider"},
		"another nonce":             {set(map[string]any{"nonce": "another"}), "another authorization"},
		"no nonce":                  {set(map[string]any{"nonce": nil}), "another authorization"},
		"another authorized party":  {set(map[string]any{"aud": []string{client, other}, "azp": other}), "another client"},
		"expired":                   {set(map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}), "expired"},
		"no expiry":                 {set(map[string]any{"exp": nil}), "expired"},
		"from the future":           {set(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}), "before"},
		"no subject":                {set(map[string]any{"sub": nil}), "neither a sub nor an id"},
		"an empty subject":          {set(map[string]any{"sub": ""}), "neither a sub nor an id"},
		"a subject of a wrong type": {set(map[string]any{"sub": 17}), "ID token"},
		"two subjects":              {set(map[string]any{"id": "somebody else"}), "differ"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			flow := x.flow(t)
			before := x.grant(t)
			x.serveKeys(t)
			const state = "the-state"
			x.serveIDToken(t, c.idToken(t, idClaims(t, flow.GetAuthorizationURL("", state))))

			creds, err := flow.GetCredentials(t.Context(), "4/0Acode", state)
			if n := x.google.Count("userinfo"); n != 0 {
				t.Errorf("the userinfo endpoint was asked %d times: an ID token that does not verify must not fall back to it", n)
			}
			if c.says == "" {
				if err != nil || creds.UserID != adaID || creds.Email != ada {
					t.Errorf("GetCredentials = %+v, %v", creds, err)
				}
				return
			}
			nobody, ok := errors.AsType[*authflow.NoUserIDError](err)
			if !ok || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("GetCredentials = %+v, %v; want *NoUserIDError with %q", creds, err, c.says)
			}
			if got := query(t, nobody.AuthorizationURL); got["state"] != state || got["prompt"] != "consent" {
				t.Errorf("the URL has %q", got)
			}
			x.unchanged(t, before)
		})
	}
}
