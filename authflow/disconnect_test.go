package authflow_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

func returns(to string) func(*options) {
	return func(o *options) { o.disconnect.ReturnTo = to }
}

func forgets(o *options) { o.disconnect.ForgetOnly = true }

// disconnect posts what a form of the site's own page posts.
func (p *person) disconnect(t *testing.T) *httptest.ResponseRecorder {
	t.Helper()
	return p.send(ask(t, http.MethodPost, "/disconnect"))
}

func TestDisconnectEndsTheGrant(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*options)
		works   bool // the refresh token at Google, afterwards
		revoked bool // there is a record that says so
	}{
		"here and at Google":     {returns("/bye"), false, true},
		"here alone, if told so": {func(o *options) { forgets(o); returns("/bye")(o) }, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			s := x.site(x.flow(t), c.change)
			p := s.ada()
			p.connected(t, p.begin(t), "/")
			secret := x.stored(t).RefreshToken
			for range 2 { // a double click changes nothing
				if w := p.disconnect(t); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/bye" {
					t.Errorf("the person is answered %d %q: %s", w.Code, w.Header().Get("Location"), told(w))
				}
			}
			if x.works(t, secret) != c.works {
				t.Errorf("the refresh token works at Google: %v", !c.works)
			}
			if _, err := s.served[0].Token(); err == nil {
				t.Error("the credentials still work here")
			}
			grant, err := x.grants(t).Get(t.Context(), adaID)
			if c.revoked && (err != nil || grant.Status.Reason != tokenstore.ReasonApplication || grant.RefreshToken != "") {
				t.Errorf("stored: %+v, %v", grant, err)
			}
			if !c.revoked && !errors.Is(err, tokenstore.ErrNotFound) {
				t.Errorf("stored: %+v, %v", grant, err)
			}
			p.connected(t, p.begin(t), "/") // and can be connected again
		})
	}
}

func TestAnotherSiteCannotDisconnect(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	s := x.site(x.flow(t), returns("/settings"))
	p := s.ada()
	p.connected(t, p.begin(t), "/")
	before := x.stored(t)
	for name, header := range map[string]http.Header{
		"a form of another site":                     {"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}},
		"a form of another host of the domain":       {"Sec-Fetch-Site": {"same-site"}, "Origin": {"https://blog.app.example"}},
		"a form that an older browser sends":         {"Origin": {"https://evil.example"}},
		"a form of the same host on another port":    {"Origin": {"https://app.example:8443"}},
		"a form in a sandboxed frame":                {"Origin": {"null"}},
		"a form that claims to be of this origin":    {"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://app.example"}},
		"a form with what another header would mend": {"Sec-Fetch-Site": {"cross-site"}, "Referer": {"https://app.example/"}},
	} {
		for _, path := range []string{"/disconnect", "/disconnect?user=" + adaID} {
			req := ask(t, http.MethodPost, path)
			req.Header = header.Clone()
			w := p.send(req)
			if w.Code != http.StatusForbidden || told(w) != "This came from another site" || leads(w) != "/settings" {
				t.Errorf("%s is answered %d %q, which leads to %q", name, w.Code, told(w), leads(w))
			}
		}
		req := ask(t, http.MethodPost, "/caught/disconnect")
		req.Header = header.Clone()
		if err := p.failure(t, req); err == nil {
			t.Errorf("%s: Failure is told nothing", name)
		}
	}
	x.unchanged(t, before)
	if n := x.google.Count("revoke"); n != 0 || token(t, s.served[0]) == "" {
		t.Errorf("Google was told %d times", n)
	}
	for name, header := range map[string]http.Header{
		"a form of this site":                {"Sec-Fetch-Site": {"same-origin"}, "Origin": {"https://app.example"}},
		"a form that an older browser sends": {"Origin": {"https://app.example"}},
		"a request that no browser makes":    {},
	} {
		req := ask(t, http.MethodPost, "/disconnect")
		req.Header = header
		if w := p.send(req); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/settings" {
			t.Errorf("%s is answered %d %q", name, w.Code, told(w))
		}
	}
}

