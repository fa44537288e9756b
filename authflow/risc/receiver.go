package risc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// A Config says what a Receiver listens to. Audiences, Store and Keys are required.
type Config struct {
	// Audiences are the OAuth client IDs whose events are taken: of all clients of the project, as far as this service
	// is to know of them.
	Audiences []string

	// Store remembers which events were handled, sealed with Keys. The Flow's own will do.
	Store tokenstore.TokenStore
	Keys  tokenstore.AEAD

	// Handle is told of every event after the grants were marked. It has 30 s. An error makes Google deliver again, and Handle is
	// told again of all events of that token. Otherwise it is told once, over all processes that share Store, unless one of them
	// ended in between. Nil: nobody is told.
	Handle func(ctx context.Context, e Event) error

	// HTTPClient fetches Google's configuration and keys, within 10 s and twice a minute at most. Nil: a client of the Receiver's
	// own.
	HTTPClient *http.Client

	// ConfigurationURL is where Google says which keys it signs with: an issuer and "/.well-known/risc-configuration". Empty:
	// https://accounts.google.com/.well-known/risc-configuration.
	ConfigurationURL string

	// Logger is told of tokens that are refused. Nil: nobody is told.
	Logger *slog.Logger

	// Now is the wall clock. Nil: time.Now.
	Now func() time.Time
}

// A Receiver is the http.Handler that Google posts security event tokens to (RFC 8935). It answers 202 to those that are
// genuine, whether they concern a user of this service or not, 400 to others, and 500 where an event could not be taken now,
// so that Google delivers it again. It is safe for concurrent use.
type Receiver struct {
	flow *authflow.Flow
	cfg  Config
	keys *googleKeys
	seen *tokenstore.Once
}

const (
	namespace     = "mailgrant security events"
	maxTokenBytes = 64 << 10
	oldest        = 7 * 24 * time.Hour // of a token that is taken: for so long those that were handled are remembered
	clockSkew     = 10 * time.Minute
)

// NewReceiver returns a Receiver that marks the grants of flow. ctx ends the fetching of keys. For TokenRevoked, flow needs
// Config.IndexRefreshTokens.
//
// Errors: one that names what is missing in cfg.
func NewReceiver(ctx context.Context, flow *authflow.Flow, cfg Config) (*Receiver, error) {
	switch {
	case flow == nil:
		return nil, errors.New("risc: new receiver: no Flow")
	case len(cfg.Audiences) == 0 || slices.Contains(cfg.Audiences, ""):
		return nil, errors.New("risc: new receiver: Audiences are empty; they are the project's OAuth client IDs")
	case cfg.Store == nil:
		return nil, errors.New("risc: new receiver: Store is nil; the Flow's own will do")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.ConfigurationURL == "" {
		cfg.ConfigurationURL = googleURL
	}
	if u, err := url.Parse(cfg.ConfigurationURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" ||
		!strings.HasSuffix(cfg.ConfigurationURL, wellKnown) {
		return nil, fmt.Errorf("risc: new receiver: ConfigurationURL %q does not end in %s", cfg.ConfigurationURL, wellKnown)
	}
	seen, err := tokenstore.NewOnce(tokenstore.Namespace(cfg.Store, namespace), cfg.Keys, cfg.Now)
	if err != nil {
		return nil, fmt.Errorf("risc: new receiver: %w", err)
	}
	return &Receiver{flow: flow, cfg: cfg, seen: seen, keys: newGoogleKeys(ctx, cfg.HTTPClient, cfg.ConfigurationURL)}, nil
}

// ServeHTTP implements http.Handler.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "method not allowed; use POST", http.StatusMethodNotAllowed)
		return
	}
	err := r.receive(w, req)
	refused, isRefused := errors.AsType[*refusal](err)
	switch {
	case err == nil:
		w.WriteHeader(http.StatusAccepted)
		return
	case isRefused:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Language", "en")
		w.WriteHeader(http.StatusBadRequest)
		// A map of texts marshals; whether Google reads it is Google's affair.
		_ = json.NewEncoder(w).Encode(map[string]string{"err": refused.code, "description": refused.why})
	default:
		http.Error(w, "the event could not be taken now; deliver it again", http.StatusInternalServerError)
	}
	r.cfg.Logger.LogAttrs(req.Context(), slog.LevelWarn, "risc: a security event was not taken", slog.Any("error", err))
}

