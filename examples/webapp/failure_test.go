package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/googleapi"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

func TestEveryErrorSaysWhatToDo(t *testing.T) {
	t.Parallel()
	const page = "/accounts/12?q=a"
	gmail := func(code int) *googleapi.Error { return &googleapi.Error{Code: code, Message: "internal"} }
	for name, c := range map[string]struct {
		err       error
		status    int
		title, do string
	}{
		"the person said no":              {&authflow.AuthorizationDeniedError{Code: "access_denied", AuthorizationURL: "/login?account=12"}, 403, "Not connected", "/login?account=12"},
		"a policy said no":                {&authflow.AuthorizationDeniedError{Code: "admin_policy_enforced"}, 403, "Google did not allow this", "/"},
		"a scope is missing":              {&authflow.MissingScopesError{Email: ada, AuthorizationURL: "/login?return_to=%2F"}, 403, "A permission is missing", "/login?consent=again&return_to=%2F"},
		"another account":                 {&authflow.AccountMismatchError{WantUserID: "12"}, 403, "That was another account", "/login?account=12"},
		"a scope is missing, repeated":    {&authflow.CallbackError{Reason: authflow.CallbackRepeated, Err: &authflow.MissingScopesError{Email: ada, AuthorizationURL: "/login"}}, 403, "A permission is missing", "/login?consent=again"},
		"no refresh token":                {&authflow.NoRefreshTokenError{Err: tokenstore.ErrNotFound}, 502, "Google did not answer as it should", "/login"},
		"somebody else":                   {errSomebodyElse, 409, "Somebody else has signed in", "/"},
		"an expired sign-in":              {&authflow.CallbackError{Reason: authflow.CallbackExpired}, 400, "That took too long", "/login"},
		"a used callback":                 {&authflow.CallbackError{Reason: authflow.CallbackUsed}, 400, "This link was used before", "/login"},
		"a foreign callback":              {&authflow.CallbackError{Reason: authflow.CallbackForeign}, 400, "This was not started in this browser", "/login"},
		"a forged callback":               {&authflow.CallbackError{Reason: authflow.CallbackForged}, 400, "This was not started in this browser", "/login"},
		"a failed callback, repeated":     {&authflow.CallbackError{Reason: authflow.CallbackRepeated}, 400, "Not connected", "/login"},
		"a malformed callback":            {&authflow.CallbackError{Reason: authflow.CallbackMalformed}, 400, "This link is damaged", "/login"},
		"no exchange":                     {&authflow.CodeExchangeError{Err: errors.New("internal")}, 502, "Google did not answer as it should", "/login"},
		"an ended grant":                  {&authflow.ReauthorizationRequiredError{UserID: "12", Email: ada, Reason: tokenstore.ReasonExpired}, 403, "The permission for ada@example.com has ended", "/login?account=12&return_to=%2Faccounts%2F12%3Fq%3Da"},
		"no grant":                        {tokenstore.ErrNotFound, 403, "This account is not connected", "/login?account=12&return_to=%2Faccounts%2F12%3Fq%3Da"},
		"a grant under another key":       {&tokenstore.UnsealError{}, 500, "The permission can't be opened", "/"},
		"no refresh for now":              {&authflow.RefreshError{Err: errors.New("internal")}, 503, "Google does not answer at the moment", page},
		"Gmail refuses a fresh token":     {&gmailsvc.UnauthorizedError{Err: gmail(401)}, 502, "Gmail does not let us in", "/"},
		"Gmail is slow":                   {context.DeadlineExceeded, 504, "Gmail took too long", page},
		"too fast":                        {&gmailsvc.RateLimitError{Err: gmail(429)}, 503, "Gmail asks us to slow down", page},
		"a token without the scope":       {&gmailsvc.InsufficientScopeError{Err: gmail(403)}, 403, "A permission is missing", "/login?account=12&return_to=%2Faccounts%2F12%3Fq%3Da"},
		"a message that was deleted":      {&gmailsvc.NotFoundError{Err: gmail(404)}, 404, "This message is gone", "/accounts/12"},
		"an address that was changed":     {gmail(400), 400, "Gmail does not understand this", "/accounts/12"},
		"Gmail is down":                   {gmail(500), 503, "Gmail does not answer as it should", page},
		"another person's account":        {errNotTheirs, 404, "There is no such page", "/"},
		"a request of another site":       {errCrossSite, 403, "This came from another site", "/"},
		"something that nobody foresees":  {errors.New("internal"), 500, "Something went wrong here", page},
		"an ended grant, out of a call":   {fmt.Errorf("call: %w", &authflow.ReauthorizationRequiredError{UserID: "12", Email: ada, Reason: tokenstore.ReasonUser}), 403, "The permission for ada@example.com has ended", "/login?account=12&return_to=%2Faccounts%2F12%3Fq%3Da"},
		"the application is set up badly": {&authflow.AuthorizationDeniedError{Code: "invalid_scope"}, 403, "Google did not allow this", "/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, page, nil)
			r.SetPathValue("account", "12")
			got := problemOf(r, c.err)
			if got.status != c.status || got.Title != c.title || got.Href != c.do || got.Text == "" || got.Do == "" {
				t.Errorf("got %+v, want %d, %q and a button to %s", got, c.status, c.title, c.do)
			}
			if strings.Contains(got.Title+got.Text, "internal") {
				t.Errorf("the page shows the error: %+v", got)
			}
		})
	}
}

func TestAFailureIsAPageAndIsLogged(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	at := s.account(t, ada)
	p.get(at+"/messages/1a2b3c4d5e6f7081").check(t, http.StatusNotFound, "This message is gone", "To the inbox", ada)

	remove := s.madeUp.Inject(gmailtest.RateLimited("gmail.users.messages.list", time.Time{}))
	got := p.get(at)
	got.check(t, http.StatusServiceUnavailable, "Gmail asks us to slow down", "Try again")
	if got.Header.Get("Retry-After") == "" {
		t.Error("the answer does not say when to come again")
	}
	if log := s.log.String(); !strings.Contains(log, "request failed") || !strings.Contains(log, "path="+at) {
		t.Errorf("the log says nothing of it:\n%s", log)
	}
	remove()
	p.get(at).check(t, http.StatusOK, "Inbox")
}

func TestAnOutageOfTheTokenEndpointIsNoEndOfTheGrant(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	s.madeUp.ExpireAccessTokens(ada)
	remove := s.madeUp.Inject(gmailtest.Fault{Op: "token.refresh", Status: http.StatusServiceUnavailable})
	p.get(s.account(t, ada)).check(t, http.StatusServiceUnavailable, "Google does not answer at the moment", "Try again")
	p.get("/").check(t, http.StatusOK, "Connected", "Google did not answer when the permission was last refreshed")
	remove()
}

func TestAPageThatCanNotBeMadeIsTextAtLeast(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	if _, err := s.store.db.ExecContext(t.Context(), `DROP TABLE webapp_accounts`); err != nil {
		t.Fatal(err)
	}
	p.get("/").check(t, http.StatusInternalServerError, "Something went wrong here", "Please try again")
	if log := s.log.String(); !strings.Contains(log, "webapp_accounts") {
		t.Errorf("the log does not say why:\n%s", log)
	}
}
