package authflow_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// onLocalhost makes the Flow one of a developer's machine.
func onLocalhost(cfg *authflow.Config) { cfg.RedirectURL = "http://localhost:8080/callback" }

// begins makes every login one for login.
func begins(login authflow.Login) func(*options) {
	return func(o *options) {
		o.login.Begin = func(*http.Request) (authflow.Login, error) { return login, nil }
	}
}

func TestALoginSendsThePersonToTheProvider(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		login authflow.Login
		want  map[string]string // of the authorization URL; "" for absent
	}{
		"asking for what the Config says": {authflow.Login{}, map[string]string{
			"scope": gmailReadonly + " openid email", "prompt": "consent", "access_type": "offline",
			"code_challenge_method": "S256", "login_hint": "", "hd": "", "include_granted_scopes": "",
		}},
		"with the account chosen": {authflow.Login{EmailAddress: ada}, map[string]string{"login_hint": ada}},
		"for a known user":        {authflow.Login{UserID: adaID}, map[string]string{"login_hint": ""}},
		"in the guide's own words": {
			loginWith(authflow.WithApprovalPromptForce()), map[string]string{"approval_prompt": "force", "prompt": ""},
		},
		"with another prompt": {loginWith(authflow.WithPrompt("select_account")), map[string]string{"prompt": "select_account"}},
		"for one domain":      {loginWith(authflow.WithHostedDomain("example.org")), map[string]string{"hd": "example.org"}},
		"for more, incrementally": {
			loginWith(authflow.WithScopes(gmailSend), authflow.WithIncludeGrantedScopes()),
			map[string]string{"scope": gmailSend + " openid email", "include_granted_scopes": "true"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			p := x.site(x.flow(t), begins(c.login)).ada()
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				w := p.send(ask(t, method, "/login"))
				authURL := w.Header().Get("Location")
				if w.Code != http.StatusSeeOther || !strings.HasPrefix(authURL, x.google.AuthURL()+"?") {
					t.Fatalf("%s answers %d, to %s", method, w.Code, authURL)
				}
				got := query(t, authURL)
				for name, want := range c.want {
					if got[name] != want {
						t.Errorf("%s: %s = %q, want %q", method, name, got[name], want)
					}
				}
				if len(got["state"]) < 26 || got["code_challenge"] == "" || got["nonce"] == "" {
					t.Errorf("%s: %q", method, got)
				}
				if w.Header().Get("Cache-Control") != "no-store" {
					t.Errorf("%s: the state may be cached: %v", method, w.Header())
				}
			}
		})
	}
}

func loginWith(opts ...authflow.AuthOption) authflow.Login { return authflow.Login{Options: opts} }

func TestEveryLoginHasAStateOfItsOwn(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	p := x.site(x.flow(t)).ada()
	seen := make(map[string]bool)
	for range 10 {
		got := query(t, p.login(t, "/login"))
		for _, name := range []string{"state", "nonce", "code_challenge"} {
			if seen[got[name]] {
				t.Errorf("%s = %q came before", name, got[name])
			}
			seen[got[name]] = true
		}
	}
}

