package authflow_test

import (
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestCloseOutlastsAStoreThatFailsForAMoment(t *testing.T) {
	inBubble(t, gmailtest.Config{RotateRefreshTokens: true}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		creds := x.connect(t, flow)
		pass(time.Hour)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 2 * time.Second})
		waiter := waiting(t, creds)
		pass(time.Second)
		x.store.fail(errStoreDown, errStoreDown)
		back := time.AfterFunc(1200*time.Millisecond, func() { x.store.fail(nil, nil) }) // 200 ms after the answer
		defer back.Stop()
		if err := flow.Close(); err != nil {
			t.Fatal(err)
		}
		served, err := waiter()
		if err != nil {
			t.Fatal(err)
		}
		if after := x.stored(t); after.AccessToken != served || !x.works(t, after.RefreshToken) {
			t.Errorf("the refresh token that the provider gave is lost; stored %+v", after)
		}
	})
}

func TestCloseWaitsForWhatKeepAliveRefreshes(t *testing.T) {
	inBubble(t, gmailtest.Config{RotateRefreshTokens: true}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		x.connect(t, flow)
		before := x.stored(t)
		pass(40 * 24 * time.Hour)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 2 * time.Second})
		done := make(chan error, 1)
		go func() {
			_, err := flow.KeepAlive(t.Context(), authflow.KeepAliveOptions{})
			done <- err
		}()
		pass(1500 * time.Millisecond)
		if err := flow.Close(); err != nil {
			t.Fatal(err)
		}
		if after := x.stored(t); after.RefreshToken == before.RefreshToken {
			t.Error("Close came back before the refreshed grant was stored")
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		pass(time.Second)
		if _, err := flow.KeepAlive(t.Context(), authflow.KeepAliveOptions{Idle: time.Nanosecond}); err == nil {
			t.Error("a closed Flow keeps grants alive")
		}
	})
}
