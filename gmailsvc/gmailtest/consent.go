package gmailtest

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"slices"
)

//go:embed page.html
var pageSource string

var pages = template.Must(template.New("page").Parse(pageSource))

type consentPage struct {
	Action, Request, Client, Destination string
	Users                                []consentUser
	Login, Asked                         []consentScope
}

type consentUser struct {
	User
	Chosen bool
}

type consentScope struct{ Scope, Description string }

// writeConsentPage shows what is asked and by whom. The request itself stays here, under a random id: what
// comes back from the page can narrow it, and nothing else. The caller holds s.mu.
func (s *Server) writeConsentPage(w http.ResponseWriter, id string, req *authRequest, presumed *Mailbox) {
	page := consentPage{Action: consentPath, Request: id, Client: req.client.ID, Destination: req.redirectURI}
	for _, m := range s.users {
		page.Users = append(page.Users, consentUser{m.user, m == presumed})
	}
	for _, scope := range req.scopes {
		line := consentScope{scope, describeScope(scope)}
		if isLogin(scope) {
			page.Login = append(page.Login, line)
		} else {
			page.Asked = append(page.Asked, line)
		}
	}
	writePage(w, http.StatusOK, "consent", page)
}

// consent is where the consent page sends what the person decided.
func (s *Server) consent(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		writeErrorPage(w, badAuthRequest("invalid_request", "The form is broken: %v", err))
		return
	}
	form := r.PostForm
	s.mu.Lock()
	defer s.mu.Unlock()
	id := form.Get("request")
	req := s.oauth.pending[id]
	if req == nil || s.cfg.Now().After(req.expires) {
		writeErrorPage(w, badAuthRequest("invalid_request",
			"This page was used already or is too old: start again at the application."))
		return
	}
	switch form.Get("decision") {
	case "deny":
		delete(s.oauth.pending, id)
		s.redirectError(w, r, req, "access_denied")
	case "allow":
		user := s.findUser(form.Get("user"))
		if user == nil {
			writeErrorPage(w, badAuthRequest("invalid_request", "Go back and choose an account."))
			return
		}
		delete(s.oauth.pending, id)
		scopes := slices.DeleteFunc(slices.Clone(req.scopes), func(scope string) bool {
			return !isLogin(scope) && !slices.Contains(form["scope"], scope)
		})
		if len(scopes) == 0 {
			s.redirectError(w, r, req, "access_denied")
			return
		}
		s.approve(w, r, req, user, scopes)
	default:
		writeErrorPage(w, badAuthRequest("invalid_request", "Go back and choose Allow or Deny."))
	}
}

func writeErrorPage(w http.ResponseWriter, e *authError) {
	writePage(w, e.status, "error", map[string]any{"Status": e.status, "Code": e.code, "Description": e.description})
}

func writePage(w http.ResponseWriter, status int, name string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w) // the client may have gone
}
