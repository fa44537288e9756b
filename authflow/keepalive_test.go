package authflow_test

import (
	"context"
	"errors"
	"math"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

const month = 30 * 24 * time.Hour

// crowd stores the living grants of n users who were last refreshed some time ago, and whose refresh tokens Google knows.
func (x *fixture) crowd(t *testing.T, n int, refreshed time.Duration) {
	t.Helper()
	for i := range n {
		userID := "crowd" + strconv.Itoa(i)
		x.google.AddUser(gmailtest.User{Email: userID + "@example.com", Sub: userID})
		_, refresh, err := x.google.Grant(userID+"@example.com", gmailReadonly)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-refreshed)
		if err := x.grants(t).Put(t.Context(), &tokenstore.Grant{
			UserID: userID, ID: userID, ClientID: gmailtest.DefaultClient().ID, RefreshToken: refresh, AccessToken: "ya29.old",
			CreatedAt: at, LastRefresh: at, Expiry: at.Add(time.Hour),
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKeepAliveRefreshesWhatWasNotUsed(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		x.crowd(t, 10, month+time.Hour)
		flow := x.flow(t)
		x.connect(t, flow) // in use
		used := x.stored(t)
		report, err := flow.KeepAlive(t.Context(), authflow.KeepAliveOptions{})
		if want := (authflow.KeepAliveReport{Seen: 11, Refreshed: 10}); report != want || err != nil {
			t.Errorf("reported %+v, want %+v: %v", report, want, err)
		}
		x.unchanged(t, used)
		for grant, err := range x.grants(t).All(t.Context()) {
			if err != nil || time.Since(grant.LastRefresh) > time.Minute || grant.Lease != nil {
				t.Errorf("stored %+v, %v", grant, err)
			}
		}
		report, err = x.flow(t).KeepAlive(t.Context(), authflow.KeepAliveOptions{})
		if want := (authflow.KeepAliveReport{Seen: 11}); report != want || err != nil || x.refreshes() != 10 {
			t.Errorf("the next day: reported %+v: %v", report, err)
		}
		pass(time.Second)
		report, err = flow.KeepAlive(t.Context(), authflow.KeepAliveOptions{Idle: time.Nanosecond})
		if want := (authflow.KeepAliveReport{Seen: 11, Refreshed: 11}); report != want || err != nil {
			t.Errorf("all of them: reported %+v: %v", report, err)
		}
	})
}

func TestKeepAliveKeepsItsRate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		perSecond float64
		want      time.Duration // for 40 grants
	}{
		"five a second where nothing is said": {0, 8 * time.Second},
		"twenty a second":                     {20, 2 * time.Second},
		"one in four seconds":                 {0.25, 160 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				x.crowd(t, 40, 2*month)
				start := time.Now()
				report, err := x.flow(t).KeepAlive(t.Context(), authflow.KeepAliveOptions{PerSecond: c.perSecond})
				if err != nil || report.Refreshed != 40 {
					t.Errorf("reported %+v: %v", report, err)
				}
				if took := time.Since(start); took < c.want*9/10 || took > c.want*11/10 {
					t.Errorf("it took %v, want %v", took, c.want)
				}
			})
		})
	}
}

func TestKeepAliveKeepsItsRateWhereTheProviderIsSlow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ answer, want time.Duration }{ // for 40 grants, five a second
		"for a second":       {time.Second, 9 * time.Second},
		"for eight seconds ": {8 * time.Second, 40 * time.Second}, // eight at a time
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				x.crowd(t, 40, 2*month)
				x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: c.answer})
				start := time.Now()
				report, err := x.flow(t).KeepAlive(t.Context(), authflow.KeepAliveOptions{})
				if want := (authflow.KeepAliveReport{Seen: 40, Refreshed: 40}); report != want || err != nil {
					t.Errorf("reported %+v, want %+v: %v", report, want, err)
				}
				if took := time.Since(start); took < c.want-time.Second || took > c.want+3*time.Second {
					t.Errorf("it took %v, want %v", took, c.want)
				}
			})
		})
	}
}

func TestKeepAliveSaysWhatItLeftUndone(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(flow *authflow.Flow, cancel func()) error{
		"since its context ended": func(_ *authflow.Flow, cancel func()) error { cancel(); return context.Canceled },
		"since the Flow closed":   func(flow *authflow.Flow, _ func()) error { return flow.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				x.crowd(t, 12, 2*month)
				x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 5 * time.Second})
				flow := x.flow(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := make(chan error)
				var report authflow.KeepAliveReport
				go func() {
					var err error
					report, err = flow.KeepAlive(ctx, authflow.KeepAliveOptions{})
					done <- err
				}()
				pass(2 * time.Second) // eight are under way
				want := end(flow, cancel)
				if err := <-done; err == nil || want != nil && !errors.Is(err, want) {
					t.Errorf("KeepAlive: %v", err)
				}
				if report.Refreshed > 8 || report.Seen == 12 || report.Ended+report.Failed > 0 {
					t.Errorf("reported %+v", report)
				}
			})
		})
	}
}

