package authflow_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// Unwrap lets a faultyStore list.
func (s *faultyStore) Unwrap() tokenstore.TokenStore { return s.TokenStore }

// retry calls RetryRevocations from a new process.
func (x *fixture) retry(t *testing.T) (told int, err error) {
	t.Helper()
	return x.flow(t).RetryRevocations(t.Context())
}

// noRevocationLeft fails the test where RetryRevocations still finds something to tell.
func (x *fixture) noRevocationLeft(t *testing.T) {
	t.Helper()
	if told, err := x.retry(t); told != 0 || err != nil {
		t.Errorf("another RetryRevocations told %d: %v", told, err)
	}
}

func TestARevocationIsToldLater(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		creds := x.connect(t, flow)
		secret := x.stored(t).RefreshToken
		mend := x.google.Inject(gmailtest.Fault{Op: "revoke", Status: 503})
		pending(t, flow.Revoke(t.Context(), adaID))
		_, err := creds.Token()
		ended(t, err, tokenstore.ReasonApplication)
		marked := x.stored(t)
		for range 3 {
			told, err := x.retry(t)
			if told != 0 {
				t.Errorf("%d are said to be told", told)
			}
			pending(t, err)
			x.unchanged(t, marked)
			if !x.works(t, secret) {
				t.Fatal("Google was told")
			}
			pass(time.Hour)
		}
		mend()
		if told, err := x.retry(t); told != 1 || err != nil || x.works(t, secret) {
			t.Errorf("told %d: %v", told, err)
		}
		x.noRevocationLeft(t)
	})
}

func TestRevokingAgainTellsWhatIsPending(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	x.connect(t, flow)
	secret := x.stored(t).RefreshToken
	x.google.Inject(gmailtest.Fault{Op: "revoke", Status: 503, Times: 1})
	pending(t, flow.Revoke(t.Context(), adaID))
	if err := flow.Revoke(t.Context(), adaID); err != nil || x.works(t, secret) {
		t.Errorf("Revoke: %v", err)
	}
	x.noRevocationLeft(t)
}

func TestForgetKeepsARevocationThatIsPending(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	x.connect(t, flow)
	secret := x.stored(t).RefreshToken
	x.google.Inject(gmailtest.Fault{Op: "revoke", Status: 503, Times: 1})
	pending(t, flow.Revoke(t.Context(), adaID))
	if err := flow.Forget(t.Context(), adaID); err != nil {
		t.Fatal(err)
	}
	if told, err := x.retry(t); told != 1 || err != nil || x.works(t, secret) {
		t.Errorf("told %d: %v", told, err)
	}
	x.noRevocationLeft(t)
}

func TestANewConsentSupersedesARevocationThatIsPending(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	x.connect(t, flow)
	x.google.Inject(gmailtest.Fault{Op: "revoke", Status: 503, Times: 1})
	pending(t, flow.Revoke(t.Context(), adaID))
	again := x.connect(t, flow)
	before := x.stored(t)
	told, err := x.retry(t)
	if told != 0 || err != nil || x.google.Count("revoke") != 1 {
		t.Errorf("of a revocation that is dropped, the provider was told %d times and is said to be %d times: %v",
			x.google.Count("revoke")-1, told, err)
	}
	x.unchanged(t, before)
	if !x.works(t, before.RefreshToken) || token(t, again) != before.AccessToken {
		t.Error("the new grant has ended")
	}
	x.noRevocationLeft(t)
}

func TestAnOlderGrantIsRevokedWhereTheNewerOneHasEnded(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	x.connect(t, flow)
	secret := x.stored(t).RefreshToken
	x.google.Inject(gmailtest.Fault{Op: "revoke", Status: 503, Times: 1})
	pending(t, flow.Revoke(t.Context(), adaID))
	x.connect(t, flow)
	if err := flow.MarkRevoked(t.Context(), adaID, tokenstore.ReasonUser); err != nil {
		t.Fatal(err)
	}
	if told, err := x.retry(t); told != 1 || err != nil || x.works(t, secret) {
		t.Errorf("RetryRevocations told %d: %v", told, err)
	}
	x.noRevocationLeft(t)
}

