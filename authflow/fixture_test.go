package authflow_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

const (
	ada           = "ada@example.com"
	adaID         = "108204268033311374519"
	redirectURL   = "https://app.example/callback"
	gmailReadonly = "https://www.googleapis.com/auth/gmail.readonly"
	gmailSend     = "https://www.googleapis.com/auth/gmail.send"
)

func TestMain(m *testing.M) {
	// A proxy of the developer's would be dialed in place of the addresses that the tests are about.
	_ = os.Setenv("NO_PROXY", "*")
	os.Exit(m.Run())
}

// A fixture is Google in process, where Ada has an account, and a store that Flows share.
type fixture struct {
	google *gmailtest.Server
	store  *faultyStore
	keys   *tokenstore.Keyring
}

func newFixture(t *testing.T, cfg gmailtest.Config) *fixture {
	t.Helper()
	google, err := gmailtest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	google.AddUser(gmailtest.User{Email: ada, Sub: adaID})
	return &fixture{google: google, store: &faultyStore{TokenStore: tokenstore.NewMemory()}, keys: newKeyring(t)}
}

func newKeyring(t *testing.T) *tokenstore.Keyring {
	t.Helper()
	keys, err := tokenstore.ParseKeyring(tokenstore.GenerateKey())
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func (x *fixture) config() authflow.Config {
	client := gmailtest.DefaultClient()
	return authflow.Config{
		ClientID:     client.ID,
		ClientSecret: client.Secret,
		RedirectURL:  redirectURL,
		Scopes:       []string{gmailReadonly},
		Store:        x.store,
		Keys:         x.keys,
		HTTPClient:   x.google.Client(),
	}
}

// flow returns a Flow that the test closes.
func (x *fixture) flow(t *testing.T, changes ...func(*authflow.Config)) *authflow.Flow {
	t.Helper()
	cfg := x.config()
	for _, change := range changes {
		change(&cfg)
	}
	flow, err := authflow.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = flow.Close() })
	return flow
}

// callback sends Ada to authURL and returns what the application is called back with.
func (x *fixture) callback(t *testing.T, authURL string) url.Values {
	t.Helper()
	back, err := (&gmailtest.Browser{Server: x.google, User: ada}).Visit(t.Context(), authURL)
	if err != nil {
		t.Fatal(err)
	}
	return back.Query()
}

// code lets Ada consent and returns the code and the state.
func (x *fixture) code(t *testing.T, flow *authflow.Flow, opts ...authflow.AuthOption) (code, state string) {
	t.Helper()
	query := x.callback(t, flow.GetAuthorizationURL(ada, authflow.NewState(), opts...))
	code, state, err := flow.ParseCallback(query)
	if err != nil {
		t.Fatal(err)
	}
	return code, state
}

// connect lets Ada consent, and stores her grant.
func (x *fixture) connect(t *testing.T, flow *authflow.Flow, opts ...authflow.AuthOption) *authflow.Credentials {
	t.Helper()
	code, state := x.code(t, flow, opts...)
	creds, err := flow.GetCredentials(t.Context(), code, state)
	if err != nil {
		t.Fatal(err)
	}
	return creds
}

func (x *fixture) grants(t *testing.T) *tokenstore.Grants {
	t.Helper()
	grants, err := tokenstore.NewGrants(x.store, x.keys)
	if err != nil {
		t.Fatal(err)
	}
	return grants
}

// stored returns Ada's grant as it is stored.
func (x *fixture) stored(t *testing.T) *tokenstore.Grant {
	t.Helper()
	grant, err := x.grants(t).Get(t.Context(), adaID)
	if err != nil {
		t.Fatal(err)
	}
	return grant
}

// change changes Ada's grant behind the Flow's back.
func (x *fixture) change(t *testing.T, change func(*tokenstore.Grant)) {
	t.Helper()
	grant := x.stored(t)
	change(grant)
	if err := x.grants(t).Put(t.Context(), grant); err != nil {
		t.Fatal(err)
	}
}

// credentials returns the Credentials of Ada that a job would ask for.
func credentials(t *testing.T, flow *authflow.Flow) *authflow.Credentials {
	t.Helper()
	creds, err := flow.GetStoredCredentials(t.Context(), adaID)
	if err != nil {
		t.Fatal(err)
	}
	return creds
}

func token(t *testing.T, creds *authflow.Credentials) string {
	t.Helper()
	token, err := creds.TokenContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return token.AccessToken
}

// inBubble runs test in parallel with others and with a clock of its own.
func inBubble(t *testing.T, cfg gmailtest.Config, test func(t *testing.T, x *fixture)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, newFixture(t, cfg)) })
}

// pass lets time pass in a bubble, and what is due in the background come to rest.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// A faultyStore fails as it is told.
type faultyStore struct {
	tokenstore.TokenStore

	mu        sync.Mutex
	get, put  error
	meanwhile func()
}

var errStoreDown = errors.New("the store is down")

// fail makes Get and Swap return errors; nil mends them.
func (s *faultyStore) fail(get, put error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.get, s.put = get, put
}

// interrupt runs other once, just before the next Swap takes effect.
func (s *faultyStore) interrupt(other func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meanwhile = other
}

func (s *faultyStore) Get(ctx context.Context, key string) (tokenstore.Record, error) {
	s.mu.Lock()
	err := s.get
	s.mu.Unlock()
	if err != nil {
		return tokenstore.Record{}, err
	}
	return s.TokenStore.Get(ctx, key)
}

func (s *faultyStore) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	s.mu.Lock()
	err, meanwhile := s.put, s.meanwhile
	s.meanwhile = nil
	s.mu.Unlock()
	if meanwhile != nil {
		meanwhile()
	}
	if err != nil {
		return err
	}
	return s.TokenStore.Swap(ctx, key, oldVersion, next)
}

// roundTrip is a RoundTripper of one function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
