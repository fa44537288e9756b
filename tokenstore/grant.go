package tokenstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// A Grant is the permission that a Google user gave an application to act on their mail while
// they are away: the refresh token, what belongs to it, and what has become of it.
//
// The tokens of a Grant never appear when it is formatted, logged or marshaled to JSON. Package fmt asks no
// method of an unexported field, though: do not print structs that hold a Grant in one.
//
// A Grant is a plain value: it is not safe for concurrent modification.
type Grant struct {
	// UserID is the subject ("sub") of the user's ID token, and the key in the store. An e-mail
	// address is no key: it can change hands.
	// See https://developers.google.com/identity/openid-connect/openid-connect#an-id-tokens-payload.
	UserID string `json:"sub"`
	Email  string `json:"email,omitzero"`

	ID       string `json:"id"`  // random, new with every consent
	ClientID string `json:"aud"` // the OAuth client that the grant belongs to

	RefreshToken       string    `json:"rt,omitzero"`
	AccessToken        string    `json:"at,omitzero"`
	Expiry             time.Time `json:"exp,omitzero"`    // of AccessToken
	RefreshTokenExpiry time.Time `json:"rt_exp,omitzero"` // zero: not limited in time

	Scopes []string `json:"scopes,omitzero"` // as granted, which can be fewer than asked for

	Status      Status    `json:"status,omitzero"`
	LastRefresh time.Time `json:"refreshed,omitzero"` // when AccessToken was issued
	LastError   string    `json:"error,omitzero"`     // of the last failed refresh, for people to see

	Lease *Lease `json:"lease,omitzero"` // who is refreshing; nil: nobody

	CreatedAt time.Time `json:"created,omitzero"` // the consent
	UpdatedAt time.Time `json:"updated,omitzero"`

	version string // of the record that the grant was read from or last written to
}

// Version returns the version of the stored record that g was read from or last written to,
// or "" if g was never stored.
func (g *Grant) Version() string { return g.version }

// Clone returns a deep copy of g, which stands for the same stored version.
func (g *Grant) Clone() *Grant {
	c := *g
	c.Scopes = slices.Clone(g.Scopes)
	if g.Lease != nil {
		c.Lease = new(*g.Lease)
	}
	return &c
}

// Status says whether a grant can still be used. The zero Status is an active grant.
type Status struct {
	Revoked bool      `json:"revoked,omitzero"`
	Reason  Reason    `json:"reason,omitzero"` // why it was revoked
	At      time.Time `json:"at,omitzero"`     // when that was noticed
}

// Active is the Status of a grant that can be used.
var Active = Status{}

// A Reason says why a grant was revoked.
type Reason string

// The reasons for which a grant ends.
const (
	// ReasonInvalidGrant: the provider refuses the refresh token (RFC 6749 §5.2). The user removed the
	// application, changed the password, did not use it for six months, or the token was one too many:
	// Google does not say which.
	ReasonInvalidGrant Reason = "invalid_grant"
	// ReasonPolicy: a policy of the user's organization asks for a new consent (Google's
	// sub-error invalid_rapt).
	ReasonPolicy Reason = "invalid_rapt"
	// ReasonExpired: the refresh token was limited in time, and its time is over.
	ReasonExpired Reason = "expired"
	// ReasonApplication: the application revoked the grant itself.
	ReasonApplication Reason = "application"
	// ReasonUser: the user took the grant back in the application, or the provider said that they did.
	ReasonUser Reason = "user"
	// ReasonPassword: the user changed the password, which ends grants with Gmail scopes. Only a security event tells.
	ReasonPassword Reason = "password"
	// ReasonSecurity: the provider told of a security event, such as an account taken over.
	ReasonSecurity Reason = "security_event"
	// ReasonOtherClient: the grant belongs to another OAuth client than the one that asks. It is never stored.
	ReasonOtherClient Reason = "other_client"
)

// A Lease says who is refreshing a grant. Others wait until the record's version has stood still
// for Duration on their own monotonic clock: wall clocks of different machines are never compared.
type Lease struct {
	Holder   string        `json:"holder"`
	Duration time.Duration `json:"duration"`
	TakenAt  time.Time     `json:"taken,omitzero"` // on the holder's clock, for people to see
}

// formatVersion is written into every sealed grant, so that an old reader can tell that it
// does not know all that a newer writer stored.
const formatVersion = 1

// wireGrant is Grant without its redacting methods.
type wireGrant Grant

func (g *Grant) encode() ([]byte, error) {
	return json.Marshal(struct {
		Format int `json:"v"`
		*wireGrant
	}{formatVersion, (*wireGrant)(g)})
}

func decodeGrant(data []byte) (*Grant, error) {
	g := new(Grant)
	wire := struct {
		Format int `json:"v"`
		*wireGrant
	}{wireGrant: (*wireGrant)(g)}
	// An error of encoding/json may quote what it read: it must not leave this function.
	if err := json.Unmarshal(data, &wire); err != nil {
		return nil, errors.New("the opened record is not a grant")
	}
	if wire.Format != formatVersion {
		return nil, fmt.Errorf("the record has format %d, this release reads format %d", wire.Format, formatVersion)
	}
	return g, nil
}

const redacted = "[redacted]"

// redact returns a copy of g whose tokens only tell whether they are there.
func (g Grant) redact() wireGrant {
	for _, s := range []*string{&g.RefreshToken, &g.AccessToken} {
		if *s != "" {
			*s = redacted
		}
	}
	return wireGrant(g)
}

// Format implements fmt.Formatter: no verb shows a token.
func (g Grant) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, fmt.FormatString(f, verb), g.redact())
}

// MarshalJSON implements json.Marshaler: the result holds no token. It is meant for status pages and
// logs; a Grant is stored through Grants.
func (g Grant) MarshalJSON() ([]byte, error) {
	return json.Marshal(g.redact())
}

// UnmarshalJSON implements json.Unmarshaler and always fails: what MarshalJSON writes holds no tokens, and
// must not come back as a grant.
func (g *Grant) UnmarshalJSON([]byte) error {
	return errors.New("tokenstore: a Grant is read through Grants")
}

// LogValue implements slog.LogValuer.
func (g Grant) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("user", g.UserID),
		slog.String("grant", g.ID),
		slog.String("client", g.ClientID),
		slog.Any("scopes", g.Scopes),
		slog.Bool("revoked", g.Status.Revoked),
		slog.Time("expiry", g.Expiry),
	)
}
