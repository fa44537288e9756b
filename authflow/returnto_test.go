package authflow_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestAPersonReturnsToPathsOfThisOrigin(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]string{
		"/":                             "/",
		"/inbox":                        "/inbox",
		"/inbox/":                       "/inbox/",
		"/inbox?q=a%20b&page=2#message": "/inbox?q=a%20b&page=2#message",
		"/search?next=https://x.test/":  "/search?next=https://x.test/",
		"/a:b":                          "/a:b",
		"/@ada":                         "/@ada",
		"/ada@example.com":              "/ada@example.com",
		"/ünïcode/受信箱":                  "/%c3%bcn%c3%afcode/%e5%8f%97%e4%bf%a1%e7%ae%b1",
		"/%2f%2fevil.example":           "/%2f%2fevil.example", // a path of this origin to every browser
		"/%09/evil.example":             "/%09/evil.example",
		"/%5cevil.example":              "/%5cevil.example",
		"/a/..//evil.example":           "/evil.example",
		"/.//evil.example":              "/evil.example",
		"/x%0d%0aSet-Cookie:a=b":        "/x%0d%0aSet-Cookie:a=b",
		`/"><script>alert(1)</script>`:  `/"><script>alert(1)</script>`,
		"/" + strings.Repeat("x", 511):  "/" + strings.Repeat("x", 511),
		"/?" + strings.Repeat("&", 510): "/?" + strings.Repeat("&", 510),
		"/?" + strings.Repeat(`"`, 510): "/?" + strings.Repeat(`"`, 510),
	} {
		t.Run(to[:min(len(to), 40)], func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			s := x.site(x.flow(t))
			p := s.ada()
			p.connected(t, p.consent(t, p.login(t, "/login?return_to="+url.QueryEscape(to))), want)
			p = x.site(s.flow, begins(authflow.Login{ReturnTo: to})).ada()
			p.connected(t, p.consent(t, p.login(t, "/login?return_to=/elsewhere")), want)
		})
	}
}

// elsewhere are texts that some browser, or some parser, takes for a place outside this origin, or that no browser sends.
var elsewhere = []string{
	"//evil.example", "///evil.example", "//evil.example/..", "//", "//@evil.example", "//user:pw@evil.example/",
	`/\evil.example`, `\\evil.example`, `\/evil.example`, `/\/evil.example`, `/path\..\..`, `\evil`,
	"\t//evil.example", "/\t/evil.example", "/\n/evil.example", "/\r/evil.example", "/\x00/evil.example",
	" //evil.example", "/ /evil.example",
	"\u00a0//evil.example", "/\x7f/evil.example", "/\x1f//evil.example", "/a\r\nSet-Cookie: a=b", "/\xff\xfe//evil.example",
	"https://evil.example/", "https:evil.example", "https:/evil.example", "https:",
	"HTTPS://EVIL.EXAMPLE", "http://evil.example",
	"https://app.example/inbox", "//app.example/inbox", // this origin, but said in a way that leaves it open
	"https://app.example@evil.example/", "https://app.example.evil.example/",
	"app.example", "evil.example/path", "inbox", "./inbox", "../inbox",
	"javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)",
	"data:text/html,<script>alert(1)</script>", "vbscript:x", "about:blank",
	"?next=/", "#fragment", ":80", "*", "%2f%2fevil.example", "%09//evil.example", "／／evil.example", "/%zz", "/%",
	"/" + strings.Repeat("x", 512), "/" + strings.Repeat("é", 256), strings.Repeat("/", 100),
}

func TestNobodyReturnsElsewhere(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	for _, to := range elsewhere {
		name := url.QueryEscape(to)
		t.Run(name[:min(len(name), 40)], func(t *testing.T) {
			t.Parallel()
			p := x.site(flow).ada()
			p.connected(t, p.consent(t, p.login(t, "/login?return_to="+url.QueryEscape(to))), "/")
			p = x.site(flow, begins(authflow.Login{ReturnTo: to})).ada()
			err := p.failure(t, ask(t, http.MethodGet, "/caught/login"))
			if err == nil || !strings.Contains(err.Error(), "no path of this origin") {
				t.Errorf("as Login.ReturnTo: %v", err)
			}
			defer func() {
				err, _ := recover().(error)
				if wrong, ok := errors.AsType[*authflow.ConfigError](err); !ok || wrong.Field != "DisconnectOptions.ReturnTo" {
					t.Errorf("as DisconnectOptions.ReturnTo: %v", err)
				}
			}()
			flow.DisconnectHandler(authflow.DisconnectOptions{
				User: func(*http.Request) (string, error) { return adaID, nil }, ReturnTo: to,
			})
		})
	}
}

func TestOfSeveralReturnTosTheFirstCounts(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	p := x.site(x.flow(t)).ada()
	p.connected(t, p.consent(t, p.login(t, "/login?return_to=/first&return_to=//evil.example")), "/first")
	p.connected(t, p.consent(t, p.login(t, "/login?return_to=//evil.example&return_to=/second")), "/")
}

// However a router leaves a path, the link of a page leads to where the login began, and never elsewhere.
func TestAPageLeadsBackToItsLogin(t *testing.T) {
	t.Parallel()
	denied := errors.New("the application says no")
	for name, c := range map[string]struct {
		requested string
		path      string // as the router left it
		want      string
	}{
		"as it was asked for":             {"/login", "/login", "/login"},
		"with its query":                  {"/login?return_to=/inbox", "/login", "/login?return_to=/inbox"},
		"under a prefix that was cut off": {"/accounts/login?x=1", "/login", "/accounts/login?x=1"},
		"asked for as a proxy does":       {"https://app.example/login", "/login", "/login"},
		"with an escaped path":            {"https://app.example/a%3Fb", "/a?b", "/a%3Fb"},
		"which is endless":                {"/login?x=" + strings.Repeat("x", 600), "/login", "/login"},
		"which looks like another host":   {"//evil.example/login", "//evil.example/login", "/"},
		"with backslashes":                {`/\evil.example`, `/\evil.example`, "/%5Cevil.example"},
		"of nowhere":                      {"*", "", "/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			handler := x.flow(t).LoginHandler(authflow.LoginOptions{
				Begin: func(*http.Request) (authflow.Login, error) { return authflow.Login{}, denied },
			})
			p := (&site{fixture: x, Handler: handler}).ada()
			req := ask(t, http.MethodGet, "/")
			req.RequestURI, req.URL = c.requested, &url.URL{Path: c.path}
			if got := leads(p.send(req)); got != c.want {
				t.Errorf("the page leads to %q, want %q", got, c.want)
			}
		})
	}
}
