package authflow_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// Wherever the handlers are mounted, the page of a failure leads to the login that was begun.
func TestStartAgainLeadsToTheLoginWhereverItIs(t *testing.T) {
	t.Parallel()
	for name, m := range mounts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			flow := x.flow(t)
			s := x.site(flow)
			s.Handler = m.mount(flow.LoginHandler(authflow.LoginOptions{}),
				flow.CallbackHandler(authflow.CallbackOptions{Success: s.succeed}), http.NotFoundHandler())
			p := s.ada()
			p.google.Deny = true
			login := m.prefix + "/login?return_to=/inbox"
			query := p.consent(t, p.login(t, login))
			w := p.get(t, m.prefix+"/callback?"+query)
			if told(w) != "Not connected" || leads(w) != login {
				t.Errorf("the person is told %q, which leads to %q", told(w), leads(w))
			}
			p.google.Deny = false
			query = p.consent(t, p.login(t, leads(w)))
			if w := p.get(t, m.prefix+"/callback?"+query); w.Header().Get("Location") != "/inbox" {
				t.Errorf("then the callback answers %d %q", w.Code, told(w))
			}
		})
	}
}

// authorizationURL returns the AuthorizationURL of err, if it has one.
func authorizationURL(err error) string {
	if e, ok := errors.AsType[*authflow.AuthorizationDeniedError](err); ok {
		return e.AuthorizationURL
	}
	if e, ok := errors.AsType[*authflow.MissingScopesError](err); ok {
		return e.AuthorizationURL
	}
	if e, ok := errors.AsType[*authflow.NoRefreshTokenError](err); ok {
		return e.AuthorizationURL
	}
	if e, ok := errors.AsType[*authflow.NoUserIDError](err); ok {
		return e.AuthorizationURL
	}
	if e, ok := errors.AsType[*authflow.CodeExchangeError](err); ok {
		return e.AuthorizationURL
	}
	return ""
}

// An application that does with an error what its comment says, redirect to the AuthorizationURL, gets the person connected.
func TestTheURLOfAFailureStartsAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil  func(x *fixture, p *person)
		repeat bool // the first callback is lost
	}{
		"for a person who denied":   {func(_ *fixture, p *person) { p.google.Deny = true }, false},
		"for a person who unticked": {func(_ *fixture, p *person) { p.google.Untick = []string{gmailReadonly} }, false},
		"for one who clicked twice": {func(_ *fixture, p *person) { p.google.Untick = []string{gmailReadonly} }, true},
		"when the provider was unwell": {func(x *fixture, _ *person) {
			x.google.Inject(gmailtest.Fault{Op: "token.exchange", Status: 503, Times: 1})
		}, false},
		"when nobody was identified": {
			func(x *fixture, _ *person) {
				x.google.Inject(gmailtest.Fault{Op: "token.exchange", Body: `{"access_token":"a","id_token":"x.y.z"}`, Times: 1})
			}, false,
		},
		"without a refresh token": {
			func(x *fixture, _ *person) { x.withholdRefreshToken() }, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			p := x.site(x.flow(t)).ada()
			const login = "/login?return_to=/inbox"
			authURL := p.login(t, login)
			c.spoil(x, p)
			query := p.consent(t, authURL)
			if c.repeat {
				p.arrive(t, query)
			}
			again := authorizationURL(p.refused(t, query))
			if again != login {
				t.Fatalf("the AuthorizationURL is %q, want %q", again, login)
			}
			p.google.Deny, p.google.Untick = false, nil
			p.connected(t, p.consent(t, p.login(t, again)), "/inbox")
		})
	}
}

// Google sends a refresh token on the first consent only. An application that asks for no prompt, and has lost its store, would
// otherwise send people round in circles.
func TestAPersonWhoConsentedElsewhereIsAskedOnceMore(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	if _, _, err := x.google.Grant(ada, gmailReadonly); err != nil {
		t.Fatal(err)
	}
	begin := begins(authflow.Login{
		UserID: adaID, Note: "the application's user 7", Options: []authflow.AuthOption{
			authflow.WithPrompt(""), authflow.WithScopes(gmailSend), authflow.WithIncludeGrantedScopes(),
		},
	})
	var note string
	p := x.site(x.flow(t), begin, func(o *options) {
		succeed := o.callback.Success
		o.callback.Success = func(w http.ResponseWriter, r *http.Request, creds *authflow.Credentials) (authflow.SessionRenewal, error) {
			note = authflow.LoginNote(r.Context())
			return succeed(w, r, creds)
		}
	}).ada()
	first := p.arrive(t, p.consent(t, p.login(t, "/login?return_to=/inbox")))
	again := first.Header().Get("Location")
	asked := query(t, again)
	if first.Code != http.StatusSeeOther || asked["prompt"] != "consent" || asked["include_granted_scopes"] != "true" ||
		!strings.Contains(asked["scope"], gmailSend) || asked["login_hint"] != ada {
		t.Fatalf("answered %d to %v", first.Code, asked)
	}
	p.connected(t, p.consent(t, again), "/inbox")
	if note != "the application's user 7" {
		t.Errorf("Success gets the note %q", note)
	}
	if !x.works(t, x.stored(t).RefreshToken) {
		t.Error("the stored refresh token does not work")
	}
}
