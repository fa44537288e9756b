package gmailtest

import "net/http"

// revoke ends the whole grant of the user behind a token, for all clients of the project, as Google does
// whichever token is sent (RFC 7009).
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || len(r.Form["token"]) != 1 {
		writeOAuthError(w, &oauthError{code: "invalid_request", description: "Missing required parameter: token"})
		return
	}
	value := r.Form.Get("token")
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	var g *grant
	if t := s.oauth.refresh[value]; t != nil && (t.Expires.IsZero() || now.Before(t.Expires)) {
		g = t.grant
	} else if t := s.oauth.access[value]; t != nil && now.Before(t.Expires) {
		g = t.grant
	}
	if g == nil {
		writeOAuthError(w, &oauthError{code: "invalid_token", description: "Token expired or revoked"})
		return
	}
	s.oauth.endUser(g.Sub)
	if bad := s.saved(nil); bad != nil {
		writeOAuthError(w, bad)
		return
	}
	writeJSON(w, http.StatusOK, struct{}{})
}

// Revoke ends what the user granted, to every client, as the user does by removing the application from
// their Google Account: all tokens die, and the next consent counts as the first. It panics where there is
// no such user.
func (s *Server) Revoke(email string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oauth.endUser(s.mustUser("Revoke", email).user.Sub)
	_ = s.save() // Close reports it
}

// ExpireAccessTokens ends the user's access tokens; refresh tokens live on. It panics where there is no
// such user.
func (s *Server) ExpireAccessTokens(email string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.oauth.byUser(s.mustUser("ExpireAccessTokens", email).user.Sub) {
		s.oauth.endAccess(g, func(*accessToken) bool { return true })
	}
	_ = s.save() // Close reports it
}
