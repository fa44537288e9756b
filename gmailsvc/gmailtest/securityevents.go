package gmailtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A SecurityEvent is one of Cross-Account Protection: https://developers.google.com/identity/protocols/risc. It only says
// that something happened; to end a grant, too, call [Server.Revoke].
type SecurityEvent struct {
	// Type is the URI of the kind of event, "https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked" for one.
	// Required.
	Type string

	// User is whom it concerns, by e-mail address or sub, whether the server has such a user or not. Empty: nobody, as
	// in a verification.
	User string

	// RefreshToken is the token that token-revoked is about. It is named by its first 16 characters, or by its double hash where
	// Hashed is set. With it the event names no User.
	RefreshToken string
	Hashed       bool

	Reason string // of account-disabled: "hijacking" or "bulk-account"
	State  string // of verification

	// ClientID is the audience. Default: the first client of the Config.
	ClientID string

	// ID is the jti, which receivers tell a repeated delivery by. Default: a random one.
	ID string

	// IssuedAt is when it was issued, to the second. Default: now.
	IssuedAt time.Time
}

// SecurityEventToken returns e as Google posts it: a security event token (RFC 8417) without an expiry, signed with the key
// of ID tokens. Its issuer ends in a slash, as in Google's documents.
func (s *Server) SecurityEventToken(e SecurityEvent) (string, error) {
	details := make(map[string]any)
	switch {
	case e.RefreshToken != "":
		details["subject"] = tokenSubject(e.RefreshToken, e.Hashed)
	case e.User != "":
		details["subject"] = map[string]string{"subject_type": "iss-sub", "iss": s.eventIssuer(), "sub": s.subject(e.User)}
	}
	if e.Reason != "" {
		details["reason"] = e.Reason
	}
	if e.State != "" {
		details["state"] = e.State
	}
	issued := e.IssuedAt
	if issued.IsZero() {
		issued = s.cfg.Now()
	}
	return s.signEvent(map[string]any{
		"iss": s.eventIssuer(), "aud": cmp.Or(e.ClientID, s.cfg.Clients[0].ID), "iat": issued.Unix(),
		"jti": cmp.Or(e.ID, rand.Text()), "events": map[string]any{e.Type: details},
	})
}

// PostSecurityEvent posts e to a receiver, once, as Google does (RFC 8935). A nil client is a plain one. It is an error if
// the receiver does not answer 202, and the text says what it answered.
func (s *Server) PostSecurityEvent(ctx context.Context, client *http.Client, receiverURL string, e SecurityEvent) error {
	token, err := s.SecurityEventToken(e)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, receiverURL, strings.NewReader(token))
	if err != nil {
		return fmt.Errorf("gmailtest: post a security event: %w", err)
	}
	req.Header.Set("Content-Type", "application/secevent+jwt")
	req.Header.Set("Accept", "application/json")
	if client == nil {
		client = new(http.Client)
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("gmailtest: post a security event: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("gmailtest: post a security event: %w", err)
	}
	if res.StatusCode != http.StatusAccepted {
		return fmt.Errorf("gmailtest: post a security event: the receiver answered %s: %s", res.Status, strings.TrimSpace(string(answer)))
	}
	return nil
}

// RISCConfigurationURL returns the address of the document that says who issues security events, and with which keys.
func (s *Server) RISCConfigurationURL() string {
	return s.endpoint("https://accounts.google.com", "/.well-known/risc-configuration")
}

func (s *Server) riscConfiguration(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                     s.eventIssuer(),
		"jwks_uri":                   s.JWKSURL(),
		"delivery_methods_supported": []string{"https://schemas.openid.net/secevent/risc/delivery-method/push"},
	})
}

func (s *Server) eventIssuer() string { return s.cfg.Issuer + "/" }

// subject returns the sub of the user with that e-mail address, or user itself.
func (s *Server) subject(user string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if m := s.findUser(user); m != nil {
		return m.user.Sub
	}
	return user
}

// tokenSubject names a refresh token: https://developers.google.com/identity/protocols/risc#token_identifiers.
func tokenSubject(token string, hashed bool) map[string]string {
	subject := map[string]string{
		"subject_type": "oauth_token", "token_type": "refresh_token",
		"token_identifier_alg": "prefix", "token": token[:min(len(token), 16)],
	}
	if hashed {
		once := sha512.Sum512([]byte(token))
		twice := sha512.Sum512(once[:])
		subject["token_identifier_alg"] = "hash_base64_sha512_sha512"
		subject["token"] = base64.StdEncoding.EncodeToString(twice[:])
	}
	return subject
}

func (s *Server) signEvent(claims map[string]any) (string, error) {
	key, _, err := s.keys.get()
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.RS256,
		Key:       jose.JSONWebKey{Key: key, KeyID: keyID(key)},
	}, new(jose.SignerOptions).WithType("secevent+jwt"))
	if err != nil {
		return "", fmt.Errorf("gmailtest: sign a security event: %w", err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("gmailtest: sign a security event: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("gmailtest: sign a security event: %w", err)
	}
	return signed.CompactSerialize()
}
