package gmailtest

import (
	"cmp"
	"crypto/rand"
	"maps"
	"slices"
	"time"
)

const (
	codeLifetime = 10 * time.Minute

	// maxRefreshTokens of one user and client live at a time; one more ends the oldest without notice.
	// https://developers.google.com/identity/protocols/oauth2#expiration
	maxRefreshTokens = 100
)

// A grantKey names the permission that a user gave to a client.
type grantKey struct{ sub, clientID string }

// A grant is such a permission, and the tokens that carry it.
type grant struct {
	Sub      string          `json:"sub"`
	ClientID string          `json:"client_id"`
	Scopes   []string        `json:"scopes"`  // all that were ever consented to
	Offline  bool            `json:"offline"` // a refresh token was given out with a consent
	Refresh  []*refreshToken `json:"refresh_tokens,omitempty"`
	Access   []*accessToken  `json:"access_tokens,omitempty"`
}

func (g *grant) key() grantKey { return grantKey{g.Sub, g.ClientID} }

type refreshToken struct {
	Value   string    `json:"token"`
	Scopes  []string  `json:"scopes"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
	Rotated bool      `json:"rotated,omitempty"`
	grant   *grant
	code    *authCode // the code that it descends from, where that came in this run
}

// An accessToken does not change once it is issued.
type accessToken struct {
	Value   string    `json:"token"`
	Scopes  []string  `json:"scopes"`
	Expires time.Time `json:"expires"`
	grant   *grant
	code    *authCode
}

type authCode struct {
	value     string
	request   *authRequest
	sub       string
	scopes    []string
	refresh   bool // the exchange yields a refresh token
	expires   time.Time
	exchanged bool
}

// oauthState is all that the OAuth server remembers. Server.mu guards it.
type oauthState struct {
	grants  map[grantKey]*grant
	refresh map[string]*refreshToken
	access  map[string]*accessToken
	codes   map[string]*authCode
	pending map[string]*authRequest // consent pages that wait for an answer, by their id
	saveErr error                   // the first failure to write the state file
}

func newOAuthState() oauthState {
	return oauthState{
		grants:  make(map[grantKey]*grant),
		refresh: make(map[string]*refreshToken),
		access:  make(map[string]*accessToken),
		codes:   make(map[string]*authCode),
		pending: make(map[string]*authRequest),
	}
}

// covers reports whether the user consented to all of req before.
func (o *oauthState) covers(key grantKey, req *authRequest) bool {
	g := o.grants[key]
	return g != nil && contains(g.Scopes, req.scopes) && (g.Offline || !req.offline)
}

// consent records that the user allowed scopes, and makes the code for it.
func (o *oauthState) consent(req *authRequest, sub string, scopes []string, now time.Time) *authCode {
	key := grantKey{sub, req.client.ID}
	g := o.grants[key]
	if g == nil {
		g = &grant{Sub: sub, ClientID: req.client.ID}
		o.grants[key] = g
	}
	if req.includeGranted {
		scopes = union(scopes, g.Scopes)
	}
	g.Scopes = union(g.Scopes, scopes)
	code := &authCode{
		value:   "4/0A" + rand.Text(),
		request: req,
		sub:     sub,
		scopes:  scopes,
		refresh: req.offline && (req.consent || !g.Offline),
		expires: now.Add(codeLifetime),
	}
	g.Offline = g.Offline || req.offline
	maps.DeleteFunc(o.codes, func(_ string, c *authCode) bool { return now.After(c.expires) })
	o.codes[code.value] = code
	return code
}

// issueAccess adds an access token to g.
func (o *oauthState) issueAccess(
	g *grant, scopes []string, code *authCode, now time.Time, life time.Duration,
) *accessToken {
	g.Access = slices.DeleteFunc(g.Access, func(t *accessToken) bool {
		expired := !now.Before(t.Expires)
		if expired {
			delete(o.access, t.Value)
		}
		return expired
	})
	t := &accessToken{
		Value: "ya29.a0" + rand.Text() + rand.Text(), Scopes: scopes, Expires: now.Add(life), grant: g, code: code,
	}
	g.Access = append(g.Access, t)
	o.access[t.Value] = t
	return t
}

// issueRefresh adds a refresh token to g, and ends the oldest where there are too many. life 0: without limit.
func (o *oauthState) issueRefresh(
	g *grant, scopes []string, code *authCode, now time.Time, life time.Duration,
) *refreshToken {
	t := &refreshToken{Value: "1//0" + rand.Text() + rand.Text(), Scopes: scopes, grant: g, code: code}
	if life > 0 {
		t.Expires = now.Add(life)
	}
	live := 0
	for _, old := range g.Refresh {
		if !old.Rotated {
			live++
		}
	}
	if live >= maxRefreshTokens {
		oldest := slices.IndexFunc(g.Refresh, func(t *refreshToken) bool { return !t.Rotated })
		delete(o.refresh, g.Refresh[oldest].Value)
		g.Refresh = slices.Delete(g.Refresh, oldest, oldest+1)
	}
	g.Refresh = append(g.Refresh, t)
	o.refresh[t.Value] = t
	return t
}

// end forgets a grant with all its tokens and codes.
func (o *oauthState) end(g *grant) {
	for _, t := range g.Refresh {
		delete(o.refresh, t.Value)
	}
	for _, t := range g.Access {
		delete(o.access, t.Value)
	}
	maps.DeleteFunc(o.codes, func(_ string, c *authCode) bool {
		return c.sub == g.Sub && c.request.client.ID == g.ClientID
	})
	delete(o.grants, g.key())
}

// endUser ends the user's grants to every client of the project.
func (o *oauthState) endUser(sub string) {
	for _, g := range o.byUser(sub) {
		o.end(g)
	}
}

// endCode ends the tokens that descend from a code, for a code that is used twice may have been stolen
// (RFC 6749, section 4.1.2).
func (o *oauthState) endCode(c *authCode) {
	g := o.grants[grantKey{c.sub, c.request.client.ID}]
	if g == nil {
		return
	}
	g.Refresh = slices.DeleteFunc(g.Refresh, func(t *refreshToken) bool {
		if t.code == c {
			delete(o.refresh, t.Value)
		}
		return t.code == c
	})
	o.endAccess(g, func(t *accessToken) bool { return t.code == c })
}

// endAccess ends those access tokens of g that satisfy which.
func (o *oauthState) endAccess(g *grant, which func(*accessToken) bool) {
	g.Access = slices.DeleteFunc(g.Access, func(t *accessToken) bool {
		if which(t) {
			delete(o.access, t.Value)
			return true
		}
		return false
	})
}

func (o *oauthState) byUser(sub string) []*grant {
	var grants []*grant
	for _, g := range o.grants {
		if g.Sub == sub {
			grants = append(grants, g)
		}
	}
	return grants
}

// sorted returns all grants in an order of their own.
func (o *oauthState) sorted() []*grant {
	return slices.SortedFunc(maps.Values(o.grants), func(a, b *grant) int {
		return cmp.Or(cmp.Compare(a.Sub, b.Sub), cmp.Compare(a.ClientID, b.ClientID))
	})
}
