package gmailtest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const idTokenLifetime = time.Hour

// firstKey is the key that servers start with. Making one costs a fifth of a second and more: servers
// share it until they rotate, and a program that never signs makes none.
var firstKey = sync.OnceValues(newKey)

func newKey() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }

// signingKeys are the keys of ID tokens.
type signingKeys struct {
	mu       sync.Mutex
	current  *rsa.PrivateKey // nil until it is needed
	previous *rsa.PrivateKey // nil, or the one before the last rotation
}

func (k *signingKeys) get() (current, previous *rsa.PrivateKey, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current == nil {
		if k.current, err = firstKey(); err != nil {
			return nil, nil, fmt.Errorf("gmailtest: make a signing key: %w", err)
		}
	}
	return k.current, k.previous, nil
}

// RotateSigningKey signs ID tokens with a new key from now on. The key before it stays published, the ones
// before that don't.
func (s *Server) RotateSigningKey() error {
	current, _, err := s.keys.get()
	if err != nil {
		return err
	}
	next, err := newKey()
	if err != nil {
		return fmt.Errorf("gmailtest: make a signing key: %w", err)
	}
	s.keys.mu.Lock()
	s.keys.current, s.keys.previous = next, current
	s.keys.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.save()
}

func keyID(key *rsa.PrivateKey) string {
	return fmt.Sprintf("%x", sha256.Sum256(key.N.Bytes()))[:40]
}

// certs publishes the keys (RFC 7517).
func (s *Server) certs(w http.ResponseWriter, r *http.Request) {
	current, previous, err := s.keys.get()
	if err != nil {
		s.writeAPIError(w, r, &apiError{code: http.StatusInternalServerError, reason: "backendError", message: err.Error()})
		return
	}
	var set jose.JSONWebKeySet
	for _, key := range []*rsa.PrivateKey{current, previous} {
		if key != nil {
			set.Keys = append(set.Keys, jose.JSONWebKey{
				Key: key.Public(), KeyID: keyID(key), Algorithm: string(jose.RS256), Use: "sig"})
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Cache-Control", "public, max-age=19800, must-revalidate, no-transform")
	_ = json.NewEncoder(w).Encode(set) // the client may have gone
}

// signIDToken makes the ID token of OpenID Connect Core 1.0, section 2.
func (s *Server) signIDToken(client *Client, issued *issue, now time.Time) (string, error) {
	hash := sha256.Sum256([]byte(issued.access.Value))
	claims := issued.user.claims(issued.access.Scopes)
	claims["azp"] = client.ID
	claims["aud"] = client.ID
	claims["sub"] = issued.user.Sub
	claims["at_hash"] = base64.RawURLEncoding.EncodeToString(hash[:len(hash)/2])
	if issued.nonce != "" {
		claims["nonce"] = issued.nonce
	}
	return s.sign(claims, now)
}

// sign makes an ID token of claims, to which it adds the issuer and the times.
func (s *Server) sign(claims map[string]any, now time.Time) (string, error) {
	key, _, err := s.keys.get()
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.RS256,
		Key:       jose.JSONWebKey{Key: key, KeyID: keyID(key)},
	}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("gmailtest: sign an ID token: %w", err)
	}
	claims["iss"] = s.cfg.Issuer
	claims["iat"] = now.Unix()
	claims["exp"] = now.Add(idTokenLifetime).Unix()
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("gmailtest: sign an ID token: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("gmailtest: sign an ID token: %w", err)
	}
	return signed.CompactSerialize()
}
