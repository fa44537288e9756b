package main

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
)

// What a session holds.
const (
	sessionPerson = "person" // who is signed in
	sessionNotice = "notice" // what the next page says once
)

// newSessions returns the sessions in db. Their cookie is for this host alone, and over TLS only if the application is.
func newSessions(db *sql.DB, secure bool, log *slog.Logger) *scs.SessionManager {
	m := scs.New()
	m.Store = &sessionStore{db}
	m.HashTokenInStore = true // who reads the database has nobody's session
	m.Lifetime = 14 * 24 * time.Hour
	m.Cookie.Name = "mailroom"
	if secure {
		m.Cookie.Name, m.Cookie.Secure = "__Host-mailroom", true
	}
	m.ErrorFunc = func(w http.ResponseWriter, r *http.Request, err error) {
		log.ErrorContext(r.Context(), "no session", "error", err)
		http.Error(w, "Something went wrong here. Please try again in a moment.", http.StatusServiceUnavailable)
	}
	return m
}

// person returns who is signed in, or "".
func (a *app) person(r *http.Request) string {
	return a.sessions.GetString(r.Context(), sessionPerson)
}

// signOut ends the session. The grants stay: mail can be read with nobody present.
func (a *app) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := a.sessions.Destroy(r.Context()); err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// A sessionStore is an scs.CtxStore in a table. A session that has ended leaves its token behind: a request that read it before
// and ends later must not bring it back.
type sessionStore struct{ db *sql.DB }

// FindCtx implements scs.CtxStore.
func (s *sessionStore) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT data FROM webapp_sessions WHERE token = $1 AND ended = 0 AND expires > $2`,
		token, time.Now().Unix()).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	return data, err == nil, err
}

// CommitCtx implements scs.CtxStore.
func (s *sessionStore) CommitCtx(ctx context.Context, token string, data []byte, expires time.Time) error {
	_, err := s.db.ExecContext(ctx, `INSERT INTO webapp_sessions (token, data, expires, ended) VALUES ($1, $2, $3, 0)
		ON CONFLICT (token) DO UPDATE SET data = excluded.data, expires = excluded.expires`, token, data, expires.Unix())
	return err
}

// DeleteCtx implements scs.CtxStore.
func (s *sessionStore) DeleteCtx(ctx context.Context, token string) error {
	_, err := s.db.ExecContext(ctx, `UPDATE webapp_sessions SET data = $2, ended = 1 WHERE token = $1`, token, []byte{})
	return err
}

// clean deletes the sessions that are over.
func (s *sessionStore) clean(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, `DELETE FROM webapp_sessions WHERE expires <= $1`, time.Now().Unix())
	return err
}

// Find implements scs.Store, which scs asks for and does not use where there is an scs.CtxStore.
func (s *sessionStore) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit implements scs.Store.
func (s *sessionStore) Commit(token string, data []byte, expires time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expires)
}

// Delete implements scs.Store.
func (s *sessionStore) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }
