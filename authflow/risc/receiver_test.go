package risc_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/authflow/risc"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// named is the payload of an event about a refresh token.
func named(algorithm, token string) map[string]any {
	return map[string]any{"subject": map[string]any{
		"subject_type": "oauth_token", "token_type": "refresh_token", "token_identifier_alg": algorithm, "token": token,
	}}
}

func TestAnEventEndsTheGrantAtOnceIfTokensAreDead(t *testing.T) {
	t.Parallel()
	for kind, ends := range map[risc.EventType]bool{
		risc.TokensRevoked: true, risc.AccountDisabled: true, risc.AccountPurged: true,
		risc.SessionsRevoked: false, risc.AccountEnabled: false, risc.CredentialChangeRequired: false,
		"https://schemas.example/event-type/to-come": false,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			a := newApplication(t)
			a.consent(t)
			payload := about(adaID)
			payload["reason"] = "hijacking"
			if status, body := a.deliver(t, genuine(claims(kind, payload))); status != 202 || body != "" {
				t.Fatalf("answered %d %q", status, body)
			}
			if a.alive(t) == ends {
				t.Errorf("the grant is alive: %t", !ends)
			}
			told := a.told()
			if len(told) != 1 || told[0].Type != kind || told[0].UserID != adaID || told[0].Marked != ends ||
				told[0].Reason != "hijacking" || told[0].ID == "" || time.Since(told[0].At) > time.Minute {
				t.Errorf("told %+v", told)
			}
			if !ends {
				return
			}
			_, err := a.flow.GetStoredCredentials(t.Context(), adaID)
			ended, ok := errors.AsType[*authflow.ReauthorizationRequiredError](err)
			if !ok || ended.Reason != tokenstore.ReasonSecurity {
				t.Errorf("the grant has ended with %v", err)
			}
		})
	}
}

