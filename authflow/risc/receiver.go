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
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/internal/keyset"
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

	// Handle is told of every event after the grant was marked. An error makes Google deliver again. It is called at least
	// once for each event, and twice only if a delivery was repeated while the first was under way, or cut short. Nil: nobody
	// is told.
	Handle func(ctx context.Context, e Event) error

	// HTTPClient fetches Google's configuration and keys. Nil: a client with a timeout of 10 s.
	HTTPClient *http.Client

	// ConfigurationURL is where Google says which keys it signs with. Empty:
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
		cfg.ConfigurationURL = configurationURL
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
	events, err := r.verify(req.Context(), strings.TrimSpace(string(body)))
	if err != nil {
		return err
	}
	return r.take(context.WithoutCancel(req.Context()), events)
}

// verify returns the events of a token that Google signed for one of the audiences.
func (r *Receiver) verify(ctx context.Context, raw string) ([]Event, error) {
	if _, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.RS256}); err != nil {
		return nil, &refusal{"invalid_request", "the body is no JWT that is signed with RS256"}
	}
	plain, err := r.keys.VerifySignature(ctx, raw)
	if keyset.Unreachable(err) {
		return nil, fmt.Errorf("risc: fetch Google's keys: %w", err)
	}
	if err != nil {
		return nil, &refusal{"invalid_key", "the signature is by no key of Google's"}
	}
	var t token
	if err := json.Unmarshal(plain, &t); err != nil {
		return nil, &refusal{"invalid_request", "the claims have the wrong types"}
	}
	issuedAt, err := t.IssuedAt.Float64()
	at := time.Unix(int64(issuedAt), 0)
	now := r.cfg.Now()
	switch {
	case !googles(t.Issuer):
		return nil, &refusal{"invalid_issuer", "the issuer is not Google"}
	case !slices.ContainsFunc(t.Audience, func(a string) bool { return slices.Contains(r.cfg.Audiences, a) }):
		return nil, &refusal{"invalid_audience", "the token is for another client"}
	case t.ID == "" || len(t.ID) > 1024:
		return nil, &refusal{"invalid_request", "the token has no jti that can be remembered"}
	case err != nil || at.After(now.Add(clockSkew)):
		return nil, &refusal{"invalid_request", "the token has no iat, or one in the future"}
	case at.Before(now.Add(-oldest)):
		return nil, &refusal{"invalid_request", "the token is older than a week"}
	}
	events, err := t.events(at)
	if err != nil {
		return nil, &refusal{"invalid_request", err.Error()}
	}
	return events, nil
}

// take marks grants and tells the application, unless all of it was done before. What fails is done again with the next delivery:
// marking twice changes nothing.
func (r *Receiver) take(ctx context.Context, events []Event) error {
	id := events[0].ID
	if _, err := r.seen.Look(ctx, id); !errors.Is(err, tokenstore.ErrNotFound) {
		return err
	}
	for _, e := range events {
		if err := r.mark(ctx, &e); err != nil {
			return fmt.Errorf("risc: %w", err)
		}
		if r.cfg.Handle != nil {
			if err := r.cfg.Handle(ctx, e); err != nil {
				return fmt.Errorf("risc: handle: %w", err)
			}
		}
	}
	_, err := r.seen.Claim(ctx, id, events[0].At.Add(oldest+clockSkew))
	return err
}

// mark ends the grant that e is about, if it ends one. A consent that is newer than e stays.
func (r *Receiver) mark(ctx context.Context, e *Event) (err error) {
	switch {
	case e.hint != authflow.TokenHint{}:
		e.UserID, err = r.flow.MarkTokenRevoked(ctx, e.hint, tokenstore.ReasonSecurity)
		e.Marked = err == nil
	case e.UserID != "" && e.Type.endsGrant():
		e.Marked, err = r.flow.MarkRevokedBefore(ctx, e.UserID, tokenstore.ReasonSecurity, e.At)
	}
	if errors.Is(err, tokenstore.ErrNotFound) {
		return nil // a user, or a token, of another service of the project
	}
	return err
}
