package risc_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mailgrant/mailgrant/authflow/risc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// roundTrip is a RoundTripper of one function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// fetching makes a's receiver one that fetches by transport.
func (a *application) fetching(t *testing.T, transport http.RoundTripper) {
	t.Helper()
	receiver, err := risc.NewReceiver(t.Context(), a.flow, risc.Config{
		Audiences: []string{client}, Store: a.store, Keys: a.keys, HTTPClient: &http.Client{Transport: transport}, Handle: a.handle,
	})
	if err != nil {
		t.Fatal(err)
	}
	a.receiver = receiver
}

func stranger(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// hanging answers nothing until the request's context ends.
func hanging(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

func TestAForgeryIsRefusedWheneverItComes(t *testing.T) {
	t.Parallel()
	a := newApplication(t)
	a.deliver(t, genuine(claims(risc.Verification, nil))) // the keys have just been fetched
	key := stranger(t)
	for _, keyID := range []string{"a key", "another", ""} {
		set := sign(jose.RS256, key, keyID, claims(risc.TokensRevoked, about(adaID)))
		if status, body := a.deliver(t, set); status != 400 || !strings.Contains(body, "invalid_key") {
			t.Errorf("by the key %q it is answered %d %s", keyID, status, body)
		}
	}
}

func TestAStrangerWhoHangsUpKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	a := newApplication(t)
	a.fetching(t, roundTrip(func(req *http.Request) (*http.Response, error) {
		if err := req.Context().Err(); err != nil {
			return nil, err
		}
		return a.google.RoundTrip(req)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	set := sign(jose.RS256, stranger(t), "x", claims(risc.Verification, nil))
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(set))
	req.Header.Set("Content-Type", "application/secevent+jwt")
	a.receiver.ServeHTTP(httptest.NewRecorder(), req)
	if status, body := a.deliver(t, genuine(claims(risc.Verification, nil))); status != 202 {
		t.Errorf("a genuine event is then answered %d %s", status, body)
	}
}

func TestASlowKeyEndpointHoldsUpNobodyWhoseKeyIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newApplication(t)
		slow := false
		a.fetching(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			if slow {
				return hanging(req)
			}
			return a.google.RoundTrip(req)
		}))
		deliver := func(want int) {
			t.Helper()
			begin := time.Now()
			if status, _ := a.deliver(t, genuine(claims(risc.Verification, nil))); status != want || time.Since(begin) > 0 {
				t.Errorf("answered %d after %v", status, time.Since(begin))
			}
		}
		deliver(202)
		slow = true
		for range 23 {
			<-time.After(time.Hour)
			deliver(202)
		}
		<-time.After(time.Hour)
		begin := time.Now()
		if status, _ := a.deliver(t, genuine(claims(risc.Verification, nil))); status != 500 || time.Since(begin) > 10*time.Second {
			t.Errorf("with keys of a day ago it is answered %d after %v", status, time.Since(begin))
		}
		slow = false
		<-time.After(time.Minute)
		deliver(202)
	})
}

func TestHowManyWaitForKeysIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newApplication(t)
		var mu sync.Mutex
		a.fetching(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			if strings.HasSuffix(req.URL.Path, "/certs") {
				return hanging(req)
			}
			<-time.After(9 * time.Second)
			return a.google.RoundTrip(req)
		}))
		set := genuine(claims(risc.TokensRevoked, about(adaID)))
		for range 2 {
			answered := make(map[time.Duration]int)
			begin := time.Now()
			for range 200 {
				go func() {
					status, _ := a.deliver(t, set)
					mu.Lock()
					defer mu.Unlock()
					if answered[time.Since(begin)]++; status != 500 {
						t.Errorf("answered %d", status)
					}
				}()
			}
			<-time.After(time.Minute)
			mu.Lock()
			if answered[0] != 136 || answered[10*time.Second] != 64 {
				t.Errorf("so many are answered after so long: %v", answered)
			}
			mu.Unlock()
		}
	})
}

func TestKeysFollowGooglesRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		oauth, err := gmailtest.New(gmailtest.Config{})
		if err != nil {
			t.Fatal(err)
		}
		a := newApplication(t)
		a.fetching(t, oauth.Transport())
		post := func() error {
			post := &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
				answer := httptest.NewRecorder()
				a.receiver.ServeHTTP(answer, req)
				return answer.Result(), nil
			})}
			e := gmailtest.SecurityEvent{Type: string(risc.Verification), ClientID: client}
			return oauth.PostSecurityEvent(t.Context(), post, "https://app.example/security-events", e)
		}
		if err := post(); err != nil {
			t.Fatal(err)
		}
		if err := oauth.RotateSigningKey(); err != nil {
			t.Fatal(err)
		}
		// Nobody makes the receiver ask more often than twice a minute.
		for range 20 {
			if err := post(); err == nil || !strings.Contains(err.Error(), "invalid_key") {
				t.Errorf("at once: %v", err)
			}
		}
		<-time.After(30 * time.Second)
		if err := post(); err != nil {
			t.Errorf("half a minute later: %v", err)
		}
		if n := oauth.Count("certs"); n != 2 {
			t.Errorf("the keys were fetched %d times", n)
		}
		// A key that is no longer published is taken for an hour at most.
		old, err := oauth.SecurityEventToken(gmailtest.SecurityEvent{Type: string(risc.Verification), ClientID: client})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := oauth.RotateSigningKey(); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(time.Hour)
		if err := post(); err != nil { // which makes the receiver ask
			t.Fatal(err)
		}
		synctest.Wait()
		if status, body := a.deliver(t, old); status != 400 {
			t.Errorf("a token by a key that was withdrawn is answered %d %s", status, body)
		}
	})
}

func TestNothingIsTakenWhereGooglesWordIsNotToBeHad(t *testing.T) {
	t.Parallel()
	const configuration = `{"issuer":"https://accounts.google.com/","jwks_uri":"https://www.googleapis.com/oauth2/v3/certs"}`
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	set := func(key jose.JSONWebKey) string {
		text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key}})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	public := googleKey().Public()
	good := set(jose.JSONWebKey{Key: public, KeyID: "a key"})
	for name, c := range map[string]struct {
		status              int
		configuration, keys string
		signed              *rsa.PrivateKey
	}{
		"an error":                   {404, configuration, good, googleKey()},
		"a page":                     {200, "<html>", "", googleKey()},
		"another issuer":             {200, `{"issuer":"https://idp.example","jwks_uri":"https://idp.example/certs"}`, good, googleKey()},
		"keys in the clear":          {200, strings.Replace(configuration, "https://www", "http://www", 1), good, googleKey()},
		"keys in a file":             {200, strings.Replace(configuration, "https://www", "file:///www", 1), good, googleKey()},
		"a megabyte":                 {200, `{"x":"` + strings.Repeat("x", 1<<20) + `",` + configuration[1:], good, googleKey()},
		"no keys":                    {200, configuration, `{"keys":[]}`, googleKey()},
		"keys of no kind":            {200, configuration, `{"keys":[7,{"kty":"??","kid":"a key"}]}`, googleKey()},
		"keys for encryption":        {200, configuration, set(jose.JSONWebKey{Key: public, KeyID: "a key", Use: "enc"}), googleKey()},
		"keys for another algorithm": {200, configuration, set(jose.JSONWebKey{Key: public, KeyID: "a key", Algorithm: "PS256"}), googleKey()},
		"a short key":                {200, configuration, set(jose.JSONWebKey{Key: short.Public(), KeyID: "a key"}), short},
		"a secret for HS256":         {200, configuration, set(jose.JSONWebKey{Key: []byte(strings.Repeat("k", 32)), KeyID: "a key"}), googleKey()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApplication(t)
			a.consent(t)
			a.fetching(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				body := c.configuration
				if strings.HasSuffix(req.URL.Path, "/certs") {
					body = c.keys
				}
				return &http.Response{
					StatusCode: c.status, Status: fmt.Sprint(c.status), Request: req, Header: make(http.Header),
					Body: io.NopCloser(strings.NewReader(body)),
				}, nil
			}))
			event := sign(jose.RS256, c.signed, "a key", claims(risc.TokensRevoked, about(adaID)))
			if status, body := a.deliver(t, event); status != 500 || !a.alive(t) || len(a.told()) > 0 {
				t.Errorf("answered %d %s, alive: %t", status, body, a.alive(t))
			}
		})
	}
}
