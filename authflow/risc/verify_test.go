package risc_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mailgrant/mailgrant/authflow/risc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// signAs is genuine for a token whose header says of which type it is.
func signAs(typ jose.ContentType, claims map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: googleKey()},
		new(jose.SignerOptions).WithHeader("kid", "a key").WithType(typ))
	if err != nil {
		panic(err)
	}
	return serialized(signer, claims)
}

func TestForgedAndForeignEventsChangeNothing(t *testing.T) {
	t.Parallel()
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good := claims(risc.TokensRevoked, about(adaID))
	with := func(name string, value any) string {
		c := maps.Clone(good)
		c[name] = value
		return genuine(c)
	}
	without := func(name string) string {
		c := maps.Clone(good)
		delete(c, name)
		return genuine(c)
	}
	whole := genuine(good)
	parts := strings.Split(whole, ".")
	foreign := about(adaID)
	foreign["subject"].(map[string]any)["iss"] = "https://idp.example/"
	nobodys := about(adaID)
	delete(nobodys["subject"].(map[string]any), "iss")
	// Google signs it with the same keys.
	idToken := map[string]any{
		"iss": "https://accounts.google.com", "aud": client, "sub": adaID, "jti": "1", "iat": time.Now().Unix(), "exp": time.Now().Unix() + 3600,
	}
	many := make(map[string]any)
	for i := range 20 {
		many[string(risc.TokensRevoked)+strings.Repeat("x", i)] = about(adaID)
	}
	for name, c := range map[string]struct{ token, code string }{
		"nothing":                {"", "invalid_request"},
		"no JWT":                 {"hello", "invalid_request"},
		"a megabyte":             {strings.Repeat("a", 1<<20), "invalid_request"},
		"alg none":               {base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", "invalid_request"},
		"HS256":                  {sign(jose.HS256, []byte(strings.Repeat("k", 32)), "a key", good), "invalid_request"},
		"a stranger's key":       {sign(jose.RS256, stranger, "a key", good), "invalid_key"},
		"an unknown key":         {sign(jose.RS256, stranger, "another key", good), "invalid_key"},
		"changed claims":         {parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://accounts.google.com/"}`)) + "." + parts[2], "invalid_key"},
		"another issuer":         {with("iss", "https://accounts.google.com.evil.example/"), "invalid_issuer"},
		"another audience":       {with("aud", "somebody else's client"), "invalid_audience"},
		"other audiences":        {with("aud", []string{"a", "b"}), "invalid_audience"},
		"an audience of numbers": {with("aud", 7), "invalid_request"},
		"no audience":            {without("aud"), "invalid_audience"},
		"no jti":                 {without("jti"), "invalid_request"},
		"an endless jti":         {with("jti", strings.Repeat("j", 2000)), "invalid_request"},
		"no iat":                 {without("iat"), "invalid_request"},
		"a future iat":           {with("iat", time.Now().Add(time.Hour).Unix()), "invalid_request"},
		"an iat of last month":   {with("iat", time.Now().AddDate(0, -1, 0).Unix()), "invalid_request"},
		"an iat in words":        {with("iat", "yesterday"), "invalid_request"},
		"an iat beyond all time": {with("iat", 1e300), "invalid_request"},
		"an exp of an hour ago":  {with("exp", time.Now().Add(-time.Hour).Unix()), "invalid_request"},
		"another type of JWT":    {signAs("at+jwt", good), "invalid_request"},
		"no type of JWT":         {signAs("", good), "invalid_request"},
		"an ID token":            {genuine(idToken), "invalid_request"},
		"no events":              {without("events"), "invalid_request"},
		"events in a list":       {with("events", []any{about(adaID)}), "invalid_request"},
		"twenty events":          {with("events", many), "invalid_request"},
		"another issuer's user":  {with("events", map[string]any{string(risc.TokensRevoked): foreign}), "invalid_request"},
		"nobody's user":          {with("events", map[string]any{string(risc.TokensRevoked): nobodys}), "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApplication(t)
			a.consent(t)
			status, body := a.deliver(t, c.token)
			if status != 400 || !strings.Contains(body, `"err":"`+c.code+`"`) {
				t.Errorf("answered %d %s, want 400 and %s", status, body, c.code)
			}
			if !a.alive(t) || len(a.told()) > 0 {
				t.Errorf("alive: %t, told %+v", a.alive(t), a.told())
			}
		})
	}
}

func TestWhatGoogleMayWriteIsTaken(t *testing.T) {
	t.Parallel()
	asIs := func(_, _ map[string]any) {}
	for name, c := range map[string]struct {
		typ    jose.ContentType
		change func(claims, subject map[string]any)
	}{
		"an issuer without a slash": {"", func(c, _ map[string]any) { c["iss"] = "https://accounts.google.com" }},
		"a subject's without one":   {"", func(_, s map[string]any) { s["iss"] = "https://accounts.google.com" }},
		"several audiences":         {"", func(c, _ map[string]any) { c["aud"] = []string{"an application elsewhere", client} }},
		"an exp to come":            {"", func(c, _ map[string]any) { c["exp"] = time.Now().Unix() + 600 }},
		"a fraction of a second":    {"", func(c, _ map[string]any) { c["iat"] = float64(time.Now().Unix()) + 0.5 }},
		"the second of the consent": {"", func(c, _ map[string]any) { c["iat"] = time.Now().Unix() }},
		"the claims of an ID token": {"", func(_, s map[string]any) {
			delete(s, "iss")
			s["subject_type"], s["email"] = "id_token_claims", ada
		}},
		"a type":       {"secevent+jwt", asIs},
		"a whole type": {"application/SecEvent+JWT", asIs},
		"any JWT":      {"JWT", asIs},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApplication(t)
			a.consent(t)
			payload := about(adaID)
			claims := claims(risc.TokensRevoked, payload)
			c.change(claims, payload["subject"].(map[string]any))
			token := genuine(claims)
			if c.typ != "" {
				token = signAs(c.typ, claims)
			}
			if status, body := a.deliver(t, token+"\r\n"); status != 202 || a.alive(t) {
				t.Errorf("answered %d %s, alive: %t", status, body, a.alive(t))
			}
		})
	}
}