func TestSeveralProcessesTellOfOneRevocation(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		x.connect(t, flow)
		mend := x.google.Inject(gmailtest.Fault{Op: "revoke", Status: 503})
		pending(t, flow.Revoke(t.Context(), adaID))
		mend()
		x.google.Inject(gmailtest.Fault{Op: "revoke", Delay: 2 * time.Second})
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if told, err := x.retry(t); told != 1 || err != nil {
					t.Errorf("RetryRevocations told %d: %v", told, err)
				}
			})
		}
		all.Wait()
		x.noRevocationLeft(t)
	})
}

func TestARevocationThatIsNotedAnewWhileItIsToldStaysPending(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	x.connect(t, flow)
	notes, err := tokenstore.NewGrants(tokenstore.Namespace(x.store, "mailgrant revocations"), x.keys)
	if err != nil {
		t.Fatal(err)
	}
	key := adaID + " " + x.stored(t).ID
	_, successor, err := x.google.Grant(ada, gmailReadonly)
	if err != nil {
		t.Fatal(err)
	}
	x.google.Inject(gmailtest.Fault{Op: "revoke", Times: 1, Status: 200, Match: func(*http.Request) bool {
		if _, err := notes.Update(t.Context(), key, func(note *tokenstore.Grant) error {
			note.RefreshToken = successor // another process's refresh brought it
			return nil
		}); err != nil {
			t.Error(err)
		}
		return true
	}})
	if err := flow.Revoke(t.Context(), adaID); err != nil {
		t.Errorf("Revoke: %v", err)
	}
	if told, err := x.retry(t); told != 1 || err != nil || x.works(t, successor) {
		t.Errorf("RetryRevocations told %d: %v", told, err)
	}
	x.noRevocationLeft(t)
}

func TestARevocationSurvivesACrashBetweenNotingAndMarking(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	store := &ambiguousStore{TokenStore: x.store}
	flow := x.flow(t, func(cfg *authflow.Config) { cfg.Store = store })
	x.connect(t, flow)
	before := x.stored(t)
	store.lose.Store(2) // the first notes, the second marks
	if err := flow.Revoke(t.Context(), adaID); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("Revoke: %v", err)
	}
	x.unchanged(t, before)
	if told, err := x.retry(t); told != 1 || err != nil || x.works(t, before.RefreshToken) {
		t.Errorf("told %d: %v", told, err)
	}
	if after := x.stored(t); !after.Status.Revoked || after.Status.Reason != tokenstore.ReasonApplication || after.RefreshToken != "" {
		t.Errorf("stored %+v", after)
	}
	x.noRevocationLeft(t)
}

func TestWhatComesBetweenNotingAndMarkingIsNotedToo(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(t *testing.T, x *fixture){
		"a new consent": func(t *testing.T, x *fixture) { t.Helper(); x.connect(t, x.flow(t)) },
		"a rotated refresh token": func(t *testing.T, x *fixture) {
			t.Helper()
			_, next, err := x.google.Grant(ada, gmailReadonly)
			if err != nil {
				t.Fatal(err)
			}
			x.change(t, func(g *tokenstore.Grant) { g.RefreshToken = next })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			flow := x.flow(t)
			x.connect(t, flow)
			var secret string
			x.store.interrupt(func() {
				x.store.interrupt(func() {
					meanwhile(t, x)
					secret = x.stored(t).RefreshToken
				})
			})
			mend := x.google.Inject(gmailtest.Fault{Op: "revoke", Status: 503})
			err := flow.Revoke(t.Context(), adaID)
			mend()
			if secret == "" {
				t.Fatal("nothing came between")
			}
			if _, rerr := x.retry(t); rerr != nil {
				t.Error(rerr)
			}
			switch after := x.stored(t); {
			case after.Status.Revoked && x.works(t, secret):
				t.Errorf("the grant has ended here, and nobody will tell the provider (Revoke said: %v)", err)
			case !after.Status.Revoked && !x.works(t, after.RefreshToken):
				t.Errorf("the grant has ended at the provider, and lives here (Revoke said: %v)", err)
			}
		})
	}
}

