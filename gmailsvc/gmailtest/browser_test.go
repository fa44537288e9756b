package gmailtest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// webApp is an application that keeps its state in a cookie.
func webApp(t *testing.T, s *gmailtest.Server) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	app := httptest.NewServer(mux)
	t.Cleanup(app.Close)
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "state", Value: "s-1"})
		http.Redirect(w, r, consentURL(s, params{"redirect_uri": app.URL + "/callback", "state": "s-1"}), http.StatusFound)
	})
	mux.HandleFunc("/callback", func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("state"); err != nil || c.Value != r.FormValue("state") {
			http.Error(w, "wrong state", http.StatusForbidden)
			return
		}
		http.Redirect(w, r, "/home?code="+r.FormValue("code")[:2], http.StatusSeeOther)
	})
	mux.HandleFunc("/home", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.FormValue("code")) })
	return app
}

func TestBrowserWalksThroughTheApplicationWithItsCookies(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func() *gmailtest.Server{
		"in process":    func() *gmailtest.Server { return newServer(t, gmailtest.Config{}) },
		"over a socket": func() *gmailtest.Server { return start(t, gmailtest.Config{}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open()
			s.AddUser(gmailtest.User{Email: ada})
			app := webApp(t, s)
			b := &gmailtest.Browser{Server: s, User: ada, Client: app.Client()}
			to, err := b.Visit(t.Context(), app.URL+"/login")
			if err != nil || !strings.HasPrefix(to.String(), app.URL+"/callback?") || to.Query().Get("state") != "s-1" {
				t.Errorf("Visit = %v, %v", to, err)
			}
			res, err := b.Follow(t.Context(), app.URL+"/login")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != http.StatusOK || string(body) != "4/" || res.Request.URL.Path != "/home" {
				t.Errorf("Follow ended at %s with %s %q, %v", res.Request.URL, res.Status, body, err)
			}
			stranger := &gmailtest.Browser{Server: s, User: ada}
			res, err = stranger.Follow(t.Context(), consentURL(s, params{"redirect_uri": app.URL + "/callback", "state": "s-1"}))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != http.StatusForbidden {
				t.Errorf("a browser without the cookie got %s", res.Status)
			}
		})
	}
}

func TestBrowserSaysWhyItIsStuck(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	s.AddUser(gmailtest.User{Email: ada})
	s.AddUser(gmailtest.User{Email: "grace@example.com"})
	app := webApp(t, s)
	round := httptest.NewServer(http.RedirectHandler("/", http.StatusFound))
	t.Cleanup(round.Close)
	for name, tc := range map[string]struct {
		browser   *gmailtest.Browser
		url, want string
	}{
		"without a server":          {&gmailtest.Browser{}, consentURL(s, nil), "Browser.Server is nil"},
		"without a user to choose":  {&gmailtest.Browser{Server: s}, consentURL(s, nil), "set Browser.User"},
		"with a user that is not":   {&gmailtest.Browser{Server: s, User: "x@example.com"}, consentURL(s, nil), "add it with AddUser"},
		"at a page of the app":      {&gmailtest.Browser{Server: s}, app.URL + "/home", "sent nobody back"},
		"at an error of the server": {&gmailtest.Browser{Server: s}, s.AuthURL(), "Error 400: invalid_request: Missing required parameter: client_id"},
		"at no URL":                 {&gmailtest.Browser{Server: s}, ":", "missing protocol scheme"},
		"going round":               {&gmailtest.Browser{Server: s}, round.URL, "gave up after 20"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if to, err := tc.browser.Visit(t.Context(), tc.url); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Visit = %v, %v; want an error that says %q", to, err, tc.want)
			}
		})
	}
}
