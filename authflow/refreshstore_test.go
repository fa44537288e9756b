package authflow_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

func TestTheProviderIsNotAskedWithoutALease(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ get, put error }{
		"where the store can't be read":    {errStoreDown, nil},
		"where the store can't be written": {nil, errStoreDown},
		"where the store is down":          {errStoreDown, errStoreDown},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				creds := x.connect(t, x.flow(t))
				before := x.stored(t)
				pass(55 * time.Minute)
				x.store.fail(c.get, c.put)
				for range 4 { // minutes
					if token(t, creds) != before.AccessToken {
						t.Error("another token than the one that lives")
					}
					pass(time.Minute)
				}
				pass(time.Minute)
				_, err := creds.Token()
				failed, ok := errors.AsType[*authflow.RefreshError](err)
				if !ok || failed.UserID != adaID || !errors.Is(err, errStoreDown) {
					t.Errorf("Token: %v", err)
				}
				if n := x.refreshes(); n != 0 {
					t.Errorf("the provider was asked %d times", n)
				}
				x.unchanged(t, before)
				pass(time.Minute)
				token(t, creds)
			})
		})
	}
}

func TestATokenThatCannotBeStoredIsServedAndStoredLater(t *testing.T) {
	t.Parallel()
	for name, rotate := range map[string]bool{"with one refresh token": false, "with refresh tokens that rotate": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{RotateRefreshTokens: rotate}, func(t *testing.T, x *fixture) {
				creds := x.connect(t, x.flow(t))
				before := x.stored(t)
				pass(time.Hour)
				x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 2 * time.Second})
				waiter := waiting(t, creds)
				pass(time.Second)
				x.store.fail(errStoreDown, errStoreDown)
				served, err := waiter()
				if err != nil || served == before.AccessToken {
					t.Fatalf("Token: %v", err)
				}
				pass(10 * time.Minute)
				if token(t, creds) != served {
					t.Error("another token is served")
				}
				x.store.fail(nil, nil)
				pass(time.Minute)
				after := x.stored(t)
				if after.AccessToken != served || after.Lease != nil || (after.RefreshToken != before.RefreshToken) != rotate {
					t.Errorf("stored %+v", after)
				}
				if token(t, credentials(t, x.flow(t))) != served || x.refreshes() != 1 {
					t.Errorf("%d refreshes", x.refreshes())
				}
			})
		})
	}
}

func TestATokenIsNotLostWhereTheStoreFailsAfterAConflict(t *testing.T) {
	inBubble(t, gmailtest.Config{RotateRefreshTokens: true}, func(t *testing.T, x *fixture) {
		creds := x.connect(t, x.flow(t))
		pass(time.Hour)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 2 * time.Second})
		waiter := waiting(t, creds)
		pass(time.Second)
		x.store.interrupt(func() { // the result is to be stored
			x.change(t, func(g *tokenstore.Grant) { g.LastError = "written meanwhile" })
			x.store.fail(errStoreDown, nil)
		})
		served, err := waiter()
		if err != nil {
			t.Fatalf("the provider gave a token, and it is lost: %v", err)
		}
		x.store.fail(nil, nil)
		pass(time.Minute)
		if after := x.stored(t); after.AccessToken != served || token(t, creds) != served {
			t.Errorf("stored %+v", after)
		}
	})
}

func TestAWriteOfAnotherKindIsMergedWithARefresh(t *testing.T) {
	inBubble(t, gmailtest.Config{RotateRefreshTokens: true}, func(t *testing.T, x *fixture) {
		creds := x.connect(t, x.flow(t))
		pass(time.Hour)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 2 * time.Second})
		waiter := waiting(t, creds)
		pass(time.Second)
		x.change(t, func(g *tokenstore.Grant) { g.Email = "ada.lovelace@example.com" })
		served, err := waiter()
		if err != nil {
			t.Fatal(err)
		}
		if after := x.stored(t); after.AccessToken != served || after.Email != "ada.lovelace@example.com" || after.Lease != nil {
			t.Errorf("stored %+v", after)
		}
		if x.refreshes() != 1 {
			t.Errorf("%d refreshes", x.refreshes())
		}
	})
}

func TestATokenThatIsToBeStoredLaterIsMergedToo(t *testing.T) {
	inBubble(t, gmailtest.Config{RotateRefreshTokens: true}, func(t *testing.T, x *fixture) {
		creds := x.connect(t, x.flow(t))
		pass(time.Hour)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 2 * time.Second})
		waiter := waiting(t, creds)
		pass(time.Second)
		x.store.fail(errStoreDown, errStoreDown)
		served, err := waiter()
		if err != nil {
			t.Fatal(err)
		}
		x.store.fail(nil, nil)
		x.change(t, func(g *tokenstore.Grant) { g.Email = "ada.lovelace@example.com" }) // before the Flow tries again
		pass(time.Minute)
		if after := x.stored(t); after.AccessToken != served || after.Email != "ada.lovelace@example.com" {
			t.Errorf("the refresh token that the provider gave is lost; stored %+v", after)
		}
	})
}

func TestWhatIsToBeStoredLaterIsStoredAtClose(t *testing.T) {
	inBubble(t, gmailtest.Config{RotateRefreshTokens: true}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		creds := x.connect(t, flow)
		pass(time.Hour)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 2 * time.Second})
		waiter := waiting(t, creds)
		pass(time.Second)
		x.store.fail(errStoreDown, errStoreDown)
		served, err := waiter()
		if err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Minute) // it is tried twice a minute
		x.store.fail(nil, nil)
		if err := flow.Close(); err != nil {
			t.Fatal(err)
		}
		if after := x.stored(t); after.AccessToken != served {
			t.Errorf("the refresh token that the provider gave is lost; stored %+v", after)
		}
	})
}
