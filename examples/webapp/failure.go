package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"google.golang.org/api/googleapi"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// What handlers answer beside the errors of the packages that they call.
var (
	errNoPage    = errors.New("no such page")
	errCrossSite = errors.New("another site sent the request")
)

// A problem is what a person is told: what happened, and what they can do.
type problem struct {
	status      int
	Title, Text string
	Do, Href    string // the button
}

// fail answers with the page of err. It shows nothing of err itself.
func (a *app) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(r, err)
	if p.status >= http.StatusInternalServerError {
		a.log.WarnContext(r.Context(), "request failed", "path", r.URL.Path, "error", err)
	}
	if p.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "30")
	}
	// The database may be what is in trouble, or the request's time over.
	r = r.WithContext(context.WithoutCancel(r.Context()))
	if err := a.show(w, r, p.status, "problem", view{Title: p.Title, Here: r.PathValue("account"), Main: p}); err != nil {
		a.log.ErrorContext(r.Context(), "no page", "path", r.URL.Path, "error", err)
		http.Error(w, p.Title+"\n\n"+p.Text, p.status)
	}
}

// problemOf finds out what err means to a person.
func problemOf(r *http.Request, err error) problem {
	if p, ok := signInProblem(err); ok {
		return p
	}
	if p, ok := grantProblem(r, err); ok {
		return p
	}
	if p, ok := gmailProblem(r, err); ok {
		return p
	}
	switch {
	case errors.Is(err, errNoPage), errors.Is(err, errNotTheirs):
		return problem{http.StatusNotFound, "There is no such page", "It may have moved, or belong to another account.",
			"To your accounts", "/"}
	case errors.Is(err, errCrossSite):
		return problem{http.StatusForbidden, "This came from another site", "Another site made your browser send this. Nothing was changed.",
			"To your accounts", "/"}
	}
	return problem{http.StatusInternalServerError, "Something went wrong here", "That is not your fault. Please try again in a moment.",
		"Try again", again(r)}
}

// signInProblem is about people who come back from Google without a grant. The AuthorizationURL of these errors is our own: the
// address at which the sign-in began.
func signInProblem(err error) (problem, bool) {
	if e, ok := errors.AsType[*authflow.AuthorizationDeniedError](err); ok {
		if e.ByUser() {
			return problem{http.StatusForbidden, "Not connected", "You chose not to give access. Nothing was stored, and you can change " +
				"your mind at any time.", "Try again", e.AuthorizationURL}, true
		}
		return problem{http.StatusForbidden, "Google did not allow this", "A policy of your organization may keep this application from " +
			"your account, or the application is not set up as it should. An administrator can tell.", "Back", "/"}, true
	}
	if e, ok := errors.AsType[*authflow.MissingScopesError](err); ok {
		return problem{http.StatusForbidden, "A permission is missing", "Without the permission to read mail there is nothing to show of " +
			e.Email + ". Nothing was stored. Try again, and leave the box ticked: mail is read only, never sent or changed.",
			"Try again", askingForConsent(e.AuthorizationURL)}, true
	}
	if e, ok := errors.AsType[*authflow.AccountMismatchError](err); ok {
		return problem{http.StatusForbidden, "That was another account", "You chose " + e.Email + ", which is not the account to be " +
			"reconnected. Nothing was changed. Try again, and choose the other one.", "Try again", reconnect(e.WantUserID, "")}, true
	}
	if e, ok := errors.AsType[*authflow.CallbackError](err); ok {
		return callbackProblem(e.Reason), true
	}
	if errors.As(err, new(*authflow.CodeExchangeError)) || errors.As(err, new(*authflow.NoUserIDError)) ||
		errors.As(err, new(*authflow.NoRefreshTokenError)) {
		return problem{http.StatusBadGateway, "Google did not answer as it should", "The account could not be connected for now. Please " +
			"try again in a moment.", "Try again", "/login"}, true
	}
	if errors.Is(err, errSomebodyElse) {
		return problem{http.StatusConflict, "Somebody else has signed in", "Since you began to connect an account, somebody else has signed in " +
			"in this browser, or you have signed out. The account was not connected. Please start again.", "Start again", "/"}, true
	}
	return problem{}, false
}

