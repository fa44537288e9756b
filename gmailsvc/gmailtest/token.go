package gmailtest

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// tokenResponse is RFC 6749, section 5.1, with Google's additions.
type tokenResponse struct {
	AccessToken      string `json:"access_token"`
	ExpiresIn        int64  `json:"expires_in"`
	RefreshToken     string `json:"refresh_token,omitempty"`
	RefreshExpiresIn int64  `json:"refresh_token_expires_in,omitempty"`
	Scope            string `json:"scope"`
	TokenType        string `json:"token_type"`
	IDToken          string `json:"id_token,omitempty"`
}

// An issue is what a token request leads to, before the ID token is signed.
type issue struct {
	access  *accessToken
	refresh *refreshToken // its lifetime is told
	renewed bool          // refresh itself is told too
	user    User
	nonce   string
}

// token is the token endpoint. Which operation it is, the form says.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	op := "token.invalid"
	var handler func(*Client, url.Values) (*issue, *oauthError)
	parseErr := r.ParseForm()
	if r.GetBody != nil {
		r.Body, _ = r.GetBody() // for the handler of a fault
	}
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		op, handler = "token.exchange", s.exchange
	case "refresh_token":
		op, handler = "token.refresh", s.refresh
	}
	s.operate(op, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			writeJSON(w, http.StatusMethodNotAllowed, map[string]string{
				"error": "invalid_request", "error_description": "The token endpoint takes POST only."})
			return
		}
		if parseErr != nil {
			writeOAuthError(w, &oauthError{code: "invalid_request", description: "The form is broken."})
			return
		}
		client, bad := s.authenticate(r)
		if bad != nil {
			writeOAuthError(w, bad)
			return
		}
		if handler == nil {
			writeOAuthError(w, &oauthError{
				code: "unsupported_grant_type", description: "Invalid grant_type: " + r.PostForm.Get("grant_type")})
			return
		}
		issued, bad := handler(client, r.PostForm)
		if bad != nil {
			writeOAuthError(w, bad)
			return
		}
		s.writeTokens(w, client, issued)
	}, w, r)
}

// authenticate finds out which client asks (RFC 6749, section 2.3.1).
func (s *Server) authenticate(r *http.Request) (*Client, *oauthError) {
	form := r.PostForm
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if len(form[name]) > 1 {
			return nil, &oauthError{
				code: "invalid_request", description: "OAuth 2 parameters can only have a single value: " + name}
		}
	}
	if !form.Has("grant_type") {
		return nil, &oauthError{code: "invalid_request", description: "Required parameter is missing: grant_type"}
	}
	id, secret := form.Get("client_id"), form.Get("client_secret")
	basicID, basicSecret, basic := r.BasicAuth()
	if basic {
		if form.Has("client_secret") {
			return nil, &oauthError{code: "invalid_request", description: "The client authenticates in two ways at once."}
		}
		var errID, errSecret error
		id, errID = url.QueryUnescape(basicID)
		secret, errSecret = url.QueryUnescape(basicSecret)
		if errID != nil || errSecret != nil {
			return nil, &oauthError{code: "invalid_client", description: "Unauthorized", basic: true}
		}
	}
	if id == "" {
		return nil, &oauthError{code: "invalid_request", description: "Could not determine client ID from request."}
	}
	client := s.client(id)
	switch {
	case client == nil:
		return nil, &oauthError{code: "invalid_client", description: "The OAuth client was not found.", basic: basic}
	case client.Secret != "" && secret == "" && !basic:
		return nil, &oauthError{code: "invalid_request", description: "client_secret is missing."}
	case !client.authenticates(secret):
		return nil, &oauthError{code: "invalid_client", description: "Unauthorized", basic: basic}
	}
	return client, nil
}

