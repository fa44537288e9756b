package gmailtest

import (
	"fmt"
	"strings"
)

// Grant lets a user consent to scopes for the first client, with no page and no code: a shortcut to tokens
// for tests that are about something else. The user must have been added; "openid" and "email" are granted
// too.
func (s *Server) Grant(email string, scopes ...string) (accessToken, refreshToken string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user := s.findUser(email)
	if user == nil {
		return "", "", fmt.Errorf("gmailtest: grant: there is no user %q", email)
	}
	now := s.cfg.Now()
	req := &authRequest{client: &s.cfg.Clients[0], offline: true, consent: true}
	code := s.oauth.consent(req, user.user.Sub, parseScopes("openid email "+strings.Join(scopes, " ")), now)
	delete(s.oauth.codes, code.value)
	g := s.oauth.grants[grantKey{user.user.Sub, req.client.ID}]
	access := s.oauth.issueAccess(g, code.scopes, nil, now, s.cfg.TokenLifetime)
	refresh := s.oauth.issueRefresh(g, code.scopes, nil, now, s.cfg.RefreshTokenLifetime)
	return access.Value, refresh.Value, s.save()
}
