package authflow_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// mounts are ways to mount handlers: each returns where they are.
func mounts() map[string]func(login, callback, disconnect http.Handler) (http.Handler, string) {
	flat := func(prefix string, login, callback, disconnect http.Handler) *http.ServeMux {
		mux := http.NewServeMux()
		mux.Handle(prefix+"/login", login)
		mux.Handle(prefix+"/callback", callback)
		mux.Handle(prefix+"/disconnect", disconnect)
		return mux
	}
	return map[string]func(login, callback, disconnect http.Handler) (http.Handler, string){
		"at the root": func(login, callback, disconnect http.Handler) (http.Handler, string) {
			return flat("", login, callback, disconnect), ""
		},
		"behind StripPrefix": func(login, callback, disconnect http.Handler) (http.Handler, string) {
			return http.StripPrefix("/mail/accounts", flat("", login, callback, disconnect)), "/mail/accounts"
		},
		"behind patterns with methods and wildcards": func(login, callback, disconnect http.Handler) (http.Handler, string) {
			mux := http.NewServeMux()
			mux.Handle("GET /{tenant}/login", login)
			mux.Handle("GET /{tenant}/callback", callback)
			mux.Handle("POST /{tenant}/disconnect", disconnect)
			return mux, "/acme"
		},
		"behind a router that keeps the path as it is": func(login, callback, disconnect http.Handler) (http.Handler, string) {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/login"):
					login.ServeHTTP(w, r)
				case strings.HasSuffix(r.URL.Path, "/callback"):
					callback.ServeHTTP(w, r)
				default:
					disconnect.ServeHTTP(w, r)
				}
			}), "/any/where"
		},
	}
}

// Over a socket, with net/http's own cookie jar, in plain HTTP on localhost and over TLS.
func TestTheHandlersBehindARealServer(t *testing.T) {
	t.Parallel()
	for name, mount := range mounts() {
		for scheme, start := range map[string]func(http.Handler) *httptest.Server{
			"http": httptest.NewServer, "https": httptest.NewTLSServer,
		} {
			t.Run(name+", by "+scheme, func(t *testing.T) {
				t.Parallel()
				x := newFixture(t, gmailtest.Config{})
				var app http.Handler
				server := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { app.ServeHTTP(w, r) }))
				defer server.Close()
				_, prefix := mount(nil, nil, nil)
				flow := x.flow(t, func(cfg *authflow.Config) { cfg.RedirectURL = server.URL + prefix + "/callback" })
				s := x.site(flow)
				app, _ = mount(flow.LoginHandler(authflow.LoginOptions{}),
					flow.CallbackHandler(authflow.CallbackOptions{Success: s.succeed, LoginPath: prefix + "/login"}),
					flow.DisconnectHandler(authflow.DisconnectOptions{
						User:     func(*http.Request) (string, error) { return adaID, nil },
						ReturnTo: prefix + "/settings",
					}))

				jar, err := cookiejar.New(nil)
				if err != nil {
					t.Fatal(err)
				}
				client := server.Client()
				client.Jar = jar
				client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
				request := func(method, target string) *http.Response {
					t.Helper()
					req, err := http.NewRequestWithContext(t.Context(), method, target, nil)
					if err != nil {
						t.Fatal(err)
					}
					resp, err := client.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					_ = resp.Body.Close()
					return resp
				}

				login := request(http.MethodGet, server.URL+prefix+"/login?return_to="+url.QueryEscape("/inbox?page=2"))
				back, err := s.ada().google.Visit(t.Context(), login.Header.Get("Location"))
				if err != nil {
					t.Fatal(err)
				}
				for range 2 {
					done := request(http.MethodGet, back.String())
					if done.StatusCode != http.StatusSeeOther || done.Header.Get("Location") != "/inbox?page=2" {
						t.Fatalf("the callback answers %s to %q", done.Status, done.Header.Get("Location"))
					}
				}
				if s.successes() != 2 || x.exchanges() != 1 {
					t.Errorf("Success was called %d times, the code sent %d times", s.successes(), x.exchanges())
				}
				if bye := request(http.MethodPost, server.URL+prefix+"/disconnect"); bye.StatusCode != http.StatusSeeOther ||
					bye.Header.Get("Location") != prefix+"/settings" {
					t.Errorf("the disconnection answers %s to %q", bye.Status, bye.Header.Get("Location"))
				}
				if !x.stored(t).Status.Revoked {
					t.Error("the grant has not ended")
				}
			})
		}
	}
}

// Wherever the handlers are mounted, the page of a failure leads to the login that was begun.
func TestStartAgainLeadsToTheLoginWhereverItIs(t *testing.T) {
	t.Parallel()
	for name, mount := range mounts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			flow := x.flow(t)
			s := x.site(flow)
			var prefix string
			s.Handler, prefix = mount(flow.LoginHandler(authflow.LoginOptions{}),
				flow.CallbackHandler(authflow.CallbackOptions{Success: s.succeed}), http.NotFoundHandler())
			p := s.ada()
			p.google.Deny = true
			login := prefix + "/login?return_to=/inbox"
			query := p.consent(t, p.login(t, login))
			w := p.get(t, prefix+"/callback?"+query)
			if told(w) != "Not connected" || leads(w) != login {
				t.Errorf("the person is told %q, which leads to %q", told(w), leads(w))
			}
			p.google.Deny = false
			query = p.consent(t, p.login(t, leads(w)))
			if w := p.get(t, prefix+"/callback?"+query); w.Header().Get("Location") != "/inbox" {
				t.Errorf("then the callback answers %d %q", w.Code, told(w))
			}
		})
	}
}