func TestKeepAliveMarksWhatHasEndedAndCountsWhatFails(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		x.crowd(t, 6, 2*month)
		var d diary
		flow := x.flow(t, func(cfg *authflow.Config) { cfg.Observer = d.observe })
		kept, err := flow.GetStoredCredentials(t.Context(), "crowd0")
		if err != nil {
			t.Fatal(err)
		}
		token(t, kept)
		pass(time.Second)
		x.google.Revoke("crowd0@example.com")
		x.google.Revoke("crowd1@example.com")
		unreadable, err := x.store.Get(t.Context(), "grant/crowd2")
		if err != nil {
			t.Fatal(err)
		}
		if err := x.store.Swap(t.Context(), "grant/crowd2", unreadable.Version, tokenstore.Record{Version: "damaged"}); err != nil {
			t.Fatal(err)
		}
		broken, err := x.grants(t).Get(t.Context(), "crowd3")
		if err != nil {
			t.Fatal(err)
		}
		refused := gmailtest.TokenError("invalid_client", "Unauthorized")
		refused.Match = forToken(broken.RefreshToken)
		x.google.Inject(refused)
		if err := flow.MarkRevoked(t.Context(), "crowd4", tokenstore.ReasonUser); err != nil {
			t.Fatal(err)
		}

		report, err := flow.KeepAlive(t.Context(), authflow.KeepAliveOptions{Idle: time.Nanosecond})
		if want := (authflow.KeepAliveReport{Seen: 6, Refreshed: 1, Ended: 2, Failed: 2}); report != want || err != nil {
			t.Errorf("reported %+v, want %+v: %v; observed %v", report, want, err, d.kinds())
		}
		for _, userID := range []string{"crowd0", "crowd1"} {
			if grant, err := x.grants(t).Get(t.Context(), userID); err != nil || grant.Status.Reason != tokenstore.ReasonInvalidGrant {
				t.Errorf("stored %+v, %v", grant, err)
			}
		}
		if _, err := kept.Token(); err == nil {
			t.Error("a token is served of a grant that KeepAlive found to have ended")
		}
	})
}

func TestKeepAliveEndsWithItsContext(t *testing.T) {
	inBubble(t, gmailtest.Config{RotateRefreshTokens: true}, func(t *testing.T, x *fixture) {
		x.crowd(t, 40, 2*month)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second+time.Millisecond)
		defer cancel()
		report, err := x.flow(t).KeepAlive(ctx, authflow.KeepAliveOptions{})
		if !errors.Is(err, context.DeadlineExceeded) || report.Refreshed != 5 || x.refreshes() != 5 {
			t.Errorf("reported %+v: %v", report, err)
		}
		rest, err := x.flow(t).KeepAlive(t.Context(), authflow.KeepAliveOptions{})
		if err != nil || rest.Refreshed != 35 || x.refreshes() != 40 {
			t.Errorf("reported %+v: %v", rest, err)
		}
	})
}

func TestSeveralKeepAlivesDoNoGrantTwice(t *testing.T) {
	inBubble(t, gmailtest.Config{RotateRefreshTokens: true}, func(t *testing.T, x *fixture) {
		x.crowd(t, 40, 2*month)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 300 * time.Millisecond})
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if report, err := x.flow(t).KeepAlive(t.Context(), authflow.KeepAliveOptions{}); err != nil || report.Failed+report.Ended != 0 {
					t.Errorf("reported %+v: %v", report, err)
				}
			})
		}
		all.Wait()
		if n := x.refreshes(); n != 40 {
			t.Errorf("40 grants were refreshed %d times", n)
		}
	})
}

func TestAGrantThatIsDeletedMeanwhileIsNoFailureOfKeepAlive(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		x.crowd(t, 1, 2*month)
		go func() {
			pass(100 * time.Millisecond) // it is read, and waits for its turn
			if err := x.grants(t).Delete(t.Context(), "crowd0"); err != nil {
				t.Error(err)
			}
		}()
		report, err := x.flow(t).KeepAlive(t.Context(), authflow.KeepAliveOptions{})
		if report.Failed != 0 || err != nil {
			t.Errorf("reported %+v: %v", report, err)
		}
	})
}

func TestKeepAliveRefusesARateThatIsNone(t *testing.T) {
	t.Parallel()
	flow := newFixture(t, gmailtest.Config{}).flow(t)
	for name, opts := range map[string]authflow.KeepAliveOptions{
		"a negative rate": {PerSecond: -1},
		"a negative time": {Idle: -time.Second},
		"no number":       {PerSecond: math.NaN()},
		"no bound":        {PerSecond: math.Inf(1)},
		"no time between": {PerSecond: 1e12},
	} {
		if _, err := flow.KeepAlive(t.Context(), opts); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := flow.KeepAlive(t.Context(), authflow.KeepAliveOptions{PerSecond: 1e-12}); err != nil {
		t.Errorf("a rate that is very low: %v", err)
	}
}

func TestKeepAliveSaysThatTheStoreIsDown(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		x.crowd(t, 3, 2*month)
		x.store.fail(errStoreDown, nil)
		if report, err := x.flow(t).KeepAlive(t.Context(), authflow.KeepAliveOptions{}); !errors.Is(err, errStoreDown) {
			t.Errorf("reported %+v: %v", report, err)
		}
	})
}
