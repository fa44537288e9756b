package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// A service mounts authflow's handlers as they are, pages included, on a clock that the test sets.
type service struct {
	url   string
	ahead atomic.Int64 // of the clock, in nanoseconds
	codes func() int   // how often one was exchanged
}

func startService(tb testing.TB) *service {
	tb.Helper()
	s := new(service)
	now := func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }
	google, err := gmailtest.Start(gmailtest.Config{Now: now})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = google.Close() })
	google.AddUser(gmailtest.User{Email: ada})
	s.codes = func() int { return google.Count("token.exchange") }
	provider, err := authflow.Discover(tb.Context(), nil, google.URL)
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := tokenstore.ParseKeyring(tokenstore.GenerateKey())
	if err != nil {
		tb.Fatal(err)
	}
	mux := http.NewServeMux()
	app := httptest.NewServer(mux)
	tb.Cleanup(app.Close)
	s.url = app.URL
	flow, err := authflow.New(authflow.Config{
		ClientID: gmailtest.DefaultClient().ID, ClientSecret: gmailtest.DefaultClient().Secret,
		RedirectURL: app.URL + "/callback", Scopes: []string{"https://www.googleapis.com/auth/gmail.readonly"},
		Provider: provider, AllowPrivateEndpoints: true, Store: tokenstore.NewMemory(), Keys: keys, Now: now,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = flow.Close() })
	mux.Handle("/login", flow.LoginHandler(authflow.LoginOptions{}))
	mux.Handle("/callback", flow.CallbackHandler(authflow.CallbackOptions{
		Success: func(w http.ResponseWriter, _ *http.Request, creds *authflow.Credentials) (authflow.SessionRenewal, error) {
			http.SetCookie(w, &http.Cookie{Name: "who", Value: creds.Email, Path: "/"})
			return authflow.SessionRenewed, nil
		},
	}))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		who := "nobody"
		if c, err := r.Cookie("who"); err == nil {
			who = c.Value
		}
		fmt.Fprintf(w, "<!doctype html><title>service</title><h1>This is %s</h1>", who)
	})
	return s
}

func (s *service) wait(d time.Duration) { s.ahead.Add(int64(d)) }

func TestASignInThatTakesTooLongExpires(t *testing.T) {
	t.Parallel()
	s := startService(t)
	person := newPerson(t)
	person.open(s.url + "/login")
	s.wait(11 * time.Minute)
	checkStatus(t, person.click("Allow"), 400)
	if person.heading() != "That took too long" {
		t.Errorf("an expired sign-in says %q", person.heading())
	}
	person.pictures("authflow-expired")
	if n := s.codes(); n != 0 {
		t.Errorf("the code of an expired sign-in was sent %d times", n)
	}
	person.click("Start again")
	checkStatus(t, person.click("Allow"), 200)
	person.check("This is " + ada)
}

func TestACallbackThatIsReplayedLaterIsRefused(t *testing.T) {
	t.Parallel()
	s := startService(t)
	person := newPerson(t)
	person.open(s.url + "/login")
	person.click("Allow")
	callback := person.lastAsked("/callback?")
	person.open(callback)
	person.check("This is " + ada)
	s.wait(2 * time.Minute)
	checkStatus(t, person.open(callback), 400)
	if person.heading() != "This link was used before" {
		t.Errorf("a replayed callback says %q", person.heading())
	}
	// The consent page of before, from the history, with a state that was used.
	person.open(person.lastAsked("/o/oauth2/v2/auth?"))
	checkStatus(t, person.click("Allow"), 400)
	if n := s.codes(); n != 1 {
		t.Errorf("codes were sent %d times, want once", n)
	}
}

func TestARefusalIsShownAgainAndStartsOver(t *testing.T) {
	t.Parallel()
	s := startService(t)
	person := newPerson(t)
	person.open(s.url + "/login")
	checkStatus(t, person.click("Deny"), 403)
	checkStatus(t, person.open(person.lastAsked("/callback?")), 403)
	person.click("Start again")
	person.click("Allow")
	person.check("This is " + ada)
}
