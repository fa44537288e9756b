package gmailtest

import (
	"net/http"
	"slices"
	"strings"
)

// bearer returns the access token of a request and whose it is. They are nil where there is none or it is
// not good (any longer); given says whether there was one.
func (s *Server) bearer(r *http.Request) (t *accessToken, m *Mailbox, given bool) {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || value == "" {
		return nil, nil, false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	t = s.oauth.access[value]
	if t == nil || !s.cfg.Now().Before(t.Expires) {
		return nil, nil, true
	}
	if m = s.findUser(t.grant.Sub); m == nil {
		return nil, nil, true
	}
	return t, m, true
}

// userInfo is OpenID Connect Core 1.0, section 5.3.
func (s *Server) userInfo(w http.ResponseWriter, r *http.Request) {
	t, m, _ := s.bearer(r)
	if t == nil {
		w.Header().Set("WWW-Authenticate", `Bearer realm="https://accounts.google.com/", error="invalid_token"`)
		writeJSON(w, http.StatusUnauthorized, map[string]string{
			"error": "invalid_request", "error_description": "Invalid Credentials"})
		return
	}
	if !slices.ContainsFunc(t.Scopes, isLogin) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="https://accounts.google.com/", error="insufficient_scope"`)
		writeJSON(w, http.StatusForbidden, map[string]string{
			"error": "access_denied", "error_description": "Request had insufficient authentication scopes."})
		return
	}
	claims := m.user.claims(t.Scopes)
	claims["sub"] = m.user.Sub
	writeJSON(w, http.StatusOK, claims)
}

// userInfoV2 is Google's own older version, which names the user by id.
func (s *Server) userInfoV2(w http.ResponseWriter, r *http.Request) {
	t, m, given := s.bearer(r)
	if t == nil {
		s.writeAPIError(w, r, unauthorized(given))
		return
	}
	if !slices.ContainsFunc(t.Scopes, isLogin) {
		s.writeAPIError(w, r, insufficientScopes([]string{scopeOpenID, scopeEmail, scopeProfile}))
		return
	}
	claims := m.user.claims(t.Scopes)
	claims["id"] = m.user.Sub
	if verified, ok := claims["email_verified"]; ok {
		claims["verified_email"] = verified
		delete(claims, "email_verified")
	}
	writeJSON(w, http.StatusOK, claims)
}

// claims returns what a token with these scopes may learn of the user, but for who they are.
func (u User) claims(scopes []string) map[string]any {
	claims := make(map[string]any)
	if slices.Contains(scopes, scopeEmail) {
		claims["email"] = u.Email
		claims["email_verified"] = true
	}
	if slices.Contains(scopes, scopeProfile) {
		claims["name"] = u.Name
	}
	if u.HostedDomain != "" {
		claims["hd"] = u.HostedDomain
	}
	return claims
}