func TestADisconnectionThatGoogleCannotBeToldOfIsToldLater(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		s := x.site(x.flow(t), returns("/bye"))
		p := s.ada()
		p.connected(t, p.begin(t), "/")
		secret := x.stored(t).RefreshToken
		mend := x.google.Inject(gmailtest.Fault{Op: "revoke", Hang: true})
		if w := p.disconnect(t); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/bye" {
			t.Errorf("the person is told %d %q", w.Code, told(w))
		}
		_, err := s.served[0].Token()
		ended(t, err, tokenstore.ReasonApplication)
		mend()
		if !x.works(t, secret) {
			t.Fatal("Google was told all the same")
		}
		if told, err := x.retry(t); told != 1 || err != nil || x.works(t, secret) {
			t.Errorf("later %d are told: %v", told, err)
		}
	})
}

func TestADisconnectionOfAPersonWhoGoesAwayIsCarriedOut(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		s := x.site(x.flow(t))
		p := s.ada()
		p.connected(t, p.begin(t), "/")
		secret := x.stored(t).RefreshToken
		x.google.Inject(gmailtest.Fault{Op: "revoke", Delay: 3 * time.Second})
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		p.send(ask(t, http.MethodPost, "/disconnect").WithContext(ctx))
		if x.works(t, secret) || !x.stored(t).Status.Revoked {
			t.Error("the grant has not ended")
		}
	})
}

func TestWhoCannotBeDisconnectedIsToldSo(t *testing.T) {
	t.Parallel()
	const unconnected = "This account is not connected"
	errSession := errors.New("nobody is signed in")
	is := func(userID string, err error) func(*options) {
		return func(o *options) { o.disconnect.User = func(*http.Request) (string, error) { return userID, err } }
	}
	for name, c := range map[string]struct {
		changes []func(*options)
		spoil   func(x *fixture)
		page    string
		err     error
	}{
		"since they were never connected":       {[]func(*options){is("1234", nil)}, nil, unconnected, tokenstore.ErrNotFound},
		"since nobody is named":                 {[]func(*options){is("", nil)}, nil, unconnected, tokenstore.ErrNotFound},
		"since nobody is named to be forgotten": {[]func(*options){is("", nil), forgets}, nil, unconnected, tokenstore.ErrNotFound},
		"since nobody is signed in":             {[]func(*options){is(adaID, errSession)}, nil, "Something went wrong", errSession},
		"since the store is down": {
			nil, func(x *fixture) { x.store.fail(errStoreDown, errStoreDown) }, "Something went wrong", errStoreDown,
		},
		"since the store can't be written, to forget": {
			[]func(*options){forgets}, func(x *fixture) { x.store.fail(nil, errStoreDown) }, "Something went wrong", errStoreDown,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			p := x.site(x.flow(t), append(c.changes, returns("/settings"))...).ada()
			p.connected(t, p.begin(t), "/")
			before := x.stored(t)
			if c.spoil != nil {
				c.spoil(x)
			}
			w := p.disconnect(t)
			if w.Code < 400 || told(w) != c.page || leads(w) != "/settings" {
				t.Errorf("the person is told %d %q, which leads to %q", w.Code, told(w), leads(w))
			}
			if err := p.failure(t, ask(t, http.MethodPost, "/caught/disconnect")); !errors.Is(err, c.err) {
				t.Errorf("Failure is told %v", err)
			}
			x.unchanged(t, before)
		})
	}
}

func TestDisconnectAsksTheApplicationWhoseGrantItIs(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	s := x.site(x.flow(t), func(o *options) {
		o.disconnect.User = func(r *http.Request) (string, error) {
			c, err := r.Cookie("session")
			if err != nil {
				return "", err
			}
			return c.Value, nil
		}
	})
	p := s.ada()
	p.connected(t, p.begin(t), "/")
	before := x.stored(t)
	p.cookies = []cookie{{"session", "1234", time.Now().Add(time.Hour)}}
	if w := p.send(ask(t, http.MethodPost, "/disconnect?user="+adaID)); w.Code != http.StatusNotFound {
		t.Errorf("somebody else's request is answered %d", w.Code)
	}
	x.unchanged(t, before)
	p.cookies[0].value = adaID
	if w := p.disconnect(t); w.Code != http.StatusSeeOther {
		t.Errorf("her own request is answered %d", w.Code)
	}
	if _, err := x.flow(t).GetStoredCredentials(t.Context(), adaID); !errors.As(err, new(*authflow.ReauthorizationRequiredError)) {
		t.Errorf("then: %v", err)
	}
}
