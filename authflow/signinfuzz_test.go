package authflow_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// A pliant site is one whose provider takes every code, and counts them.
type pliant struct {
	*person
	codes atomic.Int64
}

func newPliant(t testing.TB) *pliant {
	t.Helper()
	p := new(pliant)
	provider := authflow.Google()
	provider.JWKSURL = "" // who it is, the answers below say
	transport := answering{token: []byte(`{"access_token":"ya29.a","refresh_token":"1//r","sub":"1","email":"ada@example.com"}`)}
	flow, err := authflow.New(authflow.Config{
		ClientID: "client", ClientSecret: "the client's secret", RedirectURL: redirectURL, Scopes: []string{gmailReadonly},
		Store: tokenstore.NewMemory(), Keys: nopAEAD{}, Provider: provider,
		HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/token") {
				p.codes.Add(1)
			}
			return transport.RoundTrip(r)
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = flow.Close() })
	p.person = &person{site: new(fixture).site(flow)}
	return p
}

// begin goes to the login page with a query and returns the state.
func (p *pliant) begin(t *testing.T, query url.Values) string {
	t.Helper()
	return param(t, p.login(t, "/login?"+query.Encode()), "state")
}

// comesBack is called back with a raw query, which may be no query at all.
func (p *pliant) comesBack(t *testing.T, path, raw string) *http.Request {
	t.Helper()
	req := ask(t, http.MethodGet, path)
	req.URL.RawQuery, req.RequestURI = raw, path+"?"+raw
	return req
}

// Whatever is made of a cookie, nobody but the browser that it was given to signs in with it, and then only as it is.
func FuzzCallbackCookie(f *testing.F) {
	for _, change := range []string{"", "=", "A", "AAAA", " ", `"`, "\x00", "é", "eyJzIjoiIn0", strings.Repeat("A", 5000)} {
		f.Add(change, uint16(0), uint16(0))
		f.Add(change, uint16(0), uint16(1000))
		f.Add(change, uint16(20), uint16(1))
		f.Add(change, uint16(1000), uint16(0))
	}
	f.Fuzz(func(t *testing.T, put string, at, cut uint16) {
		p := newPliant(t)
		state := p.begin(t, nil)
		name, genuine := p.cookies[0].name, p.cookies[0].value
		from := min(int(at), len(genuine))
		forged := genuine[:from] + put + genuine[min(from+int(cut), len(genuine)):]
		p.cookies = nil
		req := p.comesBack(t, "/caught", "code=c&state="+state)
		req.Header.Set("Cookie", name+"="+forged)
		var err error
		w := p.send(catching(req, &err))
		read, rerr := req.Cookie(name)
		if rerr == nil && read.Value == genuine { // spaces and quotes around it are the header's
			if w.Code != http.StatusSeeOther || p.successes() != 1 || p.codes.Load() != 1 {
				t.Errorf("the genuine cookie is answered %d: %v", w.Code, err)
			}
			return
		}
		if got := reason(err); got != authflow.CallbackForged && (got != authflow.CallbackForeign || rerr == nil) {
			t.Errorf("%q is refused as %q: %v", forged, got, err)
		}
		if p.successes() != 0 || p.codes.Load() != 0 {
			t.Errorf("%q signs in, or sends the code", forged)
		}
		if err != nil && len(forged) > 8 && strings.Contains(err.Error(), forged) {
			t.Errorf("the error shows the cookie: %v", err)
		}
	})
}