// A refusal is an error of RFC 8935 §2.4.
type refusal struct{ code, why string }

func (e *refusal) Error() string { return e.code + ": " + e.why }

func (r *Receiver) receive(w http.ResponseWriter, req *http.Request) error {
	if media, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err == nil && media != "application/secevent+jwt" &&
		media != "application/jwt" && media != "text/plain" && media != "application/octet-stream" {
		return &refusal{"invalid_request", "the content type is not application/secevent+jwt"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxTokenBytes))
	if err != nil {
		return &refusal{"invalid_request", "the token can't be read, or is too long"}
	}
	t, err := r.verify(req.Context(), strings.TrimSpace(string(body)))
	if err != nil {
		return err
	}
	notices, err := t.notices()
	if err != nil {
		return &refusal{"invalid_request", err.Error()}
	}
	// The jti is unique to a stream, and the audience to a project.
	id := strings.Join(t.Audience, " ") + " " + t.ID
	// Google may hang up: what is begun is finished.
	return r.take(context.WithoutCancel(req.Context()), id, notices)
}

// verify returns a token that Google signed for one of the audiences.
func (r *Receiver) verify(ctx context.Context, raw string) (*token, error) {
	signed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, &refusal{"invalid_request", "the body is no JWT that is signed with RS256"}
	}
	header := signed.Signatures[0].Protected
	if !typeOfEvents(header.ExtraHeaders[jose.HeaderType]) {
		return nil, &refusal{"invalid_request", "the JWT is of another type than secevent+jwt"}
	}
	key, issuer, err := r.keys.find(ctx, header.KeyID)
	if errors.Is(err, errUnknownKey) {
		return nil, &refusal{"invalid_key", "the key is none of Google's"}
	}
	if err != nil {
		return nil, fmt.Errorf("risc: Google's keys: %w", err)
	}
	plain, err := signed.Verify(key)
	if err != nil {
		return nil, &refusal{"invalid_key", "the signature is not Google's"}
	}
	t := new(token)
	if err := json.Unmarshal(plain, t); err != nil {
		return nil, &refusal{"invalid_request", "the claims have the wrong types"}
	}
	if refused := r.check(t, issuer); refused != nil {
		return nil, refused
	}
	return t, nil
}

// check returns nil or what is wrong with the claims of a token (RFC 8417 §2.2).
func (r *Receiver) check(t *token, issuer string) *refusal {
	now := r.cfg.Now()
	switch {
	case !sameIssuer(t.Issuer, issuer):
		return &refusal{"invalid_issuer", "the issuer is not the one whose keys these are"}
	case !slices.ContainsFunc(t.Audience, func(a string) bool { return slices.Contains(r.cfg.Audiences, a) }):
		return &refusal{"invalid_audience", "the token is for another client"}
	case t.ID == "" || len(t.ID) > 1024:
		return &refusal{"invalid_request", "the token has no jti that can be remembered"}
	case t.IssuedAt.IsZero() || t.IssuedAt.After(now.Add(clockSkew)):
		return &refusal{"invalid_request", "the token has no iat, or one in the future"}
	case t.IssuedAt.Before(now.Add(-oldest)):
		return &refusal{"invalid_request", "the token is older than a week"}
	case !t.Expiry.IsZero() && t.Expiry.Before(now.Add(-clockSkew)):
		// None is needed, and Google sends none. But who sets one means it (RFC 7519 §4.1.4).
		return &refusal{"invalid_request", "the token has expired"}
	}
	return nil
}

// typeOfEvents reports whether a JWT with that header "typ" can be a security event token. It should say so (RFC 8417 §2.3), but
// Google does not promise that.
func typeOfEvents(typ any) bool {
	if typ == nil {
		return true
	}
	text, ok := typ.(string)
	switch strings.TrimPrefix(strings.ToLower(text), "application/") {
	case "secevent+jwt", "jwt":
		return ok
	}
	return false
}
