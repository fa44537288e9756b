package main

import (
	"context"
	"fmt"
	"net/http"
)

// toDisconnect says whose grant ends. The account stays on the person's list, as disconnected, until it is removed.
func (a *app) toDisconnect(r *http.Request) (userID string, err error) {
	acct, err := a.accounts.get(r.Context(), a.person(r), r.PathValue("account"))
	return acct.UserID, err
}

// remove takes an account off the person's list, and ends its grant if nobody else has it on theirs.
func (a *app) remove(w http.ResponseWriter, r *http.Request, acct account) error {
	if err := a.drop(r.Context(), a.person(r), acct.UserID); err != nil {
		return err
	}
	a.sessions.Put(r.Context(), sessionNotice, acct.Email+" is removed.")
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func (a *app) drop(ctx context.Context, person, userID string) error {
	last, err := a.accounts.remove(ctx, person, userID)
	if err != nil || !last {
		return err
	}
	// Whatever keeps Google from being told: nothing of it stays here.
	if err := a.flow.Revoke(ctx, userID); err != nil {
		a.log.InfoContext(ctx, "not revoked", "user", userID, "error", err)
	}
	return a.flow.Forget(ctx, userID)
}

// takeBack does what people do in their Google Account, where the Google in process has no page for it: it ends the grant behind
// the application's back, which finds out when it next asks for mail.
func (a *app) takeBack(w http.ResponseWriter, r *http.Request, acct account) error {
	a.madeUp.Revoke(acct.Email)
	a.sessions.Put(r.Context(), sessionNotice, fmt.Sprintf(
		"The made-up Google has taken back its permission for %s. Open the inbox to see how that is noticed.", acct.Email))
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}
