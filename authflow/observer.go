package authflow

import (
	"log/slog"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// An Event is something that happened to a grant, for Config.Observer. It holds no secret.
type Event struct {
	Kind    EventKind
	UserID  string
	GrantID string            // the consent that it is about; empty where none was read
	Reason  tokenstore.Reason // of Revoked
	Err     error             // of RefreshFailed, Revoked and StoreTrouble
	Took    time.Duration     // of Refreshed and RefreshFailed: how long the provider took
}

// An EventKind says what happened.
type EventKind string

// What can happen to a grant.
const (
	Consented     EventKind = "consented"      // a user consented for the first time
	Reconsented   EventKind = "reconsented"    // a new consent replaced a living grant
	Recovered     EventKind = "recovered"      // a new consent brought back a grant that had ended
	Imported      EventKind = "imported"       // a refresh token of an older system was taken over
	Refreshed     EventKind = "refreshed"      // the provider issued an access token
	RefreshFailed EventKind = "refresh_failed" // it did not, for a reason that is not the grant's
	Revoked       EventKind = "revoked"        // the grant ended
	Forgotten     EventKind = "forgotten"      // the grant was deleted here
	StoreTrouble  EventKind = "store_trouble"  // something could not be stored; it is tried again, or found out again
)

// LogValue implements slog.LogValuer.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", string(e.Kind)), slog.String("user", e.UserID), slog.String("grant", e.GrantID)}
	if e.Reason != "" {
		attrs = append(attrs, slog.String("reason", string(e.Reason)))
	}
	if e.Took > 0 {
		attrs = append(attrs, slog.Duration("took", e.Took))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// observe tells the Observer and the Logger.
func (f *Flow) observe(e Event) {
	level := slog.LevelInfo
	switch e.Kind {
	case Refreshed:
		level = slog.LevelDebug
	case RefreshFailed, StoreTrouble:
		level = slog.LevelWarn
	}
	f.log.Log(f.background, level, "mailgrant: something happened to a grant", "event", e)
	if f.cfg.Observer != nil {
		f.cfg.Observer(e)
	}
}