func TestCredentialsInUseSeeTheEvent(t *testing.T) {
	t.Parallel()
	a := newApplication(t)
	a.consent(t)
	creds, err := a.flow.GetStoredCredentials(t.Context(), adaID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := creds.Token(); err != nil {
		t.Fatal(err)
	}
	a.deliver(t, genuine(claims(risc.TokensRevoked, about(adaID))))
	if _, err := creds.Token(); !errors.As(err, new(*authflow.ReauthorizationRequiredError)) {
		t.Errorf("Token: %v", err)
	}
}

func TestAnEventAboutOneTokenFindsItsGrant(t *testing.T) {
	t.Parallel()
	double := func(token string) string {
		once := sha512.Sum512([]byte(token))
		twice := sha512.Sum512(once[:])
		return base64.StdEncoding.EncodeToString(twice[:])
	}
	for name, c := range map[string]struct {
		payload func(token string) map[string]any
		ends    bool
	}{
		"by its prefix":            {func(token string) map[string]any { return named("prefix", token[:16]) }, true},
		"by its double hash":       {func(token string) map[string]any { return named("hash_base64_sha512_sha512", double(token)) }, true},
		"not by another prefix":    {func(token string) map[string]any { return named("prefix", "x"+token[:15]) }, false},
		"not by a shorter prefix":  {func(token string) map[string]any { return named("prefix", token[:15]) }, false},
		"not by an empty one":      {func(string) map[string]any { return named("prefix", "") }, false},
		"not by the token itself":  {func(token string) map[string]any { return named("prefix", token) }, false},
		"not by another algorithm": {func(token string) map[string]any { return named("plain", token) }, false},
		"not as an access token": {func(token string) map[string]any {
			p := named("prefix", token[:16])
			p["subject"].(map[string]any)["token_type"] = "access_token"
			return p
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApplication(t)
			token := a.consent(t)
			if status, body := a.deliver(t, genuine(claims(risc.TokenRevoked, c.payload(token)))); status != 202 {
				t.Fatalf("answered %d %q", status, body)
			}
			told := a.told()
			if a.alive(t) == c.ends || len(told) != 1 || told[0].Marked != c.ends || (told[0].UserID == adaID) != c.ends {
				t.Errorf("alive: %t, told %+v", a.alive(t), told)
			}
		})
	}
}

// A token that was replaced is no reason to end the grant that has its successor.
func TestAnEventAboutAnOlderTokenEndsNothing(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(*testing.T, *application){
		"rotated": func(t *testing.T, a *application) {
			t.Helper()
			creds, err := a.flow.GetStoredCredentials(t.Context(), adaID)
			if err != nil {
				t.Fatal(err)
			}
			token, err := creds.Token()
			if err == nil {
				_, err = creds.Refresh(t.Context(), token.AccessToken)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		"replaced by a new consent": func(t *testing.T, a *application) { t.Helper(); a.consent(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApplication(t)
			older := a.consent(t)
			replace(t, a)
			newer := a.refreshToken(t)
			if older == newer {
				t.Fatal("the refresh token is the same")
			}
			// What the two have in common must not find the newer one.
			a.deliver(t, genuine(claims(risc.TokenRevoked, named("hash_base64_sha512_sha512", older))))
			if older[:16] != newer[:16] {
				a.deliver(t, genuine(claims(risc.TokenRevoked, named("prefix", older[:16]))))
			}
			if !a.alive(t) {
				t.Error("the grant has ended")
			}
			a.deliver(t, genuine(claims(risc.TokenRevoked, named("prefix", newer[:16]))))
			if a.alive(t) {
				t.Error("the successor is not found")
			}
		})
	}
}

func TestAReplayChangesNothing(t *testing.T) {
	t.Parallel()
	a := newApplication(t)
	a.consent(t)
	token := genuine(claims(risc.TokensRevoked, about(adaID)))
	for range 3 {
		if status, _ := a.deliver(t, token); status != 202 {
			t.Errorf("answered %d", status)
		}
	}
	if told := a.told(); len(told) != 1 {
		t.Errorf("told %d times", len(told))
	}
	a.consent(t)
	a.deliver(t, token)
	older := claims(risc.TokensRevoked, about(adaID))
	older["iat"] = time.Now().Add(-time.Minute).Unix()
	if status, _ := a.deliver(t, genuine(older)); status != 202 || !a.alive(t) {
		t.Errorf("an older event that comes late is answered %d, and the new consent is alive: %t", status, a.alive(t))
	}
}

func TestAnEventThatCannotBeTakenIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	a := newApplication(t)
	a.consent(t)
	token := genuine(claims(risc.TokensRevoked, about(adaID)))
	a.store.fail(errors.New("the store is down"))
	if status, _ := a.deliver(t, token); status != 500 {
		t.Errorf("with the store down it is answered %d", status)
	}
	a.store.fail(nil)
	a.failing = errors.New("the application is not ready")
	if status, _ := a.deliver(t, token); status != 500 {
		t.Errorf("with Handle failing it is answered %d", status)
	}
	a.failing = nil
	if status, _ := a.deliver(t, token); status != 202 || a.alive(t) || len(a.told()) != 1 {
		t.Errorf("the third time it is answered %d, alive: %t, told %+v", status, a.alive(t), a.told())
	}
}

func TestKeysThatAreOutOfReachAreNoVerdict(t *testing.T) {
	t.Parallel()
	a := newApplication(t)
	a.consent(t)
	a.google.down = true
	if status, _ := a.deliver(t, genuine(claims(risc.TokensRevoked, about(adaID)))); status != 500 || !a.alive(t) {
		t.Errorf("answered %d; want 500, so that it comes again", status)
	}
}

func TestStrangersCannotStormGooglesKeys(t *testing.T) {
	t.Parallel()
	a := newApplication(t)
	a.consent(t)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		a.deliver(t, sign(jose.RS256, stranger, rand.Text(), claims(risc.TokensRevoked, about(adaID))))
	}
	if keys, configuration := a.google.count("/oauth2/v3/certs"), a.google.count("/.well-known/risc-configuration"); keys != 1 || configuration != 1 {
		t.Errorf("the keys were fetched %d times, the configuration %d times", keys, configuration)
	}
	if status, _ := a.deliver(t, genuine(claims(risc.TokensRevoked, about(adaID)))); status != 202 || a.alive(t) {
		t.Errorf("a genuine event is then answered %d", status)
	}
}

func TestAStrangersEventIsTaken(t *testing.T) {
	t.Parallel()
	a := newApplication(t)
	a.consent(t)
	for _, c := range []map[string]any{
		claims(risc.TokensRevoked, about("somebody who has no grant here")),
		claims(risc.Verification, map[string]any{"state": "a state"}),
	} {
		if status, body := a.deliver(t, genuine(c)); status != 202 {
			t.Errorf("answered %d %s", status, body)
		}
	}
	if told := a.told(); len(told) != 2 || told[1].State != "a state" || !a.alive(t) {
		t.Errorf("told %+v", told)
	}
}

func TestOnlyPostsOfTokensAreRead(t *testing.T) {
	t.Parallel()
	a := newApplication(t)
	for name, c := range map[string]struct {
		method, media string
		status        int
	}{
		"GET": {"GET", "", 405}, "PUT": {"PUT", "application/secevent+jwt", 405}, "a form": {"POST", "application/x-www-form-urlencoded", 400},
		"no media type": {"POST", "", 202},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := genuine(claims(risc.Verification, nil))
			req := httptest.NewRequestWithContext(t.Context(), c.method, "/", strings.NewReader(token))
			req.Header.Set("Content-Type", c.media)
			answer := httptest.NewRecorder()
			a.receiver.ServeHTTP(answer, req)
			if answer.Code != c.status {
				t.Errorf("answered %d, want %d", answer.Code, c.status)
			}
			if c.status == http.StatusMethodNotAllowed && answer.Header().Get("Allow") != "POST" {
				t.Error("no Allow header")
			}
		})
	}
}

func FuzzSecurityEvent(f *testing.F) {
	a := newApplication(f)
	f.Add([]byte(`{"iss":"https://accounts.google.com/","aud":"` + client + `","iat":1,"jti":"a","events":{}}`))
	f.Add([]byte(`{"events":{"x":{"subject":[]}}}`))
	f.Add([]byte(`{"aud":[{}],"iat":1e400}`))
	f.Add([]byte(`[]`))
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: googleKey()}, new(jose.SignerOptions).WithHeader("kid", "a key"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		signed, err := signer.Sign(payload)
		if err != nil {
			return
		}
		compact, err := signed.CompactSerialize()
		if err != nil {
			return
		}
		before := len(a.told())
		status, body := a.deliver(t, compact)
		if status != 202 && status != 400 {
			t.Errorf("%q is answered %d %s", payload, status, body)
		}
		if status == 400 && len(a.told()) != before {
			t.Errorf("%q is refused, and the application was told", payload)
		}
	})
}
