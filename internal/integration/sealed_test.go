package integration_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// After all that can happen to grants, none of a backend's bytes shows a token, an e-mail address or a key.
func TestNoBackendHoldsATokenInTheClear(t *testing.T) {
	t.Parallel()
	for _, b := range sealedBackends() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			place, all := b.private(t)
			l := &life{fleet: newFleetAt(t, b.backend, place, gmailtest.Config{RotateRefreshTokens: true})}
			l.live(t)

			// What is stored without Grants is found: the test would find a token, too.
			control := newNeedle("the control", "a control that is in the clear")
			record := tokenstore.Record{Version: "1", Data: control.forms[0]}
			if err := l.store.Swap(t.Context(), "control", "", record); err != nil {
				t.Fatal(err)
			}
			var needles []needle
			for text, name := range l.secrets {
				needles = append(needles, newNeedle(name, text))
			}
			found := make(map[string]bool) // the control, by place
			all(t, func(place string, content []byte) {
				found[place] = found[place] || control.in(content)
				for _, n := range needles {
					if n.in(content) {
						t.Errorf("%s: %s is there", place, n.name)
					}
				}
			})
			for place, ok := range found {
				if !ok {
					t.Errorf("%s: not even the control is there", place)
				}
			}
			l.end(t)
		})
	}
}

// A life is that of a few grants from their consent to the revocation of one, with a rotation of the keys in between.
type life struct {
	*fleet
	users          []string
	secrets        map[string]string // what no dump must show, and what it is
	providerIsBack func()
}

// live leads the life up to where the old key is gone and the provider is still to be told of a revocation.
func (l *life) live(t *testing.T) {
	t.Helper()
	l.secrets = map[string]string{gmailtest.DefaultClient().Secret: "the client's secret"}
	flow := l.ownFlow(t)
	for n := range 24 {
		userID, email, accessToken, refreshToken := l.user(t, n)
		l.secrets[email] = "an e-mail address"
		l.secrets[accessToken], l.secrets[refreshToken] = "an access token", "a refresh token"
		creds, err := flow.Import(t.Context(), authflow.ImportedToken{RefreshToken: refreshToken})
		if err != nil {
			t.Fatal(err)
		}
		l.learn(t, userID)
		if _, err := creds.Refresh(t.Context(), l.stored(t, userID).AccessToken); err != nil {
			t.Fatal(err)
		}
		l.learn(t, userID)
		l.users = append(l.users, userID)
	}
	l.providerIsBack = l.google.Inject(gmailtest.Fault{Op: "revoke", Status: 503})
	err := flow.Revoke(t.Context(), l.users[0])
	if _, pending := errors.AsType[*authflow.RevocationPendingError](err); !pending {
		t.Fatalf("Revoke while the provider is down: %v", err)
	}
	l.rotateKeys(t)
}

// learn takes down what is stored of a user's grant.
func (l *life) learn(t *testing.T, userID string) {
	t.Helper()
	grant := l.stored(t, userID)
	l.secrets[grant.AccessToken], l.secrets[grant.RefreshToken] = "an access token", "a refresh token"
}

// rotateKeys seals everything anew while all grants are written to, and drops the old key.
func (l *life) rotateKeys(t *testing.T) {
	t.Helper()
	const writers = 8
	older, newer := l.Keys, tokenstore.GenerateKey()
	l.secrets[older], l.secrets[newer] = "the old key", "the new key"
	both := newRing(t, newer+" "+older)
	var done atomic.Bool
	var writing sync.WaitGroup
	notes := make([]int, len(l.users)) // the last one that was acknowledged, of each grant
	for w := range writers {
		grants := grantsIn(t, l.store, both)
		writing.Go(func() {
			for n := 1; n < 3 || !done.Load(); n++ {
				for i := w; i < len(l.users); i += writers {
					if err := annotate(t, grants, l.users[i], n); err != nil {
						t.Error(err)
						return
					}
					notes[i] = n
				}
			}
		})
	}
	progress, err := tokenstore.Reencrypt(t.Context(), l.store, both, nil)
	done.Store(true)
	writing.Wait()
	if err != nil || progress.Read != len(l.users)+1 { // and the revocation that is pending
		t.Errorf("Reencrypt: %+v, %v", progress, err)
	}
	l.Keys, l.grants = newer, grantsIn(t, l.store, newRing(t, newer))
	for i, userID := range l.users {
		l.learn(t, userID)
		if got := l.stored(t, userID).LastError; got != note(notes[i]) {
			t.Errorf("of the grant of %s %q is stored, and %q was acknowledged", userID, got, note(notes[i]))
		}
	}
	delete(l.secrets, "") // the revoked grant has no tokens
}

func note(n int) string { return fmt.Sprint("note ", n) }

// annotate changes a grant as every writer does: read, change, put, and once more on a conflict.
func annotate(t *testing.T, grants *tokenstore.Grants, userID string, n int) error {
	t.Helper()
	for {
		grant, err := grants.Get(t.Context(), userID)
		if err != nil {
			return err
		}
		grant.LastError = note(n)
		if err := grants.Put(t.Context(), grant); !errors.Is(err, tokenstore.ErrConflict) {
			return err
		}
	}
}

// end ends the life with the new key alone: the revocation that is pending is told, the other grants are refreshed.
func (l *life) end(t *testing.T) {
	t.Helper()
	flow := l.ownFlow(t)
	l.providerIsBack()
	if told, err := flow.RetryRevocations(t.Context()); told != 1 || err != nil {
		t.Errorf("the provider was told of %d revocations, %v; want the one that was pending", told, err)
	}
	for _, userID := range l.users[1:] {
		l.checkRenewable(t, userID)
	}
}
