package authflow_test

import (
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// What a store that is not well said for a while must not outlast it.
func TestAGrantThatWasMissingForAWhileServesAgain(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		creds := x.connect(t, x.flow(t))
		x.store.fail(tokenstore.ErrNotFound, nil)
		pass(2 * time.Minute)
		_, _ = creds.Token() // reads the store in the background
		pass(2 * time.Second)
		if _, err := creds.Token(); err == nil {
			t.Error("a grant that is deleted, as far as the store says, serves on")
		}
		x.store.fail(nil, nil)
		pass(time.Minute)
		if _, err := creds.Token(); err != nil {
			t.Errorf("the store has the grant again, and this process says: %v", err)
		}
	})
}

func TestARefusalThatCouldNotBeHeldAgainstTheStoreEndsNothing(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		var d diary
		flow := x.flow(t, func(cfg *authflow.Config) { cfg.Observer = d.observe })
		creds := x.connect(t, flow)
		used := x.stored(t).RefreshToken
		pass(time.Hour)
		x.google.Inject(gmailtest.Fault{
			Op: "token.refresh", Delay: 2 * time.Second, Match: forToken(used), Status: 400, Body: `{"error":"invalid_grant"}`,
		})
		waiter := waiting(t, creds)
		pass(time.Second)
		access, next, err := x.google.Grant(ada, gmailReadonly)
		if err != nil {
			t.Fatal(err)
		}
		x.change(t, func(g *tokenstore.Grant) { // another process rotated meanwhile
			g.RefreshToken, g.AccessToken, g.Lease = next, access, nil
			g.Expiry, g.LastRefresh = time.Now().Add(time.Hour), time.Now()
		})
		x.store.fail(errStoreDown, errStoreDown)
		if _, err := waiter(); err == nil {
			t.Error("no error, though neither the provider nor the store had a token")
		}
		x.store.fail(nil, nil)
		pass(time.Minute)
		if _, err := creds.Token(); err != nil {
			t.Errorf("the grant lives, and this process says: %v (%v)", err, d.kinds())
		}
	})
}

func TestLastRefreshIsWhenTheTokenWasIssued(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		creds := x.connect(t, x.flow(t))
		pass(time.Hour)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 2 * time.Second})
		waiter := waiting(t, creds)
		pass(time.Second)
		x.store.fail(errStoreDown, errStoreDown)
		issued := time.Now().Add(time.Second)
		if _, err := waiter(); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Minute)
		x.store.fail(nil, nil)
		pass(time.Minute)
		if late := x.stored(t).LastRefresh.Sub(issued); late.Abs() > time.Second {
			t.Errorf("LastRefresh is %v off", late)
		}
	})
}

func TestARefreshTokenThatAnotherStoredMeanwhileIsKept(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		creds := x.connect(t, x.flow(t))
		pass(time.Hour)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 2 * time.Second})
		waiter := waiting(t, creds)
		pass(time.Second)
		access, next, err := x.google.Grant(ada, gmailReadonly)
		if err != nil {
			t.Fatal(err)
		}
		x.change(t, func(g *tokenstore.Grant) {
			g.RefreshToken, g.AccessToken, g.Lease = next, access, nil
			g.Expiry, g.LastRefresh = time.Now().Add(time.Hour), time.Now()
		})
		if served, err := waiter(); err != nil || served != access {
			t.Errorf("served %q, %v; want the token that was stored meanwhile", served, err)
		}
		if after := x.stored(t); after.RefreshToken != next || after.AccessToken != access {
			t.Errorf("what another stored was overwritten: %+v", after)
		}
	})
}
