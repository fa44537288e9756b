package gmailsvc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"golang.org/x/oauth2"
	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/option"
)

// A Service is the Gmail of one user. It embeds *gmail.Service: the whole API is there, and every call through it is authorized,
// and authorized anew where Gmail answers 401. It is safe for concurrent use, holds no
// connection of its own, and need not be closed.
type Service struct {
	*gmail.Service
}

// A Config says how services reach Gmail. The zero Config reaches Google's, over http.DefaultTransport.
type Config struct {
	// Endpoint is the root of the API. Empty: Google's, https://gmail.googleapis.com/.
	Endpoint string

	// HTTPClient's Transport carries the calls of all services built from this Config, so that users share
	// connections. Its Timeout, CheckRedirect and Jar apply too. It must not authorize by itself. Nil: http.DefaultTransport.
	HTTPClient *http.Client

	// UserAgent is sent with every call, after that of google.golang.org/api. Empty: "mailgrant (gzip)". Google compresses
	// its answers only for a user agent that contains "gzip":
	// https://developers.google.com/workspace/gmail/api/guides/performance.
	UserAgent string

	// Options are passed on to gmail.NewService. Those that choose credentials, an HTTP client or a user agent have no effect
	// there; those that only work without an HTTP client, as option.WithQuotaProject, make BuildService fail.
	Options []option.ClientOption
}

const defaultUserAgent = "mailgrant (gzip)"

// A Builder builds services that share what its Config holds. It is safe for concurrent use.
type Builder struct {
	cfg Config
}

// New returns a Builder for cfg.
func New(cfg Config) *Builder {
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = new(http.Client)
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = defaultUserAgent
	}
	cfg.Options = slices.Clone(cfg.Options)
	return &Builder{cfg: cfg}
}

// BuildService returns the Gmail of the user whom creds act for: the guide's build_service. Any oauth2.TokenSource
// will do; *authflow.Credentials make the most of it: see Refresher. ctx bounds
// the building alone, and no call is made.
func BuildService(ctx context.Context, creds oauth2.TokenSource, opts ...option.ClientOption) (*Service, error) {
	return New(Config{Options: opts}).BuildService(ctx, creds)
}

// BuildService returns the Gmail of the user whom creds act for, as the function of that name does.
func (b *Builder) BuildService(ctx context.Context, creds oauth2.TokenSource) (*Service, error) {
	if creds == nil {
		return nil, errors.New("gmailsvc: build service: no credentials")
	}
	client := *b.cfg.HTTPClient
	client.Transport = &authorizer{creds: creds, next: client.Transport}
	opts := append(slices.Clone(b.cfg.Options), option.WithHTTPClient(&client))
	if b.cfg.Endpoint != "" {
		if u, err := url.Parse(b.cfg.Endpoint); err != nil || u.Host == "" {
			return nil, fmt.Errorf("gmailsvc: build service: Config.Endpoint %q is not an absolute URL", b.cfg.Endpoint)
		}
		opts = append(opts, option.WithEndpoint(b.cfg.Endpoint))
	}
	svc, err := gmail.NewService(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("gmailsvc: build service: %w", err)
	}
	svc.UserAgent = b.cfg.UserAgent
	return &Service{Service: svc}, nil
}
