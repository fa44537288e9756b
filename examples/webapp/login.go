package main

import (
	"errors"
	"net/http"

	"github.com/mailgrant/mailgrant/authflow"
)

// beginLogin says what /login asks for: signing in, connecting one more account, or with the parameter account reconnecting
// that one.
func (a *app) beginLogin(r *http.Request) (authflow.Login, error) {
	person, userID := a.person(r), r.FormValue("account")
	login := authflow.Login{Note: person}
	switch {
	case person != "" && userID != "":
		acct, err := a.accounts.get(r.Context(), person, userID)
		login.UserID, login.EmailAddress = acct.UserID, acct.Email
		return login, err
	case person != "" || r.FormValue("consent") != "":
		login.Options = []authflow.AuthOption{authflow.WithPrompt("select_account consent")}
	default:
		// Most who sign in have been here before: there is a grant, and nothing to consent to.
		login.Options = []authflow.AuthOption{authflow.WithPrompt("select_account")}
	}
	return login, nil
}

var errSomebodyElse = errors.New("somebody else has signed in since")

// connected is called when a person comes back with a grant. Whoever is not signed in is now, as the owner of that account.
func (a *app) connected(_ http.ResponseWriter, r *http.Request, creds *authflow.Credentials) (authflow.SessionRenewal, error) {
	ctx, person := r.Context(), a.person(r)
	if began := authflow.LoginNote(ctx); began != "" && began != person {
		return 0, errors.Join(errSomebodyElse, a.drop(ctx, "", creds.UserID)) // or it would be on nobody's list
	}
	if person == "" {
		person = creds.UserID
	}
	if err := a.accounts.put(ctx, person, account{creds.UserID, creds.Email}); err != nil {
		return 0, err
	}
	if err := a.sessions.RenewToken(ctx); err != nil {
		return 0, err
	}
	a.sessions.Put(ctx, sessionPerson, person)
	a.sessions.Put(ctx, sessionNotice, creds.Email+" is connected.")
	return authflow.SessionRenewed, nil
}
