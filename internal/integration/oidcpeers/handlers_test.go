package oidcpeers_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// A site is a web application that mounts the handlers, in front of oidc-provider.
type site struct {
	*app
	provider *provider
	flow     *authflow.Flow
	url      string
	failures chan error // what the person was told of by a page
}

func newSite(t *testing.T) *site {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c := webClient()
	c.RedirectURIs = []string{server.URL + "/callback"}
	s := &site{provider: startProvider(t, c), url: server.URL, failures: make(chan error, 10)}
	s.app = newApp(t, s.provider.issuer)
	s.cfg.RedirectURL = c.RedirectURIs[0]
	s.flow = s.app.flow(t)
	failure := func(w http.ResponseWriter, _ *http.Request, err error) {
		s.failures <- err
		w.WriteHeader(http.StatusForbidden)
	}
	mux.Handle("/login", s.flow.LoginHandler(authflow.LoginOptions{Failure: failure}))
	mux.Handle("/callback", s.flow.CallbackHandler(authflow.CallbackOptions{
		Failure: failure,
		Success: func(w http.ResponseWriter, _ *http.Request, creds *authflow.Credentials) (authflow.SessionRenewal, error) {
			http.SetCookie(w, &http.Cookie{Name: "user", Value: creds.UserID}) // as good as a session, in a test
			return authflow.SessionRenewed, nil
		},
	}))
	user := func(r *http.Request) (string, error) {
		c, err := r.Cookie("user")
		if err != nil {
			return "", err
		}
		return c.Value, nil
	}
	mux.Handle("/disconnect", s.flow.DisconnectHandler(authflow.DisconnectOptions{
		User: user, ReturnTo: "/inbox", Failure: failure,
	}))
	mux.HandleFunc("/inbox", func(w http.ResponseWriter, r *http.Request) {
		id, _ := user(r)
		fmt.Fprintf(w, "the inbox of %q", id)
	})
	return s
}

// checkAt fails the test unless a walk ends at a page that says so.
func (s *site) checkAt(t *testing.T, b *browser, address string, status int, says string) {
	t.Helper()
	end, err := b.walk(t.Context(), address, "")
	if err != nil || end.status != status || !strings.Contains(end.body, says) {
		t.Errorf("the browser ends at %v: %d %q, %v", end.url, end.status, end.body, err)
	}
}

// failure returns what the person was told of last, or nil.
func (s *site) failure() error {
	select {
	case err := <-s.failures:
		return err
	default:
		return nil
	}
}

// callback returns the last one that the browser was sent to.
func (s *site) callback(t *testing.T, b *browser) string {
	t.Helper()
	for _, visited := range slices.Backward(b.history) {
		if visited.Path == "/callback" {
			return visited.String()
		}
	}
	t.Fatal("the browser was at no callback")
	return ""
}

// Where GetCredentials would send the code again, which ends the grant here, the handler remembers.
func TestAReloadedCallbackLeavesTheGrantAlive(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := newBrowser(t, ada)
	s.checkAt(t, b, s.url+"/login?return_to=/inbox", http.StatusOK, adaID)
	callback := s.callback(t, b)
	for range 2 {
		s.checkAt(t, b, callback, http.StatusOK, adaID)
	}
	s.checkAt(t, newBrowser(t, ada), callback, http.StatusForbidden, "")
	refused, ok := errors.AsType[*authflow.CallbackError](s.failure())
	if !ok || refused.Reason != authflow.CallbackForeign {
		t.Errorf("another browser's callback: %v", refused)
	}
	s.provider.checkCalls(t, map[string]int{"authorization_code": 1})

	creds, err := s.flow.GetStoredCredentials(t.Context(), adaID)
	if err != nil {
		t.Fatal(err)
	}
	refresh(t, creds)
	peer{s.app, ada, adaID, adasAccount.Email}.checkConnected(t, s.flow, creds)
}

func TestASignInCanBeDeniedNarrowedAndBegunAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := newBrowser(t, ada)
	b.person.denies = true
	s.checkAt(t, b, s.url+"/login", http.StatusForbidden, "")
	if denied, ok := errors.AsType[*authflow.AuthorizationDeniedError](s.failure()); !ok || !denied.ByUser() {
		t.Errorf("the person's no: %v", denied)
	}
	b.person.denies, b.person.unticks = false, []string{gmailReadonly}
	s.checkAt(t, b, s.url+"/login", http.StatusForbidden, "")
	if missing, ok := errors.AsType[*authflow.MissingScopesError](s.failure()); !ok || missing.UserID != adaID {
		t.Errorf("the unticked scope: %v", missing)
	}
	if _, err := s.flow.GetStoredCredentials(t.Context(), adaID); !errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("something is stored: %v", err)
	}
	b.person.unticks = nil
	s.checkAt(t, b, s.url+"/login?return_to=/inbox", http.StatusOK, adaID)
}

func TestADisconnectedAccountIsDeadAtTheProviderToo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := newBrowser(t, ada)
	for range 2 { // the second time the browser is known at the provider
		s.checkAt(t, b, s.url+"/login?return_to=/inbox", http.StatusOK, adaID)
		grant := s.stored(t, adaID)
		resp, err := b.client.Post(s.url+"/disconnect", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusSeeOther {
			t.Errorf("disconnecting: %s", resp.Status)
		}
		s.checkDead(t, grant.RefreshToken)
		checkUseless(t, s.flow, grant.AccessToken)
		_, err = s.flow.GetStoredCredentials(t.Context(), adaID)
		checkEnded(t, err, tokenstore.ReasonApplication)
	}
}
