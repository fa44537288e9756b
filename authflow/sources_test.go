package authflow_test

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// someone stores an expired grant of another user than Ada.
func (x *fixture) someone(t *testing.T, userID string) {
	t.Helper()
	grant := &tokenstore.Grant{UserID: userID, ClientID: gmailtest.DefaultClient().ID, RefreshToken: "1//0" + userID}
	if err := x.grants(t).Put(t.Context(), grant); err != nil {
		t.Fatal(err)
	}
}

// within fails the test where work takes longer than a deadlock is told by.
func within(t *testing.T, what string, work func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); work() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal(what)
	}
}

func TestUsersComeWhileOthersRefresh(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	x.google.Inject(gmailtest.Fault{Op: "token.refresh", Body: `{"access_token":"ya29.token","expires_in":3600}`})
	const users = 50
	for i := range users {
		x.someone(t, strconv.Itoa(i))
	}
	for range 40 {
		flow, err := authflow.New(x.config())
		if err != nil {
			t.Fatal(err)
		}
		busy, err := flow.GetStoredCredentials(t.Context(), "0")
		if err != nil {
			t.Fatal(err)
		}
		var refreshing, coming sync.WaitGroup
		stop := make(chan struct{})
		for range 3 {
			refreshing.Go(func() {
				for rejected := ""; ; {
					select {
					case <-stop:
						return
					default:
						token, err := busy.Refresh(t.Context(), rejected)
						if err == nil {
							rejected = token.AccessToken
						}
					}
				}
			})
		}
		for i := range users {
			coming.Go(func() {
				if _, err := flow.GetStoredCredentials(t.Context(), strconv.Itoa(i)); err != nil {
					t.Error(err)
				}
			})
		}
		within(t, "users wait for one another for ever", func() {
			coming.Wait()
			close(stop)
			refreshing.Wait()
			_ = flow.Close()
		})
	}
}

// blockingHandler is a log that nobody reads once it warns.
type blockingHandler struct {
	slog.Handler
	entered, release chan struct{}
}

func (h blockingHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

func (h blockingHandler) Handle(context.Context, slog.Record) error {
	h.entered <- struct{}{}
	<-h.release
	return nil
}

func TestASlowLogHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	x.someone(t, "another")
	log := blockingHandler{slog.DiscardHandler, make(chan struct{}), make(chan struct{})}
	flow := x.flow(t, func(cfg *authflow.Config) { cfg.Logger = slog.New(log) })
	creds := x.connect(t, flow)
	live := token(t, creds)
	x.google.Inject(gmailtest.TokenError("invalid_client", "Unauthorized"))
	failed := make(chan error)
	go func() {
		_, err := creds.Refresh(context.WithoutCancel(t.Context()), live)
		failed <- err
	}()
	<-log.entered // for it says that the token could not be renewed
	defer func() {
		close(log.release)
		if err := <-failed; err == nil {
			t.Error("a refresh that was refused is no error")
		}
	}()
	within(t, "another user waits for the log", func() {
		if _, err := flow.GetStoredCredentials(t.Context(), "another"); err != nil {
			t.Error(err)
		}
	})
	within(t, "the same user waits for the log", func() {
		if _, err := flow.GetStoredCredentials(t.Context(), adaID); err != nil {
			t.Error(err)
		}
	})
}
