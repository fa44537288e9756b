package main

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// An account is a Gmail account that a person connected.
type account struct {
	UserID string // Google's: an e-mail address can change hands
	Email  string
}

// Path is where the account's pages are.
func (a account) Path() string { return "/accounts/" + a.UserID }

// accounts say who connected what. They are the application's own: a grant only says that Google lets the application in, and
// two people who share a mailbox share its grant.
type accounts struct{ db *sql.DB }

var errNotTheirs = errors.New("no such account of this person")

// put notes that a person connected an account, once more perhaps.
func (s accounts) put(ctx context.Context, person string, a account) error {
	_, err := s.db.ExecContext(ctx, `INSERT INTO webapp_accounts (person, user_id, email, added) VALUES ($1, $2, $3, $4)
		ON CONFLICT (person, user_id) DO UPDATE SET email = excluded.email`, person, a.UserID, a.Email, time.Now().Unix())
	return err
}

// get returns an account of a person, or errNotTheirs.
func (s accounts) get(ctx context.Context, person, userID string) (account, error) {
	a := account{UserID: userID}
	err := s.db.QueryRowContext(ctx, `SELECT email FROM webapp_accounts WHERE person = $1 AND user_id = $2`,
		person, userID).Scan(&a.Email)
	if errors.Is(err, sql.ErrNoRows) {
		err = errNotTheirs
	}
	return a, err
}

// of returns a person's accounts, the first that they connected first.
func (s accounts) of(ctx context.Context, person string) ([]account, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT user_id, email FROM webapp_accounts WHERE person = $1 ORDER BY added, email`, person)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []account
	for rows.Next() {
		var a account
		if err := rows.Scan(&a.UserID, &a.Email); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, rows.Err()
}

// remove takes an account off a person's list, and reports whether it is on nobody's any more.
func (s accounts) remove(ctx context.Context, person, userID string) (last bool, err error) {
	_, err = s.db.ExecContext(ctx, `DELETE FROM webapp_accounts WHERE person = $1 AND user_id = $2`, person, userID)
	if err != nil {
		return false, err
	}
	var others int
	err = s.db.QueryRowContext(ctx, `SELECT count(*) FROM webapp_accounts WHERE user_id = $1`, userID).Scan(&others)
	return others == 0, err
}

// endings tell people why a grant ended.
var endings = map[tokenstore.Reason]string{
	tokenstore.ReasonInvalidGrant: "Google no longer accepts the permission. It was taken back in the Google Account, or the password " +
		"was changed, or it was not used for six months.",
	tokenstore.ReasonPolicy:      "Your organization asks for a new sign-in from time to time.",
	tokenstore.ReasonExpired:     "The permission was given for a limited time, which is over.",
	tokenstore.ReasonApplication: "The account was disconnected here.",
	tokenstore.ReasonUser:        "The permission was taken back in the Google Account.",
	tokenstore.ReasonPassword:    "The password of the Google Account was changed, which ends every permission to read mail.",
	tokenstore.ReasonSecurity:    "Google ended the permission to protect the account.",
	tokenstore.ReasonOtherClient: "The permission was given to another application.",
}
