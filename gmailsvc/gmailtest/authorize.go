package gmailtest

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	consentPath     = "/signin/oauth/consent"
	pendingLifetime = time.Hour
)

// An authRequest is what the application asked of the consent page (RFC 6749, section 4.1.1).
type authRequest struct {
	client         *Client
	redirectURI    string
	state          string
	scopes         []string
	nonce          string
	challenge      string
	loginHint      string
	offline        bool
	consent        bool // prompt=consent or approval_prompt=force
	selectAccount  bool
	none           bool // prompt=none
	includeGranted bool
	expires        time.Time
}

// An authError is shown to the person at the server: a request that cannot be trusted is
// answered by no redirect (RFC 6749, section 4.1.2.1).
type authError struct {
	status      int
	code        string
	description string
}

func badAuthRequest(code, format string, args ...any) *authError {
	status := http.StatusBadRequest
	if code == "invalid_client" {
		status = http.StatusUnauthorized
	}
	return &authError{status: status, code: code, description: fmt.Sprintf(format, args...)}
}

// authorize is the address that an application sends the person to.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	req, bad := s.parseAuthRequest(r.URL.RawQuery)
	if bad != nil {
		writeErrorPage(w, bad)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	user := s.presumedUser(req.loginHint)
	granted := user != nil && s.oauth.covers(grantKey{user.user.Sub, req.client.ID}, req)
	switch {
	case req.none && user == nil:
		s.redirectError(w, r, req, "login_required")
	case req.none && !granted:
		s.redirectError(w, r, req, "consent_required")
	case granted && !req.consent && !req.selectAccount:
		s.approve(w, r, req, user, req.scopes)
	case len(s.users) == 0:
		writeErrorPage(w, badAuthRequest("no_accounts", "This server has no accounts: call Server.AddUser first."))
	default:
		now := s.cfg.Now()
		maps.DeleteFunc(s.oauth.pending, func(_ string, p *authRequest) bool { return now.After(p.expires) })
		req.expires = now.Add(pendingLifetime)
		id := rand.Text()
		s.oauth.pending[id] = req
		s.writeConsentPage(w, id, req, user)
	}
}

func (s *Server) parseAuthRequest(rawQuery string) (*authRequest, *authError) {
	q, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, badAuthRequest("invalid_request", "The query is not a list of parameters.")
	}
	for _, name := range slices.Sorted(maps.Keys(q)) {
		if len(q[name]) > 1 {
			return nil, badAuthRequest("invalid_request", "OAuth 2 parameters can only have a single value: %s", name)
		}
	}
	if q.Get("client_id") == "" {
		return nil, badAuthRequest("invalid_request", "Missing required parameter: client_id")
	}
	client := s.client(q.Get("client_id"))
	if client == nil {
		return nil, badAuthRequest("invalid_client", "The OAuth client was not found.")
	}
	req := &authRequest{
		client:      client,
		redirectURI: q.Get("redirect_uri"),
		state:       q.Get("state"),
		scopes:      parseScopes(q.Get("scope")),
		nonce:       q.Get("nonce"),
		challenge:   q.Get("code_challenge"),
		loginHint:   q.Get("login_hint"),
		consent:     q.Get("approval_prompt") == "force",
	}
	if req.redirectURI == "" {
		return nil, badAuthRequest("invalid_request", "Missing required parameter: redirect_uri")
	}
	if !client.allowsRedirect(req.redirectURI) {
		return nil, badAuthRequest("redirect_uri_mismatch",
			"The redirect URI %s is not among those registered for this client.", req.redirectURI)
	}
	if got := q.Get("response_type"); got != "code" {
		return nil, badAuthRequest("unsupported_response_type", "response_type must be code, not %q.", got)
	}
	if len(req.scopes) == 0 {
		return nil, badAuthRequest("invalid_request", "Missing required parameter: scope")
	}
	if i := slices.IndexFunc(req.scopes, func(s string) bool { return !validScope(s) }); i >= 0 {
		return nil, badAuthRequest("invalid_scope", "Some requested scopes were invalid: %s", req.scopes[i])
	}
	if bad := req.parsePrompts(q); bad != nil {
		return nil, bad
	}
	if bad := req.parseChallenge(q); bad != nil {
		return nil, bad
	}
	for name, choice := range map[string]struct {
		on, off string
		to      *bool
	}{
		"access_type":            {"offline", "online", &req.offline},
		"include_granted_scopes": {"true", "false", &req.includeGranted},
	} {
		switch got := q.Get(name); got {
		case choice.on:
			*choice.to = true
		case choice.off, "":
		default:
			return nil, badAuthRequest("invalid_request", "Invalid parameter value for %s: %q is neither %s nor %s.",
				name, got, choice.on, choice.off)
		}
	}
	return req, nil
}

