package oidcpeers_test

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/sqlstore"
)

// A team is what the goroutines of a process share. Each of them joins a round, and later asks for a token.
type (
	team interface {
		round(context.Context, order) (join, error)
	}
	join func(context.Context) (ask, error)
	ask  func() (*oauth2.Token, error)
)

func (d duty) team(ctx context.Context) (team, error) {
	found, err := authflow.Discover(ctx, nil, d.Issuer)
	if err != nil {
		return nil, err
	}
	if d.RefreshToken != "" {
		return &plainTeam{refreshToken: d.RefreshToken, cfg: oauth2.Config{
			ClientID: clientID, ClientSecret: clientSecret,
			Endpoint: oauth2.Endpoint{TokenURL: found.TokenURL, AuthStyle: found.AuthStyle},
		}}, nil
	}
	keys, err := tokenstore.ParseKeyring(d.Keys)
	if err != nil {
		return nil, err
	}
	store, err := openStore(ctx, d.DSN)
	if err != nil {
		return nil, err
	}
	t := &mailgrantTeam{userID: d.UserID, cfg: authflow.Config{
		ClientID: clientID, ClientSecret: clientSecret,
		RedirectURL: redirectURL, Scopes: []string{gmailReadonly, "offline_access"},
		Provider: found, AllowPrivateEndpoints: true,
		Store: store, Keys: keys,
	}}
	return t, t.start(0)
}

// openStore opens mailgrant's store in PostgreSQL, as each process of a service does when it starts. It ends with that.
func openStore(ctx context.Context, dsn string) (*sqlstore.Store, error) {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	store, err := sqlstore.New(db, sqlstore.Config{Dialect: sqlstore.PostgreSQL})
	if err != nil {
		return nil, err
	}
	return store, store.Migrate(ctx)
}

// A mailgrantTeam has a Flow over the store that all processes share.
type mailgrantTeam struct {
	userID string
	cfg    authflow.Config
	flow   *authflow.Flow
	clock  time.Duration
}

// start opens the Flow, as at a time that has advanced so far.
func (t *mailgrantTeam) start(clock time.Duration) error {
	cfg := t.cfg
	cfg.Now = func() time.Time { return time.Now().Add(clock) }
	flow, err := authflow.New(cfg)
	t.flow, t.clock = flow, clock
	return err
}

func (t *mailgrantTeam) round(_ context.Context, o order) (join, error) {
	if o.Clock != t.clock { // a Flow would hold on to the token that it has: lifetimes go by the monotonic clock
		_ = t.flow.Close()
		if err := t.start(o.Clock); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context) (ask, error) {
		creds, err := t.flow.GetStoredCredentials(ctx, t.userID)
		return func() (*oauth2.Token, error) {
			if o.Rejected != "" {
				return creds.Refresh(ctx, o.Rejected)
			}
			return creds.TokenContext(ctx)
		}, err
	}, nil
}

// A plainTeam has a TokenSource of x/oauth2, and for the next round keeps the refresh token that came out of it.
type plainTeam struct {
	cfg oauth2.Config

	mu           sync.Mutex
	refreshToken string
}

func (t *plainTeam) round(ctx context.Context, _ order) (join, error) {
	source := t.cfg.TokenSource(ctx, &oauth2.Token{RefreshToken: t.refreshToken}) // one for all goroutines, safe for that
	return func(context.Context) (ask, error) {
		return func() (*oauth2.Token, error) {
			token, err := source.Token()
			if err == nil {
				t.mu.Lock()
				defer t.mu.Unlock()
				t.refreshToken = token.RefreshToken
			}
			return token, err
		}, nil
	}, nil
}
