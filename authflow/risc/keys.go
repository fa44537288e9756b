package risc

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mailgrant/mailgrant/internal/keyset"
)

const (
	wellKnown  = "/.well-known/risc-configuration"
	googleURL  = "https://accounts.google.com" + wellKnown
	minKeyBits = 2048 // of RSA; more than maxKeyBits takes seconds to sign with
	maxKeyBits = 8192

	keysFresh  = time.Hour        // for so long keys are taken as they are
	keysStale  = 24 * time.Hour   // and for so long where newer ones can't be had
	fetchEvery = 30 * time.Second // at most, whatever tokens are sent; more often than a keyset.Client asks is of no use
	fetchTime  = 10 * time.Second
	maxWaiting = 64 // requests that wait for keys; others are told to come again
)

// signers are who signs security events, and with what.
type signers struct {
	issuer string // without a trailing slash
	keys   map[string]*rsa.PublicKey
	at     time.Time
}

// googleKeys are the signers that Google's RISC configuration names. They are fetched when they are first needed, when they
// are an hour old, and when a token names a key that is not among them. A token whose key is known does not wait for that.
type googleKeys struct {
	ctx           context.Context //nolint:containedctx // it ends the fetching, which requests share
	url           string
	configuration *http.Client
	certs         *http.Client

	mu       sync.Mutex
	known    signers
	fetching chan struct{} // closed when the fetching that is under way ends; nil: none is
	tried    time.Time     // when the last one began
	failed   error         // of the last one
	waiting  int
}

func newGoogleKeys(ctx context.Context, client *http.Client, configuration string) *googleKeys {
	return &googleKeys{ctx: ctx, url: configuration, configuration: keyset.Client(client), certs: keyset.Client(client)}
}

var (
	errUnknownKey = errors.New("no such key")
	errBusy       = errors.New("too many requests wait for Google's keys")
)

// find returns the key with that ID, and the issuer whose it is. An error other than errUnknownKey says nothing about the ID.
func (g *googleKeys) find(ctx context.Context, keyID string) (*rsa.PublicKey, string, error) {
	for {
		key, issuer, fetched, err := g.look(keyID)
		if fetched == nil {
			return key, issuer, err
		}
		select {
		case <-fetched:
			err = nil
		case <-ctx.Done():
			err = ctx.Err()
		}
		g.mu.Lock()
		g.waiting--
		g.mu.Unlock()
		if err != nil {
			return nil, "", err
		}
	}
}

// look answers find from what is known, or returns what to wait for.
func (g *googleKeys) look(keyID string) (key *rsa.PublicKey, issuer string, fetched <-chan struct{}, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	early := !g.tried.IsZero() && time.Since(g.tried) < fetchEvery
	age := time.Since(g.known.at)
	key = g.known.keys[keyID]
	if g.fetching == nil && !early && (key == nil || age >= keysFresh) {
		g.fetching, g.tried = make(chan struct{}), time.Now()
		go g.refresh(g.fetching)
	}
	switch {
	case key != nil && age < keysStale:
		return key, g.known.issuer, nil, nil
	case g.fetching != nil && g.waiting >= maxWaiting:
		return nil, "", nil, errBusy
	case g.fetching != nil:
		g.waiting++
		return nil, "", g.fetching, nil
	case g.failed != nil:
		return nil, "", nil, g.failed
	}
	return nil, "", nil, errUnknownKey
}

// refresh fetches the signers. Until it succeeds, those before stay.
func (g *googleKeys) refresh(done chan struct{}) {
	ctx, cancel := context.WithTimeout(g.ctx, fetchTime)
	defer cancel()
	found, err := g.fetch(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed = err; err == nil {
		g.known = found
	}
	g.fetching = nil
	close(done)
}

func (g *googleKeys) fetch(ctx context.Context) (signers, error) {
	var configuration struct {
		Issuer  string `json:"issuer"`
		KeysURL string `json:"jwks_uri"`
	}
	if err := getJSON(ctx, g.configuration, g.url, &configuration); err != nil {
		return signers{}, fmt.Errorf("the RISC configuration: %w", err)
	}
	found := signers{issuer: strings.TrimSuffix(configuration.Issuer, "/"), keys: make(map[string]*rsa.PublicKey), at: time.Now()}
	if found.issuer+wellKnown != g.url { // as RFC 8414 §3.3 has it: nobody speaks for another
		return signers{}, fmt.Errorf("the RISC configuration is that of the issuer %q", configuration.Issuer)
	}
	if u, err := url.Parse(configuration.KeysURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != schemeOf(g.url) {
		return signers{}, errors.New("the RISC configuration names no https URL of keys")
	}
	var published struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := getJSON(ctx, g.certs, configuration.KeysURL, &published); err != nil {
		return signers{}, fmt.Errorf("the keys: %w", err)
	}
	for _, raw := range published.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil { // of a kind that is not known here
			continue
		}
		public, ok := key.Key.(*rsa.PublicKey)
		if ok && key.KeyID != "" && public.N.BitLen() >= minKeyBits &&
			(key.Use == "" || key.Use == "sig") && (key.Algorithm == "" || key.Algorithm == string(jose.RS256)) {
			found.keys[key.KeyID] = public
		}
	}
	if len(found.keys) == 0 {
		return signers{}, errors.New("the keys: none is for RS256")
	}
	return found, nil
}

func getJSON(ctx context.Context, client *http.Client, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}

// schemeOf returns the scheme of a URL that was checked.
func schemeOf(checked string) string {
	scheme, _, _ := strings.Cut(checked, ":")
	return scheme
}
