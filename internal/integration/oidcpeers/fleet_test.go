package oidcpeers_test

import (
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/internal/integration/servers"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// oidc-provider answers one of several refreshes at once, takes the others for a thief's, and ends the grant with all
// its tokens. So whoever asks twice loses it.
func TestFourProcessesOnOneRotatingGrant(t *testing.T) {
	t.Parallel()
	const processes, goroutines, rounds = 4, 50, 20
	for name, next := range map[string]func(order, *tokenstore.Grant) order{
		"keep it alive by mailgrant each time that it expires": func(o order, _ *tokenstore.Grant) order {
			return order{Clock: o.Clock + time.Hour}
		},
		"keep it alive by mailgrant each time that an API rejects its token": func(_ order, g *tokenstore.Grant) order {
			return order{Rejected: g.AccessToken}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startProvider(t, webClient())
			a := newApp(t, p.issuer)
			d := duty{
				Issuer: p.issuer, Goroutines: goroutines,
				UserID: adaID, DSN: servers.PostgreSQL(t), Keys: tokenstore.GenerateKey(),
			}
			a.shareStore(t, d)
			flow := a.flow(t)
			connect(t, flow, newBrowser(t, ada))
			f := d.start(t, processes)
			var o order
			for round := range rounds {
				before := a.stored(t, adaID)
				o = next(o, before)
				replies := f.round(t, o)
				p.checkCalls(t, map[string]int{"authorization_code": 1, "refresh_token": round + 1})
				after := a.stored(t, adaID)
				if after.Status.Revoked || after.Lease != nil || after.RefreshToken == before.RefreshToken {
					t.Fatalf("after round %d it is %+v", round+1, after)
				}
				for _, r := range replies {
					if r.Tokens[digest(after.AccessToken)] != goroutines || len(r.Tokens) != 1 || r.Ended > 0 || len(r.Errors) > 0 {
						t.Fatalf("in round %d a process was answered %+v, want the stored token %d times", round+1, r, goroutines)
					}
				}
			}
			alive := peer{app: a, userID: adaID, email: adasAccount.Email}
			creds, err := flow.GetStoredCredentials(t.Context(), adaID)
			if err != nil {
				t.Fatal(err)
			}
			refresh(t, creds)
			alive.checkConnected(t, flow, creds)
			p.checkCalls(t, map[string]int{"authorization_code": 1, "refresh_token": rounds + 1})
		})
	}
	t.Run("lose it by x/oauth2 alone", func(t *testing.T) {
		t.Parallel()
		p := startProvider(t, webClient())
		a := newApp(t, p.issuer)
		flow := a.flow(t)
		connect(t, flow, newBrowser(t, ada))
		d := duty{Issuer: p.issuer, Goroutines: goroutines, RefreshToken: a.stored(t, adaID).RefreshToken}
		f := d.start(t, processes)
		for round := 1; ; round++ {
			ended := 0
			for _, r := range f.round(t, order{}) {
				ended += r.Ended
				if len(r.Errors) > 0 {
					t.Fatal(r.Errors)
				}
			}
			if ended == processes*goroutines {
				t.Logf("the grant is dead in round %d", round)
				break
			}
			if round == rounds {
				t.Fatalf("the grant is alive after %d rounds: this provider proves nothing", rounds)
			}
		}
		// Not even the access token that is not expired is left.
		checkUseless(t, flow, a.stored(t, adaID).AccessToken)
		a.checkDead(t, a.stored(t, adaID).RefreshToken)
	})
}

// shareStore has the application keep its grants where the processes of a fleet do.
func (a *app) shareStore(tb testing.TB, d duty) {
	tb.Helper()
	store, err := openStore(tb.Context(), d.DSN)
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := tokenstore.ParseKeyring(d.Keys)
	if err != nil {
		tb.Fatal(err)
	}
	grants, err := tokenstore.NewGrants(store, keys)
	if err != nil {
		tb.Fatal(err)
	}
	a.cfg.Store, a.cfg.Keys, a.grants = store, keys, grants
}
