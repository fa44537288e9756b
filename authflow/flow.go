package authflow

import (
	"context"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// A Config says which OAuth client a Flow acts for, what it asks users for, and where it keeps their grants.
// ClientID, RedirectURL, Scopes, Store and Keys are required. ConfigFromJSON fills in the client.
//
// A Config shows no secret when it is formatted or logged, and can't be marshaled to JSON.
type Config struct {
	ClientID     string
	ClientSecret string // empty for a public client
	RedirectURL  string // https, or http on localhost

	// Scopes are what GetAuthorizationURL asks for. "openid" and "email" are added where they
	// are missing: they tell whose grant it is.
	Scopes []string

	// Provider is who is asked. The zero Provider is Google.
	Provider Provider

	// Store keeps the grants, and Keys seals them: a *tokenstore.Keyring, or a key management service.
	Store tokenstore.TokenStore
	Keys  tokenstore.AEAD

	// SessionKey is a secret of at least 32 bytes that all replicas of a service share. The code verifier (RFC 7636) and
	// the nonce of each authorization are derived from it and the state. Nil: it is derived
	// from ClientSecret. A public client needs one, since its secret is none.
	SessionKey []byte

	// IndexRefreshTokens keeps keyed hashes of refresh tokens in Store, so that MarkTokenRevoked finds a grant by a hint:
	// package risc needs that for events about a single token. It costs two small records for each grant, and a read at each
	// refresh. The key is derived from SessionKey, or without one from ClientSecret, as verifiers are. After switching it on,
	// or changing that key, each grant is entered at its next refresh, or all at once by ReindexTokens.
	IndexRefreshTokens bool

	// HTTPClient speaks to the provider. Nil: a client of the Flow's own. The Flow uses it
	// with a timeout of at most 10 s, without cookies, following no redirects, and reads at most 64 KiB
	// of any answer. A client with a Transport of its own must itself refuse to dial names that resolve to private addresses.
	HTTPClient *http.Client

	// Logger is told of every Event, failures at LevelWarn. Nil: nobody is told.
	Logger *slog.Logger

	// Observer is told of every Event, as it happens: it must return soon, and may be called by many goroutines at once. Nil:
	// nobody is told.
	Observer func(Event)

	// Now is the wall clock. Nil: time.Now. Lifetimes and leases are measured on the monotonic clock instead.
	Now func() time.Time

	// AllowPrivateEndpoints permits endpoints of the Provider that are not https, or that are on
	// loopback, link-local or private addresses. It is meant for tests.
	AllowPrivateEndpoints bool
}

// A Flow obtains, stores and refreshes the grants of one OAuth client's users. It is safe for
// concurrent use. Many Flows, on many machines, may share a store.
type Flow struct {
	// fmt reaches unexported fields by reflection, and goes through one pointer at most: what holds secrets is behind
	// another, or in a function.
	cfg        *Config
	oauth      *oauth2.Config
	sessionKey func() []byte

	grants      *tokenstore.Grants
	client      *http.Client
	revoker     *http.Client          // as client, for the endpoint whose answers need not be JSON (RFC 7009 §2.2)
	idTokens    *oidc.IDTokenVerifier // nil where the provider has no keys
	revocations *tokenstore.Grants    // that the provider is still to be told of
	imports     *tokenstore.Grants    // that are under way, by the token that they began with
	attempts    func() cipher.AEAD    // seals sign-ins in cookies
	signIns     *tokenstore.Once      // those that are finished, by state

	index         *tokenstore.Grants // of refresh tokens
	tokenIndexKey func() []byte
	slots         slots
	unsaved       unsaved
	now           func() time.Time
	log           *slog.Logger
	clock         clock

	background context.Context // ends with Close
	stop       context.CancelFunc
	running    sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	sources map[string]*source // by user ID
}

// New returns a Flow for cfg. Close it when it is no longer used.
//
// Errors: *ConfigError, which names the field and the mend.
func New(cfg Config) (*Flow, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	grants, err := tokenstore.NewGrants(cfg.Store, cfg.Keys)
	if err != nil {
		return nil, &ConfigError{Field: "Keys", Problem: err.Error(), Err: err}
	}
	pending, err := tokenstore.NewGrants(tokenstore.Namespace(cfg.Store, revocations), cfg.Keys)
	if err != nil {
		return nil, &ConfigError{Field: "Keys", Problem: err.Error(), Err: err}
	}
	imports, err := tokenstore.NewGrants(tokenstore.Namespace(cfg.Store, imports), cfg.Keys)
	if err != nil {
		return nil, &ConfigError{Field: "Keys", Problem: err.Error(), Err: err}
	}
	signIns, err := tokenstore.NewOnce(tokenstore.Namespace(cfg.Store, signIns), cfg.Keys, cfg.Now)
	if err != nil {
		return nil, &ConfigError{Field: "Keys", Problem: err.Error(), Err: err}
	}
	sessionKey := cfg.sessionKey()
	attempts, err := newAttemptSeal(sessionKey)
	if err != nil {
		return nil, &ConfigError{Field: "SessionKey", Problem: err.Error(), Err: err}
	}
	index, err := tokenstore.NewGrants(tokenstore.Namespace(cfg.Store, tokenIndex), cfg.Keys)
	if err != nil {
		return nil, &ConfigError{Field: "Keys", Problem: err.Error(), Err: err}
	}
	indexKey, err := newIndexKey(sessionKey)
	if err != nil {
		return nil, &ConfigError{Field: "SessionKey", Problem: err.Error(), Err: err}
	}
	client := baseClient(cfg)
	f := &Flow{
		cfg: &cfg,
		oauth: &oauth2.Config{
			ClientID:     cfg.ClientID,
			ClientSecret: cfg.ClientSecret,
			RedirectURL:  cfg.RedirectURL,
			Scopes:       cfg.Scopes,
			Endpoint: oauth2.Endpoint{
				AuthURL:   cfg.Provider.AuthURL,
				TokenURL:  cfg.Provider.TokenURL,
				AuthStyle: cfg.Provider.AuthStyle,
			},
		},
		grants:      grants,
		revocations: pending,
		imports:     imports,
		attempts:    func() cipher.AEAD { return attempts },
		signIns:     signIns,
		index:       index,

		tokenIndexKey: func() []byte { return indexKey },

		slots:      make(slots, maxRefreshes),
		client:     limited(client, true),
		revoker:    limited(client, false),
		sessionKey: func() []byte { return sessionKey },
		now:        cfg.Now,
		log:        cfg.Logger,
		clock:      clock{start: time.Now()},
		sources:    make(map[string]*source),
	}
	f.background, f.stop = context.WithCancel(context.Background())
	if cfg.Provider.JWKSURL != "" {
		keys := oidc.NewRemoteKeySet(oidc.ClientContext(f.background, f.client), cfg.Provider.JWKSURL)
		f.idTokens = oidc.NewVerifier(cfg.Provider.Issuer, keys, &oidc.Config{ClientID: cfg.ClientID, Now: cfg.Now})
	}
	return f, nil
}

var errClosed = errors.New("the Flow is closed")

// Close ends what the Flow does in the background and waits for it: up to 30 s if the provider is being asked for a
// token, and some seconds if one could not be stored. Credentials of a closed Flow still serve tokens that live, but
// refresh no more. It always returns nil.
func (f *Flow) Close() error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.stop()
	f.running.Wait()
	f.clock.close()
	return nil
}

