package main

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"google.golang.org/api/gmail/v1"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// A standing is an account and the state of its grant.
type standing struct {
	account
	State       string // "live", "ended", "missing", "sealed"
	Ending      string // why it ended
	EndedAt     time.Time
	Scopes      []scope
	Consented   time.Time
	LastRefresh time.Time
	ValidUntil  time.Time // of a grant that is limited in time
	Trouble     bool      // the last refresh failed
}

// A scope is what a grant permits, as Google names it and as people do.
type scope struct{ Name, Meaning string }

var scopeMeanings = map[string]string{
	"openid":                 "Know who you are",
	"email":                  "Know the e-mail address",
	"userinfo.email":         "Know the e-mail address",
	"userinfo.profile":       "Know your name",
	gmail.GmailReadonlyScope: "Read mail, and change nothing",
	gmail.GmailModifyScope:   "Read, label and send mail",
	gmail.MailGoogleComScope: "Do everything with mail",
}

// home is the list of a person's accounts, or the welcome of whoever is not signed in.
func (a *app) home(w http.ResponseWriter, r *http.Request) error {
	person := a.person(r)
	if person == "" {
		login := struct{ ReturnTo string }{r.FormValue("return_to")}
		return a.show(w, r, http.StatusOK, "welcome", view{Title: "Welcome", Main: login})
	}
	mine, err := a.accounts.of(r.Context(), person)
	if err != nil {
		return err
	}
	all := make([]standing, len(mine))
	for i, acct := range mine {
		grant, err := a.grants.Get(r.Context(), acct.UserID)
		if all[i], err = standingOf(acct, grant, err); err != nil {
			return err
		}
	}
	return a.show(w, r, http.StatusOK, "accounts", view{Title: "Accounts", Main: all})
}

// standingOf reads what became of a grant off its record.
func standingOf(acct account, grant *tokenstore.Grant, err error) (standing, error) {
	s := standing{account: acct, State: "live"}
	switch {
	case errors.Is(err, tokenstore.ErrNotFound):
		s.State = "missing"
		return s, nil
	case errors.As(err, new(*tokenstore.UnsealError)):
		s.State = "sealed"
		return s, nil
	case err != nil:
		return s, err
	case grant.Status.Revoked:
		s.State, s.EndedAt, s.Ending = "ended", grant.Status.At, endings[grant.Status.Reason]
	}
	for _, name := range grant.Scopes {
		short := strings.TrimPrefix(name, "https://www.googleapis.com/auth/")
		meaning := scopeMeanings[name]
		if meaning == "" {
			meaning = scopeMeanings[short]
		}
		s.Scopes = append(s.Scopes, scope{short, meaning})
	}
	s.Consented, s.LastRefresh, s.ValidUntil = grant.CreatedAt, grant.LastRefresh, grant.RefreshTokenExpiry
	s.Trouble = grant.LastError != ""
	return s, nil
}
