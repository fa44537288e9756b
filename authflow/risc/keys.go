package risc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/mailgrant/mailgrant/internal/keyset"
)

const configurationURL = "https://accounts.google.com/.well-known/risc-configuration"

// googleKeys are the keys that Google signs security events with: those at the jwks_uri of its RISC configuration, which is
// fetched when the first event comes.
type googleKeys struct {
	ctx           context.Context //nolint:containedctx // it ends the fetching, which callers share
	client        *http.Client
	configuration *http.Client // as client, sparing
	url           string

	mu   sync.Mutex
	keys oidc.KeySet
}

func newGoogleKeys(ctx context.Context, client *http.Client, configuration string) *googleKeys {
	return &googleKeys{ctx: ctx, client: client, configuration: keyset.Client(client), url: configuration}
}

// VerifySignature implements oidc.KeySet.
func (g *googleKeys) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	keys, err := g.load(ctx)
	if err != nil {
		return nil, err
	}
	return keys.VerifySignature(ctx, jwt)
}

func (g *googleKeys) load(ctx context.Context) (oidc.KeySet, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.keys != nil {
		return g.keys, nil
	}
	// The URL is the caller's, or Google's.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url, nil) //nolint:gosec // see above
	if err != nil {
		return nil, err
	}
	resp, err := g.configuration.Do(req) //nolint:gosec // see above
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var found struct {
		JWKSURL string `json:"jwks_uri"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&found); err != nil {
		return nil, fmt.Errorf("the RISC configuration: %w", err)
	}
	if u, err := url.Parse(found.JWKSURL); err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("the RISC configuration names no https URL of keys")
	}
	g.keys = keyset.Remote(g.ctx, g.client, found.JWKSURL)
	return g.keys, nil
}
