package integration_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
)

func TestAnInterruptedReencryptGoesOnWithWhatIsLeft(t *testing.T) {
	t.Parallel()
	const users, enough = 30, 11
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			store := b.at(t, b.place(t))
			older, newer := tokenstore.GenerateKey(), tokenstore.GenerateKey()
			both := newRing(t, newer+" "+older)
			before := grantsIn(t, store, newRing(t, older))
			for n := range users {
				grant := &tokenstore.Grant{UserID: fmt.Sprint("user ", n), RefreshToken: fmt.Sprint("token of ", n)}
				if err := before.Put(t.Context(), grant); err != nil {
					t.Fatal(err)
				}
			}

			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			first, err := tokenstore.Reencrypt(ctx, store, both, func(p tokenstore.Progress) {
				if p.Resealed == enough {
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) || first.Resealed < enough || first.Resealed == users {
				t.Fatalf("interrupted after %d of %d: %+v, %v", enough, users, first, err)
			}
			after := grantsIn(t, store, newRing(t, newer))
			versions := make(map[string]string) // of what is sealed anew
			for n := range users {
				if grant, err := after.Get(t.Context(), fmt.Sprint("user ", n)); err == nil {
					versions[grant.UserID] = grant.Version()
				} else if _, old := errors.AsType[*tokenstore.UnknownKeyError](err); !old {
					t.Error(err)
				}
			}
			if len(versions) != first.Resealed {
				t.Errorf("%d grants are sealed anew, and %d were counted", len(versions), first.Resealed)
			}

			second, err := tokenstore.Reencrypt(t.Context(), store, both, nil)
			if err != nil || second.Read != users || second.Resealed != users-first.Resealed {
				t.Errorf("then: %+v, %v", second, err)
			}
			for n := range users {
				grant, err := after.Get(t.Context(), fmt.Sprint("user ", n))
				if err != nil || grant.RefreshToken != fmt.Sprint("token of ", n) {
					t.Errorf("with the new key alone: %v, %v", grant, err)
				} else if v := versions[grant.UserID]; v != "" && v != grant.Version() {
					t.Errorf("the grant of %s was written twice", grant.UserID)
				}
			}
		})
	}
}

func newRing(tb testing.TB, keys string) *tokenstore.Keyring {
	tb.Helper()
	ring, err := tokenstore.ParseKeyring(keys)
	if err != nil {
		tb.Fatal(err)
	}
	return ring
}

func grantsIn(tb testing.TB, store tokenstore.TokenStore, keys tokenstore.AEAD) *tokenstore.Grants {
	tb.Helper()
	grants, err := tokenstore.NewGrants(store, keys)
	if err != nil {
		tb.Fatal(err)
	}
	return grants
}
