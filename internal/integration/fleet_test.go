package integration_test

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// A fleet is a service of many processes that share a store, and the provider that it depends on. The test itself
// looks at both.
type fleet struct {
	duty
	google *gmailtest.Server
	store  tokenstore.TokenStore
	grants *tokenstore.Grants
}

func newFleet(tb testing.TB, b backend, cfg gmailtest.Config) *fleet {
	tb.Helper()
	return newFleetAt(tb, b, b.place(tb), cfg)
}

func newFleetAt(tb testing.TB, b backend, place string, cfg gmailtest.Config) *fleet {
	tb.Helper()
	google, err := gmailtest.Start(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := google.Close(); err != nil {
			tb.Error(err)
		}
	})
	f := &fleet{
		duty:   duty{Backend: b.name, Place: place, Keys: tokenstore.GenerateKey(), Issuer: google.URL},
		google: google,
		store:  b.at(tb, place),
	}
	f.grants = grantsIn(tb, f.store, newRing(tb, f.Keys))
	return f
}

// ownFlow returns a Flow in the process of the test.
func (f *fleet) ownFlow(tb testing.TB) *authflow.Flow {
	tb.Helper()
	flow, err := f.flow(tb.Context(), f.store)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = flow.Close() })
	return flow
}

// user adds an account, and returns its user ID, its e-mail address and tokens that it has granted.
func (f *fleet) user(tb testing.TB, n int) (userID, email, accessToken, refreshToken string) {
	tb.Helper()
	userID, email = fmt.Sprintf("1%020d", n), fmt.Sprintf("person-%d@example.com", n)
	f.google.AddUser(gmailtest.User{Email: email, Sub: userID})
	accessToken, refreshToken, err := f.google.Grant(email, gmailReadonly)
	if err != nil {
		tb.Fatal(err)
	}
	return userID, email, accessToken, refreshToken
}

// connect stores the grant of a user whose access token expires at a given time.
func (f *fleet) connect(tb testing.TB, n int, expiry time.Time) *tokenstore.Grant {
	tb.Helper()
	userID, email, accessToken, refreshToken := f.user(tb, n)
	issued := expiry.Add(-time.Hour)
	grant := &tokenstore.Grant{
		UserID: userID, Email: email, ID: rand.Text(), ClientID: gmailtest.DefaultClient().ID,
		RefreshToken: refreshToken, AccessToken: accessToken, Expiry: expiry,
		Scopes: []string{gmailReadonly}, LastRefresh: issued, CreatedAt: issued, UpdatedAt: issued,
	}
	if err := f.grants.Put(tb.Context(), grant); err != nil {
		tb.Fatal(err)
	}
	return grant
}

// expired stores a grant that must be refreshed, by any of the clocks.
func (f *fleet) expired(tb testing.TB, n int) *tokenstore.Grant {
	tb.Helper()
	return f.connect(tb, n, time.Now().Add(-time.Hour))
}

// stored returns what is stored of a user's grant now.
func (f *fleet) stored(tb testing.TB, userID string) *tokenstore.Grant {
	tb.Helper()
	grant, err := f.grants.Get(tb.Context(), userID)
	if err != nil {
		tb.Fatal(err)
	}
	return grant
}
