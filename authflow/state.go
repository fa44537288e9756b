package authflow

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

const sessionKeyBytes = 32

// NewState returns a state for GetAuthorizationURL: random, unguessable, used for one authorization. The
// application binds it to the person's browser (RFC 6749 §10.12) and checks it when the callback comes.
func NewState() string { return rand.Text() }

// sessionKey returns the key from which verifiers and nonces are derived.
func (c Config) sessionKey() []byte {
	if c.SessionKey != nil {
		return append([]byte(nil), c.SessionKey...)
	}
	key, err := hkdf.Key(sha256.New, []byte(c.ClientSecret), []byte(c.ClientID), "mailgrant session key", sessionKeyBytes)
	if err != nil {
		panic(err) // 32 bytes are never too many
	}
	return key
}

// The code verifier and the nonce are functions of the state: nothing is kept between redirect and callback, any
// replica can serve the callback, and a code that was stolen, or injected into another
// session, is useless without the key and the state it was issued for.

// verifier returns the code verifier (RFC 7636 §4.1) of the authorization with that state.
func (f *Flow) verifier(state string) string { return f.derive("code verifier", state) }

// nonce returns the ID token's nonce (OpenID Connect Core 1.0 §3.1.2.1) of the authorization with that state.
func (f *Flow) nonce(state string) string { return f.derive("nonce", state) }

func (f *Flow) derive(purpose, state string) string {
	mac := hmac.New(sha256.New, f.sessionKey())
	mac.Write([]byte(purpose + "\x00" + state))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