func TestANewerRevocationIsNotDroppedWithAnOlderOne(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		x.connect(t, flow)
		remove := x.google.Inject(gmailtest.Fault{Op: "revoke", Status: 503})
		pending(t, flow.Revoke(t.Context(), adaID))
		remove()
		x.google.Inject(gmailtest.Fault{Op: "revoke", Delay: 2 * time.Second, Times: 1})
		done := make(chan error)
		go func() {
			_, err := x.flow(t).RetryRevocations(context.WithoutCancel(t.Context()))
			done <- err
		}()
		pass(3 * time.Second) // it has told
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		x.connect(t, flow)
		secret := x.stored(t).RefreshToken
		slow := x.google.Inject(gmailtest.Fault{Op: "revoke", Delay: 2 * time.Second, DropAfter: true})
		go func() { done <- flow.Revoke(context.WithoutCancel(t.Context()), adaID) }()
		synctest.Wait()
		pass(5 * time.Second)
		pending(t, <-done)
		slow()
		if _, err := x.retry(t); err != nil || x.works(t, secret) {
			t.Errorf("RetryRevocations: %v", err)
		}
	})
}

func TestAnUnreadableRevocationHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	secrets := make(map[string]string) // by user
	x.google.Inject(gmailtest.Fault{Op: "revoke", Status: 503, Times: 8})
	for _, userID := range []string{"1", "2", "3", "4", "5", "6", "7", "8"} {
		x.google.AddUser(gmailtest.User{Email: userID + "@example.com", Sub: userID})
		_, refresh, err := x.google.Grant(userID+"@example.com", gmailReadonly)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := flow.Import(t.Context(), authflow.ImportedToken{RefreshToken: refresh, UserID: userID}); err != nil {
			t.Fatal(err)
		}
		secrets[userID] = refresh
		if err := flow.Revoke(t.Context(), userID); err == nil {
			t.Fatal("the revocation is not pending")
		}
	}
	const damaged = "4"
	var key string // of the note
	for k, err := range tokenstore.List(t.Context(), x.store, "") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(k, "ns:") && strings.Contains(k, "/grant/"+damaged) {
			key = k
		}
	}
	note, err := x.store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.store.Swap(t.Context(), key, note.Version, tokenstore.Record{Version: "damaged", Data: []byte("damaged")}); err != nil {
		t.Fatal(err)
	}
	told, err := x.retry(t)
	if _, ok := errors.AsType[*tokenstore.UnsealError](err); !ok || told != 7 {
		t.Errorf("RetryRevocations told %d: %v", told, err)
	}
	for userID, secret := range secrets {
		if userID != damaged && x.works(t, secret) {
			t.Errorf("the revocation of user %s is still pending", userID)
		}
	}
}

func TestWhatGoesOverAllGrantsNeedsAStoreThatLists(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t, func(cfg *authflow.Config) { cfg.Store = unlisted{x.store} })
	x.connect(t, flow)
	before := x.stored(t)
	if _, err := flow.RetryRevocations(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("RetryRevocations: %v", err)
	}
	if _, err := flow.KeepAlive(t.Context(), authflow.KeepAliveOptions{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("KeepAlive: %v", err)
	}
	yields := 0
	for grant, err := range flow.Grants(t.Context()) {
		if yields++; grant != nil || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Grants yields %v, %v", grant, err)
		}
	}
	if yields != 1 {
		t.Errorf("Grants yields %d times", yields)
	}
	x.unchanged(t, before)
}

// unlisted is a store that can't list.
type unlisted struct{ tokenstore.TokenStore }

func (u unlisted) Unwrap() tokenstore.TokenStore { return nil }
