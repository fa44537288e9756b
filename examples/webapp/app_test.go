package main

import (
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/tokenstore"
)

const (
	ada    = "ada@example.com"
	gauges = "gauges@example.com"
)

// A site is the application as it is served, with a Google in process.
type site struct {
	*app
	url string
	log *journal
}

func newSite(t *testing.T) *site {
	t.Helper()
	return newSiteIn(t, t.TempDir())
}

// newSiteIn serves it with the data in a folder, and a key of its own.
func newSiteIn(t *testing.T, folder string) *site {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	t.Cleanup(server.Close)
	set := settings{data: folder}
	google, err := openGoogle(t.Context(), set, server.Listener.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(google.close)
	google.service.Retry = gmailsvc.RetryPolicy{Attempts: 1} // a failure is seen at once
	db, err := openDatabase(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	keys, err := tokenstore.ParseKeyring(tokenstore.GenerateKey())
	if err != nil {
		t.Fatal(err)
	}
	log := new(journal)
	a, err := newApp(google, db, keys, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.close)
	server.Config.Handler = a.handler()
	server.Start()
	return &site{app: a, url: server.URL, log: log}
}

// A journal is what was logged.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// A person has a browser with cookies.
type person struct {
	t    *testing.T
	site *site
	http http.Client
}

func (s *site) newPerson(t *testing.T) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t, s, http.Client{Jar: jar}}
}

// An answer is what a person gets to see.
type answer struct {
	*http.Response
	body string
}

func (p *person) send(req *http.Request) answer {
	p.t.Helper()
	res, err := p.http.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer{res, string(body)}
}

// get opens a page, and follows redirects.
func (p *person) get(address string) answer {
	p.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = p.site.url + address
	}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.send(req)
}

// post sends a form as a browser does from a page of origin.
func (p *person) post(address, origin string, form url.Values) answer {
	p.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = p.site.url + address
	}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", origin)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	if origin == req.URL.Scheme+"://"+req.URL.Host {
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return p.send(req)
}

var (
	hidden  = regexp.MustCompile(`name="(request|scope)" value="([^"]+)"`)
	chooser = regexp.MustCompile(`name="user" value="([^"]+)"[^>]*>(?:<span>)?[^<]*<small>([^<]+)`)
)

// connect starts at a link of the application and consents as an account.
func (p *person) connect(link, email string) answer {
	p.t.Helper()
	consent := p.get(link)
	form := url.Values{"decision": {"allow"}}
	for _, m := range hidden.FindAllStringSubmatch(consent.body, -1) {
		form.Add(m[1], html.UnescapeString(m[2]))
	}
	for _, m := range chooser.FindAllStringSubmatch(consent.body, -1) {
		if m[2] == email {
			form.Set("user", m[1])
		}
	}
	if form.Get("user") == "" {
		p.t.Fatalf("no consent page at %s:\n%s", link, consent.body)
	}
	at := consent.Request.URL
	return p.post("http://"+at.Host+"/signin/oauth/consent", "http://"+at.Host, form)
}

// signedIn returns a person who has connected an account.
func (s *site) signedIn(t *testing.T, email string) *person {
	t.Helper()
	p := s.newPerson(t)
	p.connect("/login", email).check(t, http.StatusOK, "Your accounts", email+" is connected.")
	return p
}

// session returns the person's session cookie.
func (p *person) session() string {
	p.t.Helper()
	at, err := url.Parse(p.site.url)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range p.http.Jar.Cookies(at) {
		if c.Name == p.site.sessions.Cookie.Name {
			return c.Value
		}
	}
	p.t.Fatal("no session")
	return ""
}

// account returns the path of an account's pages.
func (s *site) account(t *testing.T, email string) string {
	t.Helper()
	return account{UserID: s.madeUp.Mailbox(email).User().Sub}.Path()
}

// check fails the test unless the answer has that status and those texts.
func (a answer) check(t *testing.T, status int, texts ...string) {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("%s answers %s, want %d", a.Request.URL.Path, a.Status, status)
	}
	text := html.UnescapeString(a.body)
	for _, want := range texts {
		if !strings.Contains(text, want) {
			t.Errorf("%s does not say %q:\n%s", a.Request.URL.Path, want, text)
		}
	}
}
