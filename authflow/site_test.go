package authflow_test

import (
	"context"
	"errors"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// A site is an application that has mounted a Flow's handlers. It is served in process, so that it can be in a bubble.
type site struct {
	*fixture
	flow *authflow.Flow
	http.Handler

	mu     sync.Mutex
	served []*authflow.Credentials // that Success was called with
}

// options are what a site's handlers are made with.
type options struct {
	login      authflow.LoginOptions
	callback   authflow.CallbackOptions
	disconnect authflow.DisconnectOptions
}

// site mounts the handlers of flow. /caught is the redirect URL, too: a callback there tells the test its error in place of
// the person.
func (x *fixture) site(flow *authflow.Flow, changes ...func(*options)) *site {
	s := &site{fixture: x, flow: flow}
	o := options{
		callback:   authflow.CallbackOptions{Success: s.succeed},
		disconnect: authflow.DisconnectOptions{User: func(*http.Request) (string, error) { return adaID, nil }},
	}
	for _, change := range changes {
		change(&o)
	}
	mux := http.NewServeMux()
	mux.Handle("/login", flow.LoginHandler(o.login))
	mux.Handle("/callback", flow.CallbackHandler(o.callback))
	mux.Handle("/disconnect", flow.DisconnectHandler(o.disconnect))
	o.login.Failure, o.callback.Failure, o.disconnect.Failure = catch, catch, catch
	mux.Handle("/caught/login", flow.LoginHandler(o.login))
	mux.Handle("/caught", flow.CallbackHandler(o.callback))
	mux.Handle("/caught/disconnect", flow.DisconnectHandler(o.disconnect))
	s.Handler = mux
	return s
}

func (s *site) succeed(_ http.ResponseWriter, _ *http.Request, creds *authflow.Credentials) (authflow.SessionRenewal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served = append(s.served, creds)
	return authflow.SessionRenewed, nil
}

// caught is the key of what a request failed with.
type caught struct{}

// catching returns req, which stores in err what it fails with.
func catching(req *http.Request, err *error) *http.Request {
	return req.WithContext(context.WithValue(req.Context(), caught{}, err))
}

func catch(w http.ResponseWriter, r *http.Request, err error) {
	*r.Context().Value(caught{}).(*error) = err
	w.WriteHeader(http.StatusTeapot)
}

// successes returns how often Success was called.
func (s *site) successes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.served)
}

// exchanges returns how often the code was sent.
func (x *fixture) exchanges() int { return x.google.Count("token.exchange") }

// A person has a browser, which keeps the site's cookies as RFC 6265 says.
type person struct {
	*site
	google *gmailtest.Browser
	keeps  bool // cookies that have expired, as no browser does

	mu      sync.Mutex
	cookies []cookie // oldest first
}

type cookie struct {
	name, value string
	ends        time.Time
}

// ada returns Ada, in front of a browser that knows nothing of s.
func (s *site) ada() *person {
	return &person{site: s, google: &gmailtest.Browser{Server: s.google, User: ada}}
}

// at returns the person in front of the same browser, served by another process.
func (p *person) at(other *site) *person {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &person{site: other, google: p.google, keeps: p.keeps, cookies: slices.Clone(p.cookies)}
}

// withCookies gives req the browser's cookies.
func (p *person) withCookies(req *http.Request) *http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.cookies {
		if p.keeps || time.Now().Before(c.ends) {
			req.AddCookie(&http.Cookie{Name: c.name, Value: c.value})
		}
	}
	return req
}

func (p *person) send(req *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, p.withCookies(req))
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range cookiesOf(w) {
		i := slices.IndexFunc(p.cookies, func(k cookie) bool { return k.name == c.Name })
		kept := cookie{c.Name, c.Value, time.Now().Add(time.Duration(c.MaxAge) * time.Second)}
		switch {
		case c.MaxAge < 0 && i >= 0:
			p.cookies = slices.Delete(p.cookies, i, i+1)
		case c.MaxAge < 0:
		case i >= 0:
			p.cookies[i] = kept
		default:
			p.cookies = append(p.cookies, kept)
		}
	}
	return w
}

