package risc_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/authflow/risc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

const (
	ada      = "ada@example.com"
	adaID    = "108204268033311374519"
	client   = "a-client.apps.googleusercontent.com"
	redirect = "https://app.example/callback"
)

var googleKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// google is Google's RISC configuration and keys, and counts how often they are asked for.
type google struct {
	mu    sync.Mutex
	asked map[string]int
	down  bool
}

func (g *google) RoundTrip(req *http.Request) (*http.Response, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asked == nil {
		g.asked = make(map[string]int)
	}
	g.asked[req.URL.Path]++
	if g.down {
		return nil, errors.New("no route to host")
	}
	body := []byte(`{"issuer":"https://accounts.google.com/","jwks_uri":"https://www.googleapis.com/oauth2/v3/certs"}`)
	if strings.HasSuffix(req.URL.Path, "/certs") {
		var err error
		if body, err = json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
			{Key: googleKey().Public(), KeyID: "a key", Algorithm: string(jose.RS256), Use: "sig"},
		}}); err != nil {
			return nil, err
		}
	}
	return &http.Response{
		StatusCode: http.StatusOK, Request: req, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(string(body))),
	}, nil
}

func (g *google) count(path string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked[path]
}

// An application has a Flow with Ada's grant, and a receiver.
type application struct {
	oauth    *gmailtest.Server
	google   *google
	store    *store
	keys     *tokenstore.Keyring
	flow     *authflow.Flow
	receiver *risc.Receiver

	mu      sync.Mutex
	events  []risc.Event
	failing error // what Handle answers
}

// store is a memory store that can be down.
type store struct {
	tokenstore.TokenStore
	mu  sync.Mutex
	err error
}

func (s *store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *store) Unwrap() tokenstore.TokenStore { return s.TokenStore }

func (s *store) Swap(ctx context.Context, key, old string, next tokenstore.Record) error {
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.TokenStore.Swap(ctx, key, old, next)
}

func newApplication(t testing.TB) *application {
	t.Helper()
	a := makeApplication(t.Context())
	t.Cleanup(func() { _ = a.flow.Close() })
	return a
}

// makeApplication is newApplication for an Example, which has no t. The caller closes its Flow.
func makeApplication(ctx context.Context) *application {
	oauth, err := gmailtest.New(gmailtest.Config{RotateRefreshTokens: true})
	if err != nil {
		panic(err)
	}
	oauth.AddUser(gmailtest.User{Email: ada, Sub: adaID})
	keys, err := tokenstore.ParseKeyring(tokenstore.GenerateKey())
	if err != nil {
		panic(err)
	}
	a := &application{oauth: oauth, google: new(google), keys: keys, store: &store{TokenStore: tokenstore.NewMemory()}}
	a.flow, err = authflow.New(authflow.Config{
		ClientID: gmailtest.DefaultClient().ID, ClientSecret: gmailtest.DefaultClient().Secret, RedirectURL: redirect,
		Scopes: []string{"https://www.googleapis.com/auth/gmail.readonly"}, Store: a.store, Keys: keys,
		HTTPClient: oauth.Client(), IndexRefreshTokens: true,
	})
	if err != nil {
		panic(err)
	}
	a.receiver, err = risc.NewReceiver(ctx, a.flow, risc.Config{
		Audiences: []string{"another client", client}, Store: a.store, Keys: keys,
		HTTPClient: &http.Client{Transport: a.google}, Handle: a.handle,
	})
	if err != nil {
		panic(err)
	}
	return a
}

func (a *application) handle(_ context.Context, e risc.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failing != nil {
		return a.failing
	}
	a.events = append(a.events, e)
	return nil
}

func (a *application) told() []risc.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.events)
}

// consent lets Ada consent and returns her refresh token.
func (a *application) consent(t *testing.T) string {
	t.Helper()
	back, err := (&gmailtest.Browser{Server: a.oauth, User: ada}).Visit(t.Context(), a.flow.GetAuthorizationURL(ada, authflow.NewState()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.flow.GetCredentials(t.Context(), back.Query().Get("code"), back.Query().Get("state")); err != nil {
		t.Fatal(err)
	}
	return a.refreshToken(t)
}

func (a *application) refreshToken(t *testing.T) string {
	t.Helper()
	grants, err := tokenstore.NewGrants(a.store, a.keys)
	if err != nil {
		t.Fatal(err)
	}
	grant, err := grants.Get(t.Context(), adaID)
	if err != nil {
		t.Fatal(err)
	}
	return grant.RefreshToken
}

// alive reports whether Ada's grant has not been marked.
func (a *application) alive(t *testing.T) bool {
	t.Helper()
	_, err := a.flow.GetStoredCredentials(t.Context(), adaID)
	if err != nil && !errors.As(err, new(*authflow.ReauthorizationRequiredError)) {
		t.Fatal(err)
	}
	return err == nil
}

// deliver posts a token as Google does, and returns the status and the body.
func (a *application) deliver(t testing.TB, token string) (int, string) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/security-events", strings.NewReader(token))
	req.Header.Set("Content-Type", "application/secevent+jwt")
	answer := httptest.NewRecorder()
	a.receiver.ServeHTTP(answer, req)
	return answer.Code, answer.Body.String()
}

// claims are those of a token with one event.
func claims(kind risc.EventType, payload map[string]any) map[string]any {
	return map[string]any{
		"iss": "https://accounts.google.com/", "aud": client, "iat": time.Now().Unix() + 1, "jti": rand.Text(),
		"events": map[string]any{string(kind): payload},
	}
}

// about is the payload of an event about a user.
func about(userID string) map[string]any {
	return map[string]any{
		"subject": map[string]any{"subject_type": "iss-sub", "iss": "https://accounts.google.com/", "sub": userID},
	}
}

func sign(alg jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, new(jose.SignerOptions).WithHeader("kid", kid))
	if err != nil {
		panic(err)
	}
	return serialized(signer, claims)
}

func serialized(signer jose.Signer, claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return compact
}

// genuine signs claims as Google does.
func genuine(claims map[string]any) string {
	return sign(jose.RS256, googleKey(), "a key", claims)
}