func TestTheCookieOfALogin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*authflow.Config)
		prefix string
		secure bool
	}{
		"belongs to the very host":       {func(*authflow.Config) {}, "__Host-mailgrant-", true},
		"works on a developer's machine": {onLocalhost, "mailgrant-", false},
		"works on a developer's IPv6, too": {
			func(cfg *authflow.Config) { cfg.RedirectURL = "http://[::1]:8080/" }, "mailgrant-", false,
		},
		"is no other where localhost has https": {
			func(cfg *authflow.Config) { cfg.RedirectURL = "https://localhost/" }, "__Host-mailgrant-", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			w := x.site(x.flow(t, c.change)).ada().get(t, "/login")
			cookies := cookiesOf(w)
			if len(cookies) != 1 {
				t.Fatalf("Set-Cookie: %q", w.Header().Values("Set-Cookie"))
			}
			got := cookies[0]
			if !strings.HasPrefix(got.Name, c.prefix) || got.Secure != c.secure {
				t.Errorf("%s, Secure: %v; want %s..., %v", got.Name, got.Secure, c.prefix, c.secure)
			}
			// RFC 6265bis §4.1.3.2: __Host- goes with Path=/ and without Domain.
			if !got.HttpOnly || got.SameSite != http.SameSiteLaxMode || got.Path != "/" || got.Domain != "" || got.MaxAge != 600 {
				t.Errorf("Set-Cookie: %s", got.Raw)
			}
			if err := got.Valid(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheCookieOfALoginIsSealed(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	p := x.site(x.flow(t), begins(authflow.Login{
		UserID: adaID, EmailAddress: ada, ReturnTo: "/the/way/back",
		Options: []authflow.AuthOption{authflow.WithHostedDomain("example.org")},
	})).ada()
	state := param(t, p.login(t, "/login"), "state")
	value := p.cookies[0].value
	sealed, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{state, "gmail", "openid", "/the/way", "/login", adaID, ada, "example.org", "{", `"`} {
		if strings.Contains(value, secret) || len(secret) > 1 && strings.Contains(string(sealed), secret) {
			t.Errorf("the cookie shows %q", secret)
		}
	}
	if name := p.cookies[0].name; strings.Contains(name, state[:6]) {
		t.Errorf("its name %s shows the state", name)
	}
	again := p.cookies[0].value
	p.login(t, "/login")
	if p.cookies[1].value[:16] == again[:16] {
		t.Error("the same nonce seals every cookie")
	}
}

func TestALoginThatCannotBegin(t *testing.T) {
	t.Parallel()
	errNobody := errors.New("nobody is signed in to the application")
	var huge []string
	for i := range 100 {
		huge = append(huge, "https://www.googleapis.com/auth/a.scope.with.a.name.of.some.length."+strings.Repeat("x", i%10))
	}
	for name, c := range map[string]struct {
		begin func(*http.Request) (authflow.Login, error)
		says  string
	}{
		"since the application says no": {
			func(*http.Request) (authflow.Login, error) { return authflow.Login{UserID: adaID}, errNobody }, "nobody is signed in",
		},
		"since it would return to another origin": {
			func(*http.Request) (authflow.Login, error) {
				return authflow.Login{ReturnTo: "https://evil.example/"}, nil
			}, "no path of this origin",
		},
		"since it asks for too much": {
			func(*http.Request) (authflow.Login, error) { return loginWith(authflow.WithScopes(huge...)), nil }, "browsers keep 4096",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			s := x.site(x.flow(t), func(o *options) { o.login.Begin = c.begin })
			w := s.ada().get(t, "/login?return_to=/inbox")
			if w.Code != http.StatusInternalServerError || told(w) != "Something went wrong" {
				t.Errorf("the person is told %d %q", w.Code, told(w))
			}
			if w.Header().Get("Location") != "" || len(cookiesOf(w)) != 0 {
				t.Errorf("a broken cookie is set all the same: %v", w.Header())
			}
			if again := leads(w); again != "/login?return_to=/inbox" {
				t.Errorf("the page leads to %q", again)
			}
			err := s.ada().failure(t, ask(t, http.MethodGet, "/caught/login"))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Failure is told %v, want %q", err, c.says)
			}
			if strings.Contains(c.says, "nobody") && !errors.Is(err, errNobody) {
				t.Errorf("Failure is told %v, not the application's own error", err)
			}
		})
	}
}

func TestHandlersTakeTheirMethodsAlone(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	s := x.site(x.flow(t))
	p := s.ada()
	code := p.begin(t)
	for path, allowed := range map[string]string{"/login": "GET, POST", "/callback?" + code: "GET", "/disconnect": "POST"} {
		for _, method := range []string{"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"} {
			if slices.Contains(strings.Split(allowed, ", "), method) {
				continue
			}
			w := p.send(ask(t, method, path))
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != allowed || len(cookiesOf(w)) != 0 {
				t.Errorf("%s %s: %d %v", method, path, w.Code, w.Header())
			}
		}
	}
	if n := x.exchanges(); n != 0 {
		t.Errorf("the code was sent %d times", n)
	}
	p.connected(t, code, "/") // none of that used it up
}

func TestFiveTabsSignInAtOnce(t *testing.T) {
	t.Parallel()
	for name, comeBack := range map[string]func(t *testing.T, p *person, queries []string){
		"and come back at once": func(t *testing.T, p *person, queries []string) {
			t.Helper()
			var answers []func() *httptest.ResponseRecorder
			for _, query := range queries {
				answers = append(answers, p.arriving(t, query))
			}
			for _, answer := range answers {
				if w := answer(); w.Code != http.StatusSeeOther {
					t.Errorf("a tab is answered %d %q", w.Code, told(w))
				}
			}
		},
		"and come back last first": func(t *testing.T, p *person, queries []string) {
			t.Helper()
			for _, query := range slices.Backward(queries) {
				p.connected(t, query, "/")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				s := x.site(x.flow(t))
				p := s.ada()
				var queries []string
				for range 5 {
					queries = append(queries, p.begin(t))
				}
				x.google.Inject(gmailtest.Fault{Op: "token.exchange", Delay: time.Second})
				comeBack(t, p, queries)
				if s.successes() != 5 || x.exchanges() != 5 {
					t.Errorf("Success was called %d times, and %d codes were sent", s.successes(), x.exchanges())
				}
			})
		})
	}
}

func TestTheSixthTabDropsTheOldest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ apart, reversed bool }{
		"begun in one second":                                {false, false},
		"begun one after another":                            {true, false},
		"whichever cookie the browser happens to send first": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				p := x.site(x.flow(t)).ada()
				var codes []string
				for range 8 {
					codes = append(codes, p.begin(t))
					if c.apart {
						pass(time.Second)
					}
					if c.reversed {
						slices.Reverse(p.cookies)
					}
				}
				if len(p.cookies) != 5 {
					t.Errorf("the browser keeps %d cookies", len(p.cookies))
				}
				for i, code := range codes {
					if i >= 3 {
						p.connected(t, code, "/")
					} else if got := reason(p.refused(t, code)); got != authflow.CallbackForeign {
						t.Errorf("tab %d is refused as %q", i, got)
					}
				}
			})
		})
	}
}