func cookiesOf(w *httptest.ResponseRecorder) []*http.Cookie {
	return (&http.Response{Header: w.Header()}).Cookies()
}

// ask returns a request of a page of the site, as a server gets it.
func ask(t *testing.T, method, target string) *http.Request {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	req.Host = "app.example"
	return req
}

func (p *person) get(t *testing.T, target string) *httptest.ResponseRecorder {
	t.Helper()
	return p.send(ask(t, http.MethodGet, target))
}

// login begins a sign-in at target and returns where the person is sent.
func (p *person) login(t *testing.T, target string) (authURL string) {
	t.Helper()
	w := p.get(t, target)
	if w.Code != http.StatusSeeOther {
		t.Fatalf("%s answers %d: %s", target, w.Code, told(w))
	}
	return w.Header().Get("Location")
}

// consent answers the consent page and returns the query that the person comes back with.
func (p *person) consent(t *testing.T, authURL string) string {
	t.Helper()
	back, err := p.google.Visit(t.Context(), authURL)
	if err != nil {
		t.Fatal(err)
	}
	return back.RawQuery
}

// begin begins a sign-in, consents, and returns the query of the callback.
func (p *person) begin(t *testing.T) string {
	t.Helper()
	return p.consent(t, p.login(t, "/login"))
}

// arrive brings a query to the redirect URL.
func (p *person) arrive(t *testing.T, query string) *httptest.ResponseRecorder {
	t.Helper()
	return p.get(t, "/callback?"+query)
}

// connected checks that query signs the person in, and sends them to want.
func (p *person) connected(t *testing.T, query, want string) {
	t.Helper()
	w := p.arrive(t, query)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != want {
		t.Errorf("the callback answers %d to %q, want %q: %s", w.Code, w.Header().Get("Location"), want, told(w))
	}
}

// refused returns the error that query fails with.
func (p *person) refused(t *testing.T, query string) error {
	t.Helper()
	return p.failure(t, ask(t, http.MethodGet, "/caught?"+query))
}

// failure returns the error that a request fails with, at a path that begins with /caught.
func (p *person) failure(t *testing.T, req *http.Request) error {
	t.Helper()
	var err error
	w := p.send(catching(req, &err))
	if w.Code != http.StatusTeapot || err == nil {
		t.Errorf("%s answers %d %q: %s", req.URL.Path, w.Code, w.Header().Get("Location"), told(w))
	}
	return err
}

// reason returns what is wrong with a callback according to err.
func reason(err error) authflow.CallbackReason {
	if refused, ok := errors.AsType[*authflow.CallbackError](err); ok {
		return refused.Reason
	}
	return ""
}

var (
	heading = regexp.MustCompile(`<h1>(.*?)</h1>`)
	link    = regexp.MustCompile(`<a href="([^"]*)">([^<]*)</a>`)
)

// told returns the heading of a page.
func told(w *httptest.ResponseRecorder) string {
	if m := heading.FindStringSubmatch(w.Body.String()); m != nil {
		return html.UnescapeString(m[1])
	}
	return strings.TrimSpace(w.Body.String())
}

// leads returns where the link of a page leads.
func leads(w *httptest.ResponseRecorder) string {
	if m := link.FindStringSubmatch(w.Body.String()); m != nil {
		return html.UnescapeString(m[1])
	}
	return ""
}

// param returns a parameter of a URL or query.
func param(t *testing.T, of, name string) string {
	t.Helper()
	if _, after, ok := strings.Cut(of, "?"); ok {
		of = after
	}
	values, err := url.ParseQuery(of)
	if err != nil {
		t.Fatal(err)
	}
	return values.Get(name)
}
