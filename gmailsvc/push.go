package gmailsvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/mailgrant/mailgrant/internal/keyset"
)

// A Push says that a mailbox changed: what Gmail publishes on the topic of a watch. It may come late, twice or not at all. The
// history says what changed, from the history ID on that one knows; that of the Push says only how far.
// See https://developers.google.com/workspace/gmail/api/guides/push.
type Push struct {
	EmailAddress string
	HistoryID    uint64
	MessageID    string    // Pub/Sub's
	Published    time.Time // the zero Time where it was not said
}

// A PushConfig says whom a PushHandler listens to. Audience, ServiceAccount and Handle are required.
type PushConfig struct {
	// Audience and ServiceAccount are what the push subscription was set up with: the audience of its tokens, and the e-mail address
	// of the service account that Pub/Sub signs them for. See https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions.
	Audience, ServiceAccount string

	// Handle is told of each Push. Of one address one call runs at a time; what comes meanwhile is merged into one
	// more call, with the highest history ID. An error makes Pub/Sub deliver again.
	Handle func(ctx context.Context, p Push) error

	// HTTPClient fetches Google's keys. Nil: a client with a timeout of 10 s.
	HTTPClient *http.Client

	// KeysURL is where the keys are. Empty: Google's, https://www.googleapis.com/oauth2/v3/certs.
	KeysURL string

	// Logger is told of requests that are refused. Nil: nobody is told.
	Logger *slog.Logger

	// Now is the wall clock. Nil: time.Now.
	Now func() time.Time
}

const (
	googleKeysURL = "https://www.googleapis.com/oauth2/v3/certs"
	googleIssuer  = "https://accounts.google.com"
	maxPushBytes  = 64 << 10
)

// NewPushHandler returns a handler for a Pub/Sub push subscription with authentication. It verifies the OpenID Connect token
// of every request: Google's signature, the audience, the service account. It answers 204 when Handle took the
// Push, 401 to whoever is not Pub/Sub, 400 to what is no Push, and 500 where Handle failed. ctx ends the fetching of keys and
// the handling, which takes 10 minutes at most.
//
// Errors: one that names what is missing in cfg.
func NewPushHandler(ctx context.Context, cfg PushConfig) (http.Handler, error) {
	switch {
	case cfg.Audience == "":
		return nil, errors.New("gmailsvc: push handler: Audience is empty; it is set with the push subscription's authentication")
	case cfg.ServiceAccount == "":
		return nil, errors.New("gmailsvc: push handler: ServiceAccount is empty; without it any Google account's token would do")
	case cfg.Handle == nil:
		return nil, errors.New("gmailsvc: push handler: Handle is nil")
	}
	if cfg.KeysURL == "" {
		cfg.KeysURL = googleKeysURL
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	keys := keyset.Remote(ctx, cfg.HTTPClient, cfg.KeysURL)
	return &pushHandler{
		cfg:      cfg,
		tokens:   oidc.NewVerifier(googleIssuer, keys, &oidc.Config{ClientID: cfg.Audience, Now: cfg.Now}),
		coalesce: coalescer{ctx: ctx, handle: cfg.Handle},
	}, nil
}

type pushHandler struct {
	cfg      PushConfig
	tokens   *oidc.IDTokenVerifier
	coalesce coalescer
}

func (h *pushHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "method not allowed; use POST", http.StatusMethodNotAllowed)
		return
	}
	if err := h.authenticate(r); err != nil {
		h.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "gmailsvc: a push was refused", slog.Any("error", err))
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	push, err := readPush(http.MaxBytesReader(w, r.Body, maxPushBytes))
	if err != nil {
		h.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "gmailsvc: a push was refused", slog.Any("error", err))
		http.Error(w, "not a push of Gmail", http.StatusBadRequest)
		return
	}
	if err := h.coalesce.do(r.Context(), push); err != nil {
		h.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "gmailsvc: a push was not handled", slog.Any("error", err))
		http.Error(w, "not handled; deliver again", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// authenticate returns nil if it is Pub/Sub, on behalf of the right service account, that sent r.
func (h *pushHandler) authenticate(r *http.Request) error {
	scheme, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || len(r.Header.Values("Authorization")) != 1 {
		return errors.New("no bearer token")
	}
	token, err := h.tokens.Verify(r.Context(), strings.TrimSpace(raw))
	if err != nil {
		return errors.New("the token does not verify") // the cause may quote the token
	}
	var claims struct {
		Email         string `json:"email"`
		EmailVerified bool   `json:"email_verified"`
	}
	if err := token.Claims(&claims); err != nil || claims.Email != h.cfg.ServiceAccount || !claims.EmailVerified {
		return errors.New("the token is not the service account's")
	}
	return nil
}

// readPush reads what Pub/Sub posts: https://cloud.google.com/pubsub/docs/push#receive_push.
func readPush(body io.Reader) (Push, error) {
	var envelope struct {
		Message pubsubMessage `json:"message"`
	}
	if err := json.NewDecoder(body).Decode(&envelope); err != nil {
		return Push{}, fmt.Errorf("gmailsvc: push: %w", err)
	}
	return envelope.Message.push()
}

// A pubsubMessage is https://cloud.google.com/pubsub/docs/reference/rest/v1/PubsubMessage.
type pubsubMessage struct {
	Data        []byte    `json:"data"`
	MessageID   string    `json:"messageId"`
	PublishTime time.Time `json:"publishTime"`
}

func (m pubsubMessage) push() (Push, error) {
	var data struct {
		EmailAddress string    `json:"emailAddress"`
		HistoryID    historyID `json:"historyId"`
	}
	if err := json.Unmarshal(m.Data, &data); err != nil {
		return Push{}, fmt.Errorf("gmailsvc: push: the message's data: %w", err)
	}
	if data.EmailAddress == "" || data.HistoryID == 0 {
		return Push{}, errors.New("gmailsvc: push: the message has no emailAddress or historyId")
	}
	return Push{
		EmailAddress: data.EmailAddress, HistoryID: uint64(data.HistoryID), MessageID: m.MessageID, Published: m.PublishTime,
	}, nil
}

// historyID is a history ID, which Google writes as a number in pushes and as a text elsewhere.
type historyID uint64

func (h *historyID) UnmarshalJSON(data []byte) error {
	n, err := strconv.ParseUint(strings.Trim(string(data), `"`), 10, 64)
	if err != nil {
		return errors.New("the history ID is no number")
	}
	*h = historyID(n)
	return nil
}