func callbackProblem(reason authflow.CallbackReason) problem {
	p := problem{http.StatusBadRequest, "This link is damaged", "The address that you came here by is not one that Google makes. " +
		"Nothing was stored.", "Start again", "/login"}
	switch reason {
	case authflow.CallbackExpired:
		p.Title, p.Text = "That took too long", "For your safety a connection has to be finished within 10 minutes. Nothing was stored."
	case authflow.CallbackUsed:
		p.Title, p.Text = "This link was used before", "It works only once, and it has been used. If your account is not on your list, start again."
	case authflow.CallbackForeign, authflow.CallbackForged:
		p.Title, p.Text = "This was not started in this browser", "A connection has to be finished in the browser in which it was started, "+
			"with cookies switched on. Nothing was stored."
	case authflow.CallbackRepeated:
		p.Title, p.Text = "Not connected", "That did not work a moment ago, and loading the page again does not change it. Please start again."
	}
	return p
}

// grantProblem is about grants that no longer serve.
func grantProblem(r *http.Request, err error) (problem, bool) {
	if e, ok := errors.AsType[*authflow.ReauthorizationRequiredError](err); ok {
		return problem{http.StatusForbidden, "The permission for " + e.Email + " has ended", endings[e.Reason] +
			" Reconnect the account to read its mail again.", "Reconnect", reconnect(e.UserID, again(r))}, true
	}
	userID := r.PathValue("account")
	switch {
	case errors.Is(err, tokenstore.ErrNotFound):
		return problem{http.StatusForbidden, "This account is not connected", "Nothing is stored that would let its mail be read.",
			"Reconnect", reconnect(userID, again(r))}, true
	case errors.As(err, new(*tokenstore.UnsealError)):
		return problem{http.StatusInternalServerError, "The permission can't be opened", "It was sealed with a key that the application does " +
			"not have now. If nobody finds the key, remove the account from your list and connect it again.", "To your accounts", "/"}, true
	case errors.As(err, new(*authflow.RefreshError)):
		return problem{http.StatusServiceUnavailable, "Google does not answer at the moment", "Your account is still connected. " +
			"Please try again in a moment.", "Try again", again(r)}, true
	}
	return problem{}, false
}

// gmailProblem is about Gmail's own answers.
func gmailProblem(r *http.Request, err error) (problem, bool) {
	userID := r.PathValue("account")
	inbox := account{UserID: userID}.Path()
	switch {
	case errors.As(err, new(*gmailsvc.UnauthorizedError)):
		return problem{http.StatusBadGateway, "Gmail does not let us in", "The permission is alive, but Gmail refuses it. Gmail may be " +
			"switched off for this account.", "To your accounts", "/"}, true
	case errors.As(err, new(*gmailsvc.RateLimitError)):
		return problem{http.StatusServiceUnavailable, "Gmail asks us to slow down", "Too much was asked of this account in a short time. " +
			"Please try again in a minute.", "Try again", again(r)}, true
	case errors.As(err, new(*gmailsvc.InsufficientScopeError)):
		return problem{http.StatusForbidden, "A permission is missing", "This account was connected without the permission to read mail. " +
			"Reconnect it, and leave the box ticked.", "Reconnect", reconnect(userID, again(r))}, true
	case errors.As(err, new(*gmailsvc.NotFoundError)):
		return problem{http.StatusNotFound, "This message is gone", "It was deleted, or it never was in this account.",
			"To the inbox", inbox}, true
	case errors.Is(err, context.DeadlineExceeded):
		return problem{http.StatusGatewayTimeout, "Gmail took too long", "Please try again in a moment.", "Try again", again(r)}, true
	}
	e, ok := errors.AsType[*googleapi.Error](err)
	switch {
	case !ok:
		return problem{}, false
	case e.Code == http.StatusBadRequest:
		return problem{http.StatusBadRequest, "Gmail does not understand this", "The address of this page may be damaged.",
			"To the inbox", inbox}, true
	}
	return problem{http.StatusServiceUnavailable, "Gmail does not answer as it should", "Please try again in a moment.",
		"Try again", again(r)}, true
}

// askingForConsent makes the address of a sign-in one that asks for consent though some was given before.
func askingForConsent(login string) string {
	u, err := url.Parse(login)
	if err != nil {
		return "/login"
	}
	query := u.Query()
	query.Set("consent", "again")
	u.RawQuery = query.Encode()
	return u.String()
}

// again is where the person tries once more what they did: the page itself, or where the page is that they pressed a button on.
func again(r *http.Request) string {
	if r.Method == http.MethodGet {
		return r.URL.RequestURI()
	}
	return "/"
}

// reconnect is where an account is connected anew.
func reconnect(userID, returnTo string) string {
	query := url.Values{"account": {userID}}
	if returnTo != "" {
		query.Set("return_to", returnTo)
	}
	return "/login?" + query.Encode()
}
