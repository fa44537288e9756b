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

// A mount is a way to mount handlers, under a prefix.
type mount struct {
	prefix string
	mount  func(login, callback, disconnect http.Handler) http.Handler
}

func mounts() map[string]mount {
	flat := func(login, callback, disconnect http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/login", login)
		mux.Handle("/callback", callback)
		mux.Handle("/disconnect", disconnect)
		return mux
	}
	return map[string]mount{
		"at the root": {"", flat},
		"behind StripPrefix": {"/mail/accounts", func(login, callback, disconnect http.Handler) http.Handler {
			return http.StripPrefix("/mail/accounts", flat(login, callback, disconnect))
		}},
		"behind patterns with methods and wildcards": {"/acme", func(login, callback, disconnect http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("GET /{tenant}/login", login)
			mux.Handle("GET /{tenant}/callback", callback)
			mux.Handle("POST /{tenant}/disconnect", disconnect)
			return mux
		}},
		"behind a router that keeps the path as it is": {"/any/where", func(login, callback, disconnect http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/login"):
					login.ServeHTTP(w, r)
				case strings.HasSuffix(r.URL.Path, "/callback"):
					callback.ServeHTTP(w, r)
				default:
					disconnect.ServeHTTP(w, r)
				}
			})
		}},
	}
}

// Over a socket, with net/http's own cookie jar, in plain HTTP on localhost and over TLS.
func TestTheHandlersBehindARealServer(t *testing.T) {
	t.Parallel()
	for name, m := range mounts() {
		for scheme, start := range map[string]func(http.Handler) *httptest.Server{
			"http": httptest.NewServer, "https": httptest.NewTLSServer,
		} {
			t.Run(name+", by "+scheme, func(t *testing.T) {
				t.Parallel()
				x := newFixture(t, gmailtest.Config{})
				var app http.Handler
				server := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { app.ServeHTTP(w, r) }))
				defer server.Close()
				flow := x.flow(t, func(cfg *authflow.Config) { cfg.RedirectURL = server.URL + m.prefix + "/callback" })
				s := x.site(flow)
				app = m.mount(flow.LoginHandler(authflow.LoginOptions{}),
					flow.CallbackHandler(authflow.CallbackOptions{Success: s.succeed, LoginPath: m.prefix + "/login"}),
					flow.DisconnectHandler(authflow.DisconnectOptions{
						User:     func(*http.Request) (string, error) { return adaID, nil },
						ReturnTo: m.prefix + "/settings",
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

				login := request(http.MethodGet, server.URL+m.prefix+"/login?return_to="+url.QueryEscape("/inbox?page=2"))
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
				if bye := request(http.MethodPost, server.URL+m.prefix+"/disconnect"); bye.StatusCode != http.StatusSeeOther ||
					bye.Header.Get("Location") != m.prefix+"/settings" {
					t.Errorf("the disconnection answers %s to %q", bye.Status, bye.Header.Get("Location"))
				}
				if !x.stored(t).Status.Revoked {
					t.Error("the grant has not ended")
				}
			})
		}
	}
}
