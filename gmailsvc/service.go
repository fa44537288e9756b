package gmailsvc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/oauth2"
	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/option"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// A Service is the Gmail of one user. It embeds *gmail.Service: the whole API is there, and every call through it is authorized,
// and authorized anew where Gmail answers 401. It is safe for concurrent use, holds no
// connection of its own, and need not be closed.
type Service struct {
	*gmail.Service
	client *http.Client // that of the embedded one
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

	// Limiter paces the calls, and Prices says what they cost. Share one Limiter between all Builders of a project. Nil: calls go
	// when they are made, and quota.Since2026.
	Limiter *quota.Limiter
	Prices  quota.Prices

	// Retry says how often calls are tried again. The zero RetryPolicy is a good one.
	Retry RetryPolicy

	// Observer is told of every attempt of a call: for metrics and traces. It must return soon, and may be called by many
	// goroutines at once. Nil: nobody is told.
	Observer func(Call)

	// Options are passed on to gmail.NewService. Those that choose credentials, an HTTP client or a user agent have no effect
	// there; those that only work without an HTTP client, as option.WithQuotaProject, make BuildService fail.
	Options []option.ClientOption
}

const defaultUserAgent = "mailgrant (gzip)"

// A Builder builds services that share what its Config holds. It is safe for concurrent use.
type Builder struct {
	cfg     Config
	budget  *retryBudget
	bound   func() *quota.Limiter // bounds what FetchMessages has in flight where there is no Limiter
	noBatch atomic.Bool           // the server has no batch endpoint
}

// New returns a Builder for cfg.
func New(cfg Config) *Builder {
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = new(http.Client)
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = defaultUserAgent
	}
	if cfg.Prices == nil {
		cfg.Prices = quota.Since2026()
	}
	cfg.Retry = cfg.Retry.withDefaults()
	cfg.Options = slices.Clone(cfg.Options)
	return &Builder{cfg: cfg, budget: newRetryBudget(cfg.Retry.Budget), bound: sync.OnceValue(unpaced)}
}

// unpaced returns a Limiter that bounds the calls in flight, learns from Google's refusals, and counts no units.
func unpaced() *quota.Limiter {
	l, err := quota.New(quota.Config{PerUser: -1, PerProject: -1})
	if err != nil {
		panic(err) // there is nothing in it that could be wrong
	}
	return l
}

// A ServiceOption changes one Service.
type ServiceOption interface{ apply(*serviceOptions) }

type serviceOptions struct {
	user  string
	class quota.Class
	mode  guardMode
}

type serviceOption func(*serviceOptions)

func (o serviceOption) apply(s *serviceOptions) { o(s) }

// ForUser says whose quota a Service spends, where the credentials don't: see Subject.
func ForUser(userID string) ServiceOption {
	return serviceOption(func(s *serviceOptions) { s.user = userID })
}

// Interactive makes a Service one for a person who waits: its calls overtake those of others at the Limiter.
func Interactive() ServiceOption {
	return serviceOption(func(s *serviceOptions) { s.class = quota.Interactive })
}

// ReadOnly makes a Service that lets nothing out but reading calls, whatever the grant permits: others fail with
// *ForbiddenCallError.
func ReadOnly() ServiceOption {
	return serviceOption(func(s *serviceOptions) { s.mode = max(s.mode, readOnly) })
}

// NoSend makes a Service that lets out no call which makes Gmail send mail, now or by a setting: such calls fail with
// *ForbiddenCallError. The scope gmail.modify permits sending.
func NoSend() ServiceOption {
	return serviceOption(func(s *serviceOptions) { s.mode = max(s.mode, noSend) })
}

// A Subject is a token source that says whose it is, by a text that stands for the user everywhere. *authflow.Credentials is one.
type Subject interface{ Subject() string }

// BuildService returns the Gmail of the user whom creds act for: the guide's build_service. Any oauth2.TokenSource
// will do; *authflow.Credentials make the most of it: see Refresher. ctx bounds
// the building alone, and no call is made.
func BuildService(ctx context.Context, creds oauth2.TokenSource, opts ...option.ClientOption) (*Service, error) {
	return New(Config{Options: opts}).BuildService(ctx, creds)
}

// BuildService returns the Gmail of the user whom creds act for, as the function of that name does.
func (b *Builder) BuildService(ctx context.Context, creds oauth2.TokenSource, opts ...ServiceOption) (*Service, error) {
	if creds == nil {
		return nil, errors.New("gmailsvc: build service: no credentials")
	}
	var o serviceOptions
	if s, ok := creds.(Subject); ok {
		o.user = s.Subject()
	}
	for _, opt := range opts {
		opt.apply(&o)
	}
	if b.cfg.Limiter != nil && o.user == "" {
		return nil, errors.New("gmailsvc: build service: the Limiter must know whose quota is spent: " +
			"give ForUser, or credentials that have a Subject")
	}
	client := *b.cfg.HTTPClient
	client.Transport = &userTransport{builder: b, creds: creds, serviceOptions: o}
	options := append(slices.Clone(b.cfg.Options), option.WithHTTPClient(&client))
	if b.cfg.Endpoint != "" {
		if u, err := url.Parse(b.cfg.Endpoint); err != nil || u.Host == "" {
			return nil, fmt.Errorf("gmailsvc: build service: Config.Endpoint %q is not an absolute URL", b.cfg.Endpoint)
		}
		options = append(options, option.WithEndpoint(b.cfg.Endpoint))
	}
	svc, err := gmail.NewService(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("gmailsvc: build service: %w", err)
	}
	svc.UserAgent = b.cfg.UserAgent
	return &Service{Service: svc, client: &client}, nil
}

// A userTransport is an http.RoundTripper for the calls of one Service. There are as many as there are users: what they
// share is the Builder's, and the chain that a call goes through is made for the call.
type userTransport struct {
	builder *Builder
	creds   oauth2.TokenSource
	serviceOptions
}

func (t *userTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	cfg := &t.builder.cfg
	authorized := &authorizer{creds: t.creds, next: cfg.HTTPClient.Transport}
	if f, ok := req.Context().Value(flightKey{}).(*flight); ok {
		// It has waited for the quota, is tried again part by part, and holds gets alone.
		resp, err := authorized.RoundTrip(req)
		f.token = authorized.sent
		return resp, err
	}
	// Each attempt of a call waits for the quota of its own, since each costs.
	metered := &meter{
		limiter: cfg.Limiter, prices: cfg.Prices, user: t.user, class: t.class, observe: cfg.Observer, next: authorized,
	}
	retried := &retrier{policy: cfg.Retry, budget: t.builder.budget, next: metered}
	if t.mode != unguarded {
		return (&guard{mode: t.mode, next: retried}).RoundTrip(req)
	}
	return retried.RoundTrip(req)
}

// Client returns the HTTP client that carries the Service's calls, for a call that the generated API has no method for: it is
// authorized, paced and retried as all others are.
func (s *Service) Client() *http.Client { return s.client }
