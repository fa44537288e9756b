package authflow_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

func TestMarkRevokedEndsAGrantHereAlone(t *testing.T) {
	t.Parallel()
	for _, reason := range []tokenstore.Reason{tokenstore.ReasonUser, tokenstore.ReasonPassword, tokenstore.ReasonSecurity} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			flow := x.flow(t)
			creds := x.connect(t, flow)
			secret := x.stored(t).RefreshToken
			if err := flow.MarkRevoked(t.Context(), adaID, reason); err != nil {
				t.Fatal(err)
			}
			_, err := creds.Token()
			ended(t, err, reason)
			_, err = flow.GetStoredCredentials(t.Context(), adaID)
			ended(t, err, reason)
			if err := flow.MarkRevoked(t.Context(), adaID, tokenstore.ReasonApplication); err != nil {
				t.Fatal(err)
			}
			if after := x.stored(t); after.Status.Reason != reason || after.RefreshToken != "" || after.AccessToken != "" {
				t.Errorf("stored %+v", after)
			}
			if x.google.Count("revoke") != 0 || !x.works(t, secret) {
				t.Error("the provider was told")
			}
			x.noRevocationLeft(t)
		})
	}
}

func TestForgetDeletesAGrantHereAlone(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]bool{"that can be read": false, "that can't be read": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			flow := x.flow(t)
			creds := x.connect(t, flow)
			grant := x.stored(t)
			if damage {
				x.damage(t)
			}
			if err := flow.Forget(t.Context(), adaID); err != nil {
				t.Fatal(err)
			}
			if _, err := x.store.Get(t.Context(), "grant/"+adaID); !errors.Is(err, tokenstore.ErrNotFound) {
				t.Errorf("something is stored: %v", err)
			}
			if _, err := creds.Token(); !errors.Is(err, tokenstore.ErrNotFound) {
				t.Errorf("Token: %v", err)
			}
			if x.google.Count("revoke") != 0 || !x.works(t, grant.RefreshToken) {
				t.Error("the provider was told")
			}
			token(t, x.connect(t, flow))
		})
	}
}

// damage makes Ada's record one that can't be read.
func (x *fixture) damage(t *testing.T) {
	t.Helper()
	rec, err := x.store.Get(t.Context(), "grant/"+adaID)
	if err != nil {
		t.Fatal(err)
	}
	next := tokenstore.Record{Version: "damaged", Data: rec.Data[:len(rec.Data)-1]}
	if err := x.store.Swap(t.Context(), "grant/"+adaID, rec.Version, next); err != nil {
		t.Fatal(err)
	}
}

func TestAForgottenGrantIsNotServedWhileItIsRefreshed(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		creds := x.connect(t, flow)
		pass(55 * time.Minute)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 2 * time.Second})
		token(t, creds) // a refresh begins in the background
		pass(time.Second)
		if err := flow.Forget(t.Context(), adaID); err != nil {
			t.Fatal(err)
		}
		if _, err := creds.Token(); !errors.Is(err, tokenstore.ErrNotFound) {
			t.Errorf("Token: %v", err)
		}
		pass(time.Minute)
		if _, err := creds.Token(); !errors.Is(err, tokenstore.ErrNotFound) {
			t.Errorf("later: %v", err)
		}
	})
}

func TestGrantsShowsEveryGrantAndNoToken(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	x.connect(t, flow)
	x.damage(t)
	for _, userID := range []string{"1", "2"} {
		grant := &tokenstore.Grant{UserID: userID, ClientID: "client", RefreshToken: "1//0refresh", AccessToken: "ya29.access", Scopes: []string{gmailSend}}
		if err := x.grants(t).Put(t.Context(), grant); err != nil {
			t.Fatal(err)
		}
	}
	seen := make(map[string]bool)
	for grant, err := range flow.Grants(t.Context()) {
		if unreadable, ok := errors.AsType[*tokenstore.UnsealError](err); ok {
			seen["unreadable "+unreadable.UserID] = true
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if grant.RefreshToken != "" || grant.AccessToken != "" || len(grant.Scopes) != 1 {
			t.Errorf("grant of %s: tokens are there: %v", grant.UserID, grant.RefreshToken != "" || grant.AccessToken != "")
		}
		seen[grant.UserID] = true
	}
	if len(seen) != 3 || !seen["1"] || !seen["2"] || !seen["unreadable "+adaID] {
		t.Errorf("saw %v", seen)
	}
	for grant, err := range flow.Grants(t.Context()) {
		if grant == nil && err == nil {
			t.Error("neither a grant nor an error")
		}
		break // and no more is asked
	}
	x.store.fail(errStoreDown, nil)
	for _, err := range flow.Grants(t.Context()) {
		if !errors.Is(err, errStoreDown) {
			t.Errorf("from a store that is down: %v", err)
		}
	}
}
