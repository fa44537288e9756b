package authflow_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// A diary is an Observer that keeps what it is told.
type diary struct {
	mu     sync.Mutex
	events []authflow.Event
}

func (d *diary) observe(e authflow.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
}

// kinds returns what happened, and with a colon after it why.
func (d *diary) kinds() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var kinds []string
	for _, e := range d.events {
		kind := string(e.Kind)
		if e.Reason != "" {
			kind += ":" + string(e.Reason)
		}
		kinds = append(kinds, kind)
	}
	return kinds
}

func TestAnObserverIsToldEachGrantsLife(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  gmailtest.Config
		live func(t *testing.T, x *fixture, flow *authflow.Flow, creds *authflow.Credentials)
		want string // after consented
	}{
		"used for two hours": {live: func(t *testing.T, _ *fixture, _ *authflow.Flow, creds *authflow.Credentials) {
			for range 2 {
				pass(time.Hour)
				token(t, creds)
			}
		}, want: "refreshed refreshed"},
		"consented to again": {live: func(t *testing.T, x *fixture, flow *authflow.Flow, _ *authflow.Credentials) {
			x.connect(t, flow)
		}, want: "reconsented"},
		"taken back and given again": {live: func(t *testing.T, x *fixture, flow *authflow.Flow, creds *authflow.Credentials) {
			x.google.Revoke(ada)
			pass(time.Hour)
			for range 3 {
				_, err := creds.Token()
				ended(t, err, tokenstore.ReasonInvalidGrant)
				pass(time.Minute)
			}
			x.connect(t, flow)
		}, want: "revoked:invalid_grant recovered"},
		"ended by a policy": {live: func(t *testing.T, x *fixture, _ *authflow.Flow, creds *authflow.Credentials) {
			x.google.Inject(gmailtest.Fault{Op: "token.refresh", Status: 400, Body: `{"error":"invalid_grant","error_subtype":"invalid_rapt"}`})
			pass(time.Hour)
			_, err := creds.Token()
			ended(t, err, tokenstore.ReasonPolicy)
		}, want: "revoked:invalid_rapt"},
		"of a test user, limited in time": {
			cfg: gmailtest.Config{RefreshTokenLifetime: 30 * time.Minute},
			live: func(t *testing.T, _ *fixture, _ *authflow.Flow, creds *authflow.Credentials) {
				pass(time.Hour)
				_, err := creds.Token()
				ended(t, err, tokenstore.ReasonExpired)
			}, want: "revoked:expired"},
		"revoked by the application, and forgotten": {live: func(t *testing.T, _ *fixture, flow *authflow.Flow, _ *authflow.Credentials) {
			if err := errors.Join(flow.Revoke(t.Context(), adaID), flow.Revoke(t.Context(), adaID), flow.Forget(t.Context(), adaID)); err != nil {
				t.Error(err)
			}
		}, want: "revoked:application forgotten"},
		"ended by a security event": {live: func(t *testing.T, _ *fixture, flow *authflow.Flow, _ *authflow.Credentials) {
			if err := flow.MarkRevoked(t.Context(), adaID, tokenstore.ReasonPassword); err != nil {
				t.Error(err)
			}
		}, want: "revoked:password"},
		"through an outage": {live: func(t *testing.T, x *fixture, _ *authflow.Flow, creds *authflow.Credentials) {
			x.google.Inject(gmailtest.Fault{Op: "token.refresh", Status: 503, Times: 3})
			pass(time.Hour)
			if _, err := creds.Token(); err == nil {
				t.Error("the outage was not noticed")
			}
			pass(time.Minute)
			token(t, creds)
		}, want: "refresh_failed refreshed"},
		"while the store is down": {live: func(t *testing.T, x *fixture, _ *authflow.Flow, creds *authflow.Credentials) {
			pass(time.Hour)
			x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 2 * time.Second})
			waiter := waiting(t, creds)
			pass(time.Second)
			x.store.fail(errStoreDown, errStoreDown)
			if _, err := waiter(); err != nil {
				t.Error(err)
			}
			x.store.fail(nil, nil)
			pass(time.Minute)
		}, want: "refreshed store_trouble"},
	} {
		t.Run("of a grant "+name, func(t *testing.T) {
			inBubble(t, c.cfg, func(t *testing.T, x *fixture) {
				var d diary
				flow := x.flow(t, func(cfg *authflow.Config) { cfg.Observer = d.observe })
				c.live(t, x, flow, x.connect(t, flow))
				if want := append([]string{"consented"}, strings.Fields(c.want)...); !slices.Equal(d.kinds(), want) {
					t.Errorf("observed %v, want %v", d.kinds(), want)
				}
				for _, e := range d.events {
					failed := e.Kind == authflow.RefreshFailed || e.Kind == authflow.StoreTrouble
					if e.UserID != adaID || e.GrantID == "" || failed && e.Err == nil {
						t.Errorf("event %+v", e)
					}
				}
			})
		})
	}
}

func TestAnEventSaysHowLongTheProviderTook(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		var d diary
		creds := x.connect(t, x.flow(t, func(cfg *authflow.Config) { cfg.Observer = d.observe }))
		pass(time.Hour)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 3 * time.Second, Times: 1})
		token(t, creds)
		if last := d.events[len(d.events)-1]; last.Kind != authflow.Refreshed || last.Took != 3*time.Second || last.Err != nil {
			t.Errorf("event %+v", last)
		}
	})
}

// leveled counts records by level.
type leveled struct {
	slog.Handler
	diary *diary
}

func (h leveled) Enabled(context.Context, slog.Level) bool { return true }

func (h leveled) Handle(_ context.Context, r slog.Record) error {
	h.diary.observe(authflow.Event{Kind: authflow.EventKind(r.Level.String())})
	return nil
}

func TestALoggerIsToldOfFailuresAtLevelWarn(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		var levels, d diary
		flow := x.flow(t, func(cfg *authflow.Config) {
			cfg.Logger, cfg.Observer = slog.New(leveled{slog.DiscardHandler, &levels}), d.observe
		})
		creds := x.connect(t, flow)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Status: 503, Times: 3})
		pass(time.Hour)
		if _, err := creds.Token(); err == nil {
			t.Error("the outage was not noticed")
		}
		pass(time.Minute)
		token(t, creds)
		if got := levels.kinds(); !slices.Equal(got, []string{"INFO", "WARN", "DEBUG"}) {
			t.Errorf("%v were logged at %v", d.kinds(), got)
		}
	})
}

func TestNoEventShowsASecret(t *testing.T) {
	t.Parallel()
	for name, e := range echoes() {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{RotateRefreshTokens: true}, func(t *testing.T, x *fixture) {
				var d diary
				flow := x.flow(t, withSessionKey, func(cfg *authflow.Config) { cfg.Observer = d.observe })
				creds := x.connect(t, flow)
				grant := x.stored(t)
				sent := x.echoing("token.refresh", e)
				pass(time.Hour)
				_, _ = creds.Token() // whatever it is told
				x.google.Inject(gmailtest.Fault{Op: "revoke", Status: 503, Body: grant.RefreshToken})
				if err := flow.Revoke(t.Context(), adaID); err == nil {
					t.Error("the revocation is not pending")
				}
				all := sent()
				all["the stored refresh token"], all["the stored access token"] = grant.RefreshToken, grant.AccessToken
				for _, event := range d.events {
					all.check(t, string(event.Kind), event)
					all.check(t, string(event.Kind)+" by a pointer", &event)
				}
				if len(d.events) < 3 {
					t.Errorf("observed %v", d.kinds())
				}
			})
		})
	}
}