func (req *authRequest) parsePrompts(q url.Values) *authError {
	if q.Has("prompt") && q.Has("approval_prompt") {
		return badAuthRequest("invalid_request", "Conflict params: approval_prompt and prompt")
	}
	if got := q.Get("approval_prompt"); got != "" && got != "auto" && got != "force" {
		return badAuthRequest("invalid_request", "Invalid parameter value for approval_prompt: %q", got)
	}
	for prompt := range strings.FieldsSeq(q.Get("prompt")) {
		switch prompt {
		case "none":
			req.none = true
		case "consent":
			req.consent = true
		case "select_account":
			req.selectAccount = true
		default:
			return badAuthRequest("invalid_request", "Invalid parameter value for prompt: %q", prompt)
		}
	}
	if req.none && (req.consent || req.selectAccount) {
		return badAuthRequest("invalid_request", "prompt=none goes with no other prompt.")
	}
	return nil
}

// parseChallenge checks PKCE (RFC 7636, section 4.3). plain, its default, protects nobody and is refused.
func (req *authRequest) parseChallenge(q url.Values) *authError {
	method := q.Get("code_challenge_method")
	switch {
	case req.challenge == "" && method == "":
		return nil
	case req.challenge == "":
		return badAuthRequest("invalid_request", "code_challenge_method is there without code_challenge.")
	case method != "S256":
		return badAuthRequest("invalid_request", "code_challenge_method must be S256, not %q.", method)
	case len(req.challenge) != 43:
		return badAuthRequest("invalid_request", "code_challenge is not a SHA-256 hash in base64url.")
	}
	return nil
}

// presumedUser returns who the person most likely is, or nil where they must choose. The caller holds s.mu.
func (s *Server) presumedUser(hint string) *Mailbox {
	if m := s.findUser(hint); m != nil {
		return m
	}
	if len(s.users) == 1 {
		return s.users[0]
	}
	return nil
}

// approve records the consent and sends the person back with a code. The caller holds s.mu.
func (s *Server) approve(w http.ResponseWriter, r *http.Request, req *authRequest, m *Mailbox, scopes []string) {
	code := s.oauth.consent(req, m.user.Sub, scopes, s.cfg.Now())
	if err := s.save(); err != nil {
		writeErrorPage(w, &authError{http.StatusInternalServerError, "server_error", err.Error()})
		return
	}
	s.redirect(w, r, req, url.Values{
		"code":     {code.value},
		"scope":    {strings.Join(code.scopes, " ")},
		"authuser": {"0"},
	})
}

func (s *Server) redirectError(w http.ResponseWriter, r *http.Request, req *authRequest, code string) {
	s.redirect(w, r, req, url.Values{"error": {code}})
}

// redirect answers the application at its redirect URI, whose own query is kept (RFC 6749, section 3.1.2).
func (s *Server) redirect(w http.ResponseWriter, r *http.Request, req *authRequest, params url.Values) {
	if req.state != "" {
		params.Set("state", req.state)
	}
	if s.cfg.SendIss {
		params.Set("iss", s.cfg.Issuer)
	}
	to, _ := url.Parse(req.redirectURI) // allowsRedirect has parsed it
	if to.RawQuery != "" {
		to.RawQuery += "&"
	}
	to.RawQuery += params.Encode()
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, to.String(), http.StatusFound)
}