// exchange turns a code into tokens, once.
func (s *Server) exchange(client *Client, form url.Values) (*issue, *oauthError) {
	value := form.Get("code")
	if value == "" {
		return nil, &oauthError{code: "invalid_request", description: "Missing required parameter: code"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	code := s.oauth.codes[value]
	switch {
	case code == nil && !strings.HasPrefix(value, "4/"):
		return nil, invalidGrant("Malformed auth code.")
	case code == nil || code.request.client != client || !now.Before(code.expires):
		return nil, invalidGrant("Bad Request")
	case form.Get("redirect_uri") != code.request.redirectURI:
		return nil, &oauthError{code: "redirect_uri_mismatch", description: "Bad Request"}
	}
	if bad := code.request.verify(form.Get("code_verifier")); bad != nil {
		return nil, bad
	}
	user := s.findUser(code.sub)
	if code.exchanged || user == nil {
		s.oauth.endCode(code)
		return nil, s.saved(invalidGrant("Bad Request"))
	}
	code.exchanged = true
	g := s.oauth.grants[grantKey{code.sub, client.ID}]
	issued := &issue{user: user.user, nonce: code.request.nonce}
	issued.access = s.oauth.issueAccess(g, code.scopes, code, now, s.cfg.TokenLifetime)
	if code.refresh {
		issued.refresh = s.oauth.issueRefresh(g, code.scopes, code, now, s.cfg.RefreshTokenLifetime)
		issued.renewed = true
	}
	return issued, s.saved(nil)
}

// verify checks the PKCE verifier (RFC 7636, section 4.6). One that answers no challenge is refused: the
// challenge may have been stripped (RFC 9700, section 4.8.2).
func (req *authRequest) verify(verifier string) *oauthError {
	sum := sha256.Sum256([]byte(verifier))
	switch {
	case req.challenge == "" && verifier == "":
		return nil
	case req.challenge == "":
		return invalidGrant("code_verifier or verifier is not needed.")
	case verifier == "":
		return invalidGrant("Missing code verifier.")
	case base64.RawURLEncoding.EncodeToString(sum[:]) != req.challenge:
		return invalidGrant("Invalid code verifier.")
	}
	return nil
}

// refresh turns a refresh token into an access token. With rotation the lock makes the uses of one token
// follow one another: the first gets the new one, the next is the reuse that ends the grant.
func (s *Server) refresh(client *Client, form url.Values) (*issue, *oauthError) {
	value := form.Get("refresh_token")
	if value == "" {
		return nil, &oauthError{code: "invalid_request", description: "Missing required parameter: refresh_token"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	t := s.oauth.refresh[value]
	switch {
	case t == nil && !strings.HasPrefix(value, "1//"):
		return nil, invalidGrant("Bad Request")
	case t == nil || !t.Expires.IsZero() && !now.Before(t.Expires):
		return nil, invalidGrant("Token has been expired or revoked.")
	case t.grant.ClientID != client.ID:
		return nil, &oauthError{code: "unauthorized_client", description: "Unauthorized"}
	case t.Rotated:
		s.oauth.end(t.grant)
		return nil, s.saved(invalidGrant("Token has been expired or revoked."))
	}
	user := s.findUser(t.grant.Sub)
	if user == nil {
		return nil, invalidGrant("Account has been deleted")
	}
	scopes := t.Scopes
	if form.Get("scope") != "" {
		scopes = parseScopes(form.Get("scope"))
		if !contains(t.Scopes, scopes) {
			return nil, &oauthError{code: "invalid_scope", description: "Bad Request"}
		}
	}
	issued := &issue{user: user.user, refresh: t}
	issued.access = s.oauth.issueAccess(t.grant, scopes, t.code, now, s.cfg.TokenLifetime)
	if s.cfg.RotateRefreshTokens {
		t.Rotated = true
		issued.refresh = s.oauth.issueRefresh(t.grant, t.Scopes, t.code, now, s.cfg.RefreshTokenLifetime)
		issued.renewed = true
	}
	return issued, s.saved(nil)
}

// writeTokens signs and answers. It is called without the lock: a signature takes a millisecond.
func (s *Server) writeTokens(w http.ResponseWriter, client *Client, issued *issue) {
	now := s.cfg.Now()
	answer := tokenResponse{
		AccessToken: issued.access.Value,
		ExpiresIn:   int64(s.cfg.TokenLifetime / time.Second),
		Scope:       strings.Join(issued.access.Scopes, " "),
		TokenType:   "Bearer",
	}
	if issued.renewed {
		answer.RefreshToken = issued.refresh.Value
	}
	if issued.refresh != nil && !issued.refresh.Expires.IsZero() {
		answer.RefreshExpiresIn = int64(issued.refresh.Expires.Sub(now) / time.Second)
	}
	if slices.Contains(issued.access.Scopes, scopeOpenID) {
		var err error
		if answer.IDToken, err = s.signIDToken(client, issued, now); err != nil {
			writeOAuthError(w, serverFailure(err))
			return
		}
	}
	writeJSON(w, http.StatusOK, answer)
}