// Where Google is a fake that listens on a socket, its own configuration says who it is.
func TestAFakeGoogleIsTakenAtItsWord(t *testing.T) {
	t.Parallel()
	google, err := gmailtest.Start(gmailtest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer google.Close()
	a := newApplication(t)
	a.consent(t)
	receiver, err := risc.NewReceiver(t.Context(), a.flow, risc.Config{
		Audiences: []string{client}, Store: a.store, Keys: a.keys, ConfigurationURL: google.RISCConfigurationURL(),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(receiver)
	defer server.Close()
	event := gmailtest.SecurityEvent{Type: string(risc.TokensRevoked), User: adaID, ClientID: client}
	if err := google.PostSecurityEvent(t.Context(), server.Client(), server.URL, event); err != nil || a.alive(t) {
		t.Errorf("%v; alive: %t", err, a.alive(t))
	}
	a.receiver = receiver
	if status, body := a.deliver(t, genuine(claims(risc.Verification, nil))); status != 400 {
		t.Errorf("another Google's event is answered %d %s", status, body)
	}
}

func TestAReceiverThatIsSetUpWrongSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	a := newApplication(t)
	for says, change := range map[string]func(*risc.Config){
		"Audiences":             func(c *risc.Config) { c.Audiences = nil },
		"Audiences are empty":   func(c *risc.Config) { c.Audiences = []string{""} },
		"Store is nil":          func(c *risc.Config) { c.Store = nil },
		"keyring":               func(c *risc.Config) { c.Keys = nil },
		"ConfigurationURL":      func(c *risc.Config) { c.ConfigurationURL = "https://accounts.google.com/" },
		"\"ftp://":              func(c *risc.Config) { c.ConfigurationURL = "ftp://accounts.google.com/.well-known/risc-configuration" },
		"does not end in /.wel": func(c *risc.Config) { c.ConfigurationURL = "https:///.well-known/risc-configuration" },
	} {
		cfg := risc.Config{Audiences: []string{client}, Store: a.store, Keys: a.keys}
		change(&cfg)
		if _, err := risc.NewReceiver(t.Context(), a.flow, cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %q", err, says)
		}
	}
	if _, err := risc.NewReceiver(t.Context(), nil, risc.Config{}); err == nil {
		t.Error("there is a receiver without a Flow")
	}
}
