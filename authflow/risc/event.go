package risc

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
)

// An EventType is the URI of a kind of event.
type EventType string

// The events that Google sends, and what they do to the user's grant here.
const (
	// TokensRevoked: all tokens of the user are dead. The grant is marked.
	TokensRevoked EventType = "https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked"
	// TokenRevoked: one refresh token is dead. The grant that has it is marked.
	TokenRevoked EventType = "https://schemas.openid.net/secevent/oauth/event-type/token-revoked"
	// AccountDisabled: the account is; Reason is "hijacking", "bulk-account" or empty. The grant is marked. After a hijacking
	// the application ends the user's sessions.
	AccountDisabled EventType = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
	// AccountPurged: the account is no more. The grant is marked.
	AccountPurged EventType = "https://schemas.openid.net/secevent/risc/event-type/account-purged"
	// SessionsRevoked: the user was signed out everywhere. The tokens live; the application ends its own sessions.
	SessionsRevoked EventType = "https://schemas.openid.net/secevent/risc/event-type/sessions-revoked"
	// AccountEnabled: the account is in use again. A grant that was marked needs a new consent.
	AccountEnabled EventType = "https://schemas.openid.net/secevent/risc/event-type/account-enabled"
	// CredentialChangeRequired: the user has to change a password. The tokens live; look out for what is unusual.
	CredentialChangeRequired EventType = "https://schemas.openid.net/secevent/risc/event-type/account-credential-change-required"
	// Verification: Register asked for it, with State.
	Verification EventType = "https://schemas.openid.net/secevent/risc/event-type/verification"
)

// Events are all of the types above, which Register asks for.
func Events() []EventType {
	return []EventType{
		TokensRevoked, TokenRevoked, AccountDisabled, AccountPurged, SessionsRevoked, AccountEnabled, CredentialChangeRequired,
		Verification,
	}
}

// endsGrant reports whether tokens are dead after an event of type t.
func (t EventType) endsGrant() bool {
	return t == TokensRevoked || t == TokenRevoked || t == AccountDisabled || t == AccountPurged
}

// An Event is one that Google sent, and whose signature was verified.
type Event struct {
	Type   EventType // one of the above, or another that Google came to send
	ID     string    // "jti" of the token that it came in, which may hold several events
	At     time.Time // when the token was issued
	UserID string    // empty where the event names none, and of TokenRevoked where no grant has the token
	Reason string    // of AccountDisabled
	State  string    // of Verification
	Marked bool      // whether the grant that it is about has ended here, by it or before
}

// A notice is an Event on its way.
type notice struct {
	Event
	hint authflow.TokenHint // of TokenRevoked
}

// token is a security event token (RFC 8417 §2.2).
type token struct {
	Issuer   string                     `json:"iss"`
	Audience audience                   `json:"aud"`
	IssuedAt seconds                    `json:"iat"`
	Expiry   seconds                    `json:"exp"` // which a security event token should not have
	ID       string                     `json:"jti"`
	Events   map[EventType]eventPayload `json:"events"`
}

// seconds is a time as JWTs write it (RFC 7519 §2).
type seconds struct{ time.Time }

func (s *seconds) UnmarshalJSON(data []byte) error {
	const year10000 = 253402300800
	n, err := strconv.ParseFloat(string(data), 64)
	if err != nil || n < 0 || n >= year10000 {
		return errors.New("a time is no number of seconds")
	}
	s.Time = time.Unix(int64(n), 0)
	return nil
}

// audience is one text or several.
type audience []string

func (a *audience) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*a = audience{one}
		return nil
	}
	var many []string
	if err := json.Unmarshal(data, &many); err != nil {
		return errors.New("the audience is neither a text nor a list of texts")
	}
	*a = many
	return nil
}

// eventPayload is what an event says (OpenID RISC Profile 1.0 §2, OAuth Event Types 1.0 §2).
type eventPayload struct {
	Subject subject `json:"subject"`
	Reason  string  `json:"reason"`
	State   string  `json:"state"`
}

type subject struct {
	Type   string `json:"subject_type"`
	Issuer string `json:"iss"`
	Sub    string `json:"sub"`

	TokenType string `json:"token_type"`
	Algorithm string `json:"token_identifier_alg"`
	Token     string `json:"token"`
}

// maxEvents is how many events a token may hold. Google sends one.
const maxEvents = 16

// notices returns what t tells, in a fixed order.
func (t *token) notices() ([]notice, error) {
	if len(t.Events) == 0 || len(t.Events) > maxEvents {
		return nil, fmt.Errorf("the token holds %d events", len(t.Events))
	}
	var notices []notice
	for _, kind := range slices.Sorted(maps.Keys(t.Events)) {
		payload := t.Events[kind]
		n := notice{Event: Event{Type: kind, ID: t.ID, At: t.IssuedAt.Time, Reason: payload.Reason, State: payload.State}}
		s := payload.Subject
		switch {
		case kind == TokenRevoked:
			n.hint = s.hint()
		case s.Sub != "":
			// The claims of an ID token need not say again whose they are.
			if !sameIssuer(s.Issuer, t.Issuer) && (s.Issuer != "" || s.Type != "id_token_claims") {
				return nil, errors.New("the subject is another issuer's")
			}
			n.UserID = s.Sub
		}
		notices = append(notices, n)
	}
	return notices, nil
}

// hint returns how s names a refresh token. The zero TokenHint names none.
func (s subject) hint() authflow.TokenHint {
	switch {
	case s.TokenType != "" && s.TokenType != "refresh_token":
	case s.Algorithm == "prefix":
		return authflow.TokenHint{Prefix: s.Token}
	case s.Algorithm == "hash_base64_sha512_sha512":
		return authflow.TokenHint{DoubleSHA512: s.Token}
	}
	return authflow.TokenHint{}
}

// sameIssuer reports whether a and b are one issuer: Google's documents write it with a trailing slash, its tokens without.
func sameIssuer(a, b string) bool { return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/") }
