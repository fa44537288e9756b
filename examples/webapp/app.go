package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// callbackPath is where Google sends people back to, unless the client secrets name another path.
const callbackPath = "/callback"

// An app is the application: what its handlers share.
type app struct {
	origin   string // as browsers know it
	callback string // path
	flow     *authflow.Flow
	grants   *tokenstore.Grants
	gmail    *gmailsvc.Builder
	accounts accounts
	sessions *scs.SessionManager
	store    *sessionStore
	views    views
	log      *slog.Logger
	madeUp   *gmailtest.Server // nil with the real Google
}

func newApp(google *google, db *database, keys *tokenstore.Keyring, log *slog.Logger) (*app, error) {
	at, err := url.Parse(google.config.RedirectURL)
	if err != nil {
		return nil, err
	}
	views, err := parseViews()
	if err != nil {
		return nil, err
	}
	grants, err := tokenstore.NewGrants(db.grants, keys)
	if err != nil {
		return nil, err
	}
	cfg := google.config
	cfg.Store, cfg.Keys, cfg.Logger = db.grants, keys, log
	flow, err := authflow.New(cfg)
	if err != nil {
		return nil, err
	}
	return &app{
		origin:   at.Scheme + "://" + at.Host,
		callback: at.Path,
		flow:     flow,
		grants:   grants,
		gmail:    gmailsvc.New(google.service),
		accounts: accounts{db.DB},
		sessions: newSessions(db.DB, at.Scheme == "https", log),
		store:    &sessionStore{db.DB},
		views:    views,
		log:      log,
		madeUp:   google.madeUp,
	}, nil
}

func (a *app) close() { _ = a.flow.Close() }

// serve answers at ln until ctx ends, and then lets those finish whom it is answering.
func (a *app) serve(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler:           a.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      90 * time.Second, // a sign-in may take a minute; attachments set their own
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelWarn),
	}
	cared := make(chan struct{})
	ctx, stop := context.WithCancel(ctx)
	go func() {
		defer close(cared)
		a.care(ctx)
	}()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = srv.Shutdown(last)
	}
	stop()
	<-cared
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
