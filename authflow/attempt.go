package authflow

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// An attempt is one sign-in, from the redirect to the provider until the callback. It is kept, sealed, in a cookie of the
// person's browser alone: that is what binds the state to the browser. Every attempt has a cookie of its own, so that
// tabs don't get in each other's way.
type attempt struct {
	State        string   `json:"s"`
	Ends         int64    `json:"e"` // Unix seconds
	Login        string   `json:"l"` // where it began
	ReturnTo     string   `json:"r"`
	UserID       string   `json:"u,omitempty"` // who must consent; empty: anybody
	HostedDomain string   `json:"h,omitempty"`
	Asked        []string `json:"a"` // scopes
	Fewer        bool     `json:"f,omitempty"`
	Note         string   `json:"n,omitempty"` // the application's
	Granted      bool     `json:"g,omitempty"` // include_granted_scopes
	Forced       bool     `json:"c,omitempty"` // it demands a consent, and so a refresh token
}

// signIns is the namespace, in the Flow's own store, of the sign-ins that are finished.
const signIns = "mailgrant sign-ins"

const (
	attemptLifetime = 10 * time.Minute
	repeatWindow    = time.Minute // in which a callback may come again, by a double click or a reload
	maxAttempts     = 5           // of one browser
	maxAttemptBytes = 5 << 10     // of all of them: servers take 8 KiB of a header, and the application has cookies, too
)

// newAttemptSeal returns what attempts are sealed with.
func newAttemptSeal(sessionKey []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, sessionKey, nil, "mailgrant sign-in cookie", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (a *attempt) requirements() requirements {
	r := requirements{userID: a.UserID, anyUser: a.UserID == "", hostedDomain: a.HostedDomain, asked: a.Asked}
	if !a.Fewer {
		r.scopes = optionalScopes(a.Asked)
	}
	return r
}

// localhost reports whether the Flow serves a developer's machine, over plain http. Config.RedirectURL can be http there only.
func (f *Flow) localhost() bool { return strings.HasPrefix(f.cfg.RedirectURL, "http:") }

// cookiePrefix begins the names of the attempts' cookies. __Host- keeps other hosts of the domain from setting them
// (RFC 6265bis §4.1.3.2); browsers want TLS for it. Provider and client keep Flows that share a host apart.
func (f *Flow) cookiePrefix() string {
	sum := sha256.Sum256([]byte(f.cfg.Provider.Issuer + "\x00" + f.cfg.ClientID))
	prefix := "mailgrant-" + hex.EncodeToString(sum[:4]) + "-"
	if f.localhost() {
		return prefix
	}
	return "__Host-" + prefix
}

func (f *Flow) cookieName(state string) string {
	sum := sha256.Sum256([]byte(state))
	return f.cookiePrefix() + hex.EncodeToString(sum[:6])
}

// cookie returns a cookie for the attempt with that state, for so long. A lifetime of zero deletes it.
func (f *Flow) cookie(name, value string, lifetime time.Duration) *http.Cookie {
	c := &http.Cookie{ //nolint:gosec // Secure but for a developer's own machine
		Name: name, Value: value, Path: "/", MaxAge: int(lifetime / time.Second),
		HttpOnly: true, Secure: !f.localhost(), SameSite: http.SameSiteLaxMode,
	}
	if lifetime == 0 {
		c.MaxAge = -1
	}
	return c
}

// cookieBinding is what the seal of a cookie with that name is bound to.
func (f *Flow) cookieBinding(name string) []byte {
	return []byte(f.cfg.Provider.Issuer + "\x00" + f.cfg.ClientID + "\x00" + name)
}

// sealAttempt returns the value of a's cookie.
func (f *Flow) sealAttempt(a *attempt) (string, error) {
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false) // six bytes for every & of a path would outgrow the cookie
	if err := enc.Encode(a); err != nil {
		return "", err
	}
	sealed := f.attempts().Seal(nil, nil, plain.Bytes(), f.cookieBinding(f.cookieName(a.State)))
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

var (
	errNoCookie   = errors.New("this browser has no cookie of such a sign-in")
	errBadCookie  = errors.New("the cookie of the sign-in was not made here, or was tampered with")
	errOldAttempt = errors.New("the sign-in took longer than 10 minutes")
)

// openAttempt returns the attempt of a cookie that this Flow made.
func (f *Flow) openAttempt(c *http.Cookie) (*attempt, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(c.Value)
	if err != nil {
		return nil, errBadCookie
	}
	plain, err := f.attempts().Open(nil, nil, sealed, f.cookieBinding(c.Name))
	if err != nil {
		return nil, errBadCookie
	}
	a := new(attempt)
	if err := json.Unmarshal(plain, a); err != nil {
		return nil, errBadCookie
	}
	return a, nil
}

// attemptOf returns the attempt that r is the callback of, by its state.
func (f *Flow) attemptOf(r *http.Request, state string) (*attempt, *http.Cookie, *CallbackError) {
	c, err := r.Cookie(f.cookieName(state))
	if err != nil {
		return nil, nil, &CallbackError{Reason: CallbackForeign, Err: errNoCookie}
	}
	a, err := f.openAttempt(c)
	switch {
	case err != nil:
		return nil, nil, &CallbackError{Reason: CallbackForged, Err: err}
	case a.State != state: // of the same name, by its hash's first bytes
		return nil, nil, &CallbackError{Reason: CallbackForeign, Err: errNoCookie}
	case f.now().Unix() >= a.Ends:
		return a, nil, &CallbackError{Reason: CallbackExpired, Err: errOldAttempt}
	}
	return a, c, nil
}

// expireAttempts tells the browser to drop attempts: those that are over, and the oldest where, with fresh, there would be too
// many, or too much of them.
func (f *Flow) expireAttempts(w http.ResponseWriter, r *http.Request, fresh *http.Cookie) {
	type kept struct {
		name string
		size int
		ends int64
	}
	var alive []kept
	for _, c := range r.Cookies() {
		if !strings.HasPrefix(c.Name, f.cookiePrefix()) {
			continue
		}
		if a, err := f.openAttempt(c); err == nil && f.now().Unix() < a.Ends {
			alive = append(alive, kept{c.Name, len(c.Name) + len(c.Value), a.Ends})
		} else {
			http.SetCookie(w, f.cookie(c.Name, "", 0))
		}
	}
	// Browsers send the oldest first (RFC 6265 §5.4), which tells apart those of one second.
	slices.SortStableFunc(alive, func(a, b kept) int { return cmp.Compare(a.ends, b.ends) })
	room := maxAttemptBytes - len(fresh.Name) - len(fresh.Value)
	for i, k := range slices.Backward(alive) {
		if room -= k.size; room < 0 || len(alive)-i >= maxAttempts {
			http.SetCookie(w, f.cookie(k.name, "", 0))
		}
	}
}

// localPath returns path if it leads nowhere but to this origin, else "". Browsers drop tabs and line breaks, and take a
// backslash for a slash.
func localPath(path string) string {
	const most = 512 // a cookie has 4 KiB
	u, err := url.Parse(path)
	switch {
	case err != nil || u.Scheme != "" || u.Host != "" || u.User != nil:
		return ""
	case len(path) > most || !utf8.ValidString(path) || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//"):
		return ""
	case strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == '\\' }):
		return ""
	}
	return path
}