// Whatever the query of a callback is, it signs in only with the state of the browser, one code and the right issuer. Any
// other is refused, and no code is sent.
func FuzzCallbackQuery(f *testing.F) {
	for _, raw := range []string{
		"", "code=c&state=STATE", "code=c&state=STATE&iss=https://accounts.google.com", "code=c&state=STATE&iss=https://evil.example",
		"code=c&state=STATE&state=STATE", "code=c&code=d&state=STATE", "error=access_denied&state=STATE", "error=x&code=c&state=STATE",
		"code=c&state=%53TATE", "code=c;state=STATE", "code=%zz&state=STATE", "code=c&state=STATE&%",
		"state=STATE&code=c#x", "code=c&state=STATE%00",
		"code=c&state=STATE&code", "error=&code=c&state=STATE", "error=%0d%0a<script>&error_description=%ff&state=STATE", "?code=c&state=STATE",
		"code=c&state=STATE&" + strings.Repeat("x", 9000),
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p := newPliant(t)
		state := p.begin(t, nil)
		raw = strings.ReplaceAll(raw, "STATE", state)
		var err error
		w := p.send(catching(p.comesBack(t, "/caught", raw), &err))
		query, perr := url.ParseQuery(raw)
		good := perr == nil && len(raw) <= 8<<10 && len(query["code"]) == 1 && len(query["state"]) == 1 && query.Get("code") != "" &&
			query.Get("state") == state && (len(query["error"]) == 0 || len(query["error"]) == 1 && query.Get("error") == "") &&
			(len(query["iss"]) == 0 || len(query["iss"]) == 1 && query.Get("iss") == "https://accounts.google.com")
		if good != (w.Code == http.StatusSeeOther) || good != (p.successes() == 1) || good != (p.codes.Load() == 1) {
			t.Fatalf("%q is answered %d: %v; %d codes are sent", raw, w.Code, err, p.codes.Load())
		}
		if good {
			return
		}
		denied, isDenied := errors.AsType[*authflow.AuthorizationDeniedError](err)
		if got := reason(err); got != authflow.CallbackMalformed && got != authflow.CallbackForeign && (!isDenied || denied.Code == "") {
			t.Errorf("%q gives %T %v", raw, err, err)
		}
		if err != nil && (strings.ContainsAny(err.Error(), "\r\n\x00") || len(err.Error()) > 1500) {
			t.Errorf("%q: the error is not one line: %q", raw, err)
		}
		page := p.send(p.comesBack(t, "/callback", raw))
		if page.Code < 400 || told(page) == "" || told(page) == "Something went wrong" || !strings.HasPrefix(leads(page), "/login") {
			t.Errorf("%q: the person is told %d %q, which leads to %q", raw, page.Code, told(page), leads(page))
		}
	})
}

// Whatever return_to is, a login begins, and leads to a path of this origin, as browsers understand it.
func FuzzReturnTo(f *testing.F) {
	for _, to := range elsewhere {
		f.Add(to)
	}
	for _, to := range []string{
		"/", "/inbox?a=b&c#d", "/%2f%2fevil.example", "/a/..//evil.example", "/;/evil.example", "/\u2028//x", "/" + strings.Repeat(`"`, 511),
	} {
		f.Add(to)
	}
	f.Fuzz(func(t *testing.T, to string) {
		p := newPliant(t)
		state := p.begin(t, url.Values{"return_to": {to}})
		w := p.arrive(t, "code=c&state="+state)
		location := w.Header().Get("Location")
		if w.Code != http.StatusSeeOther || location == "" {
			t.Fatalf("%q: the callback answers %d to %q", to, w.Code, location)
		}
		// What the URL standard does before it parses: https://url.spec.whatwg.org/#concept-basic-url-parser.
		browsers := strings.Map(func(r rune) rune {
			switch r {
			case '\t', '\n', '\r':
				return -1
			case '\\':
				return '/'
			}
			return r
		}, strings.Trim(location, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\v\f\r\x0e\x0f\x10 "))
		if !strings.HasPrefix(browsers, "/") || strings.HasPrefix(browsers, "//") || strings.ContainsAny(location, "\r\n\x00") {
			t.Errorf("%q leads to %q", to, location)
		}
		again := p.begin(t, url.Values{"return_to": {to}})
		page := p.arrive(t, "error=access_denied&state="+again)
		if login := leads(page); !strings.HasPrefix(login, "/login") || strings.ContainsAny(login, `"<>`) {
			t.Errorf("%q: the page leads to %q", to, login)
		}
	})
}