// goBackground runs work in a goroutine that Close ends and waits for. On a closed Flow it runs nothing and
// returns false.
func (f *Flow) goBackground(work func(context.Context)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.running.Go(func() { work(f.background) })
	return true
}

func (c Config) withDefaults() Config {
	if c.Provider == (Provider{}) {
		c.Provider = Google()
	}
	if c.Provider.AuthStyle == oauth2.AuthStyleAutoDetect {
		// Auto-detection sends a code or refresh token twice.
		c.Provider.AuthStyle = oauth2.AuthStyleInParams
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if len(c.Scopes) > 0 {
		c.Scopes = withIdentityScopes(c.Scopes)
	}
	return c
}

func (c Config) validate() error {
	switch {
	case strings.ContainsFunc(c.ClientID, notVisible):
		return &ConfigError{Field: "ClientID", Problem: "holds white space or other characters that no client ID has"}
	case c.ClientID == "":
		return &ConfigError{Field: "ClientID", Problem: "is empty; Google Cloud Console shows it under Credentials"}
	case len(c.Scopes) == 0:
		return &ConfigError{Field: "Scopes", Problem: "are empty; ask for at least one, say gmail.GmailReadonlyScope"}
	case slices.ContainsFunc(c.Scopes, func(s string) bool { return s == "" || strings.ContainsFunc(s, notVisible) }):
		return &ConfigError{Field: "Scopes", Problem: "hold an empty one, or several in one text"}
	case c.Store == nil:
		return &ConfigError{Field: "Store", Problem: "is nil; tokenstore.NewMemory is one for tests"}
	case c.Keys == nil:
		return &ConfigError{Field: "Keys", Problem: "is nil; tokenstore.ParseKeyring makes a keyring, and grants are always sealed"}
	case c.SessionKey == nil && c.ClientSecret == "":
		return &ConfigError{Field: "SessionKey", Problem: "is nil, and there is no ClientSecret to derive it from; set 32 random bytes"}
	case c.SessionKey != nil && len(c.SessionKey) < sessionKeyBytes:
		return &ConfigError{Field: "SessionKey", Problem: fmt.Sprintf("has %d bytes; at least %d are needed",
			len(c.SessionKey), sessionKeyBytes)}
	}
	if err := checkRedirectURL(c.RedirectURL); err != nil {
		return err
	}
	return c.Provider.validate(c.AllowPrivateEndpoints)
}

// notVisible reports whether r is none of the characters that client IDs (RFC 6749 §A.1) and scopes (§3.3) have in practice.
func notVisible(r rune) bool { return r <= ' ' || r > '~' }

// redact returns what of c may be shown.
func (c Config) redact() Config {
	if c.ClientSecret != "" {
		c.ClientSecret = redacted
	}
	if c.SessionKey != nil {
		c.SessionKey = []byte(redacted)
	}
	return c
}

const redacted = "[redacted]"

// Format implements fmt.Formatter: no verb shows a secret.
func (c Config) Format(f fmt.State, verb rune) {
	type plain Config
	fmt.Fprintf(f, fmt.FormatString(f, verb), plain(c.redact()))
}

// MarshalJSON implements json.Marshaler and always fails: a Config holds secrets.
func (c Config) MarshalJSON() ([]byte, error) {
	return nil, &json.UnsupportedValueError{Str: "authflow.Config holds secrets"}
}

// LogValue implements slog.LogValuer.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("client", c.ClientID), slog.String("redirect_url", c.RedirectURL),
		slog.Any("scopes", c.Scopes), slog.String("issuer", c.Provider.Issuer))
}

// Format implements fmt.Formatter: no verb shows a secret.
func (f *Flow) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "authflow.Flow("+f.cfg.ClientID+")")
}
