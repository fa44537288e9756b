package authflow_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// A slowStore holds one call until it is released.
type slowStore struct {
	*faultyStore

	swaps atomic.Int32

	mu        sync.Mutex
	get, swap *held
}

// A held call says that it has begun, and waits.
type held struct{ begun, release chan struct{} }

func newHeld() *held { return &held{make(chan struct{}), make(chan struct{})} }

func (h *held) wait() {
	close(h.begun)
	<-h.release
}

// holdGet and holdSwap hold the next call: a Get has its answer then, a Swap has done nothing yet.
func (s *slowStore) holdGet() *held  { return s.hold(&s.get) }
func (s *slowStore) holdSwap() *held { return s.hold(&s.swap) }

func (s *slowStore) hold(what **held) *held {
	s.mu.Lock()
	defer s.mu.Unlock()
	*what = newHeld()
	return *what
}

func (s *slowStore) take(what **held) *held {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := *what
	*what = nil
	return h
}

func (s *slowStore) Get(ctx context.Context, key string) (tokenstore.Record, error) {
	rec, err := s.faultyStore.Get(ctx, key)
	if h := s.take(&s.get); h != nil {
		h.wait()
	}
	return rec, err
}

func (s *slowStore) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	s.swaps.Add(1)
	if h := s.take(&s.swap); h != nil {
		h.wait()
		return s.TokenStore.Swap(context.WithoutCancel(ctx), key, oldVersion, next) // which was on its way before the faults
	}
	return s.faultyStore.Swap(ctx, key, oldVersion, next)
}

// refreshUnstored has creds refreshed in place of rejected while the store takes no result, and returns the token.
func (x *fixture) refreshUnstored(t *testing.T, creds *authflow.Credentials, rejected string) string {
	t.Helper()
	x.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 2 * time.Second, Times: 1})
	done := make(chan string)
	go func() {
		token, err := creds.Refresh(context.WithoutCancel(t.Context()), rejected)
		if err != nil {
			t.Error(err)
			close(done)
			return
		}
		done <- token.AccessToken
	}()
	pass(time.Second) // the lease is taken
	x.store.fail(nil, errStoreDown)
	return <-done
}

func TestATokenThatIsStoredLateDoesNotHideTheNextThatIsNot(t *testing.T) {
	inBubble(t, gmailtest.Config{RotateRefreshTokens: true}, func(t *testing.T, x *fixture) {
		store := &slowStore{faultyStore: x.store}
		creds := x.connect(t, x.flow(t, func(cfg *authflow.Config) { cfg.Store = store }))
		first := x.refreshUnstored(t, creds, token(t, creds))
		late := store.holdSwap()
		<-late.begun // in the background, first is about to be stored
		x.store.fail(nil, nil)
		second := x.refreshUnstored(t, creds, first) // and that stores first
		close(late.release)
		pass(100 * time.Millisecond) // the background finds out that first is stored

		// second has a refresh token that is not stored: the one that is, is used up.
		start := time.Now()
		if _, err := creds.Refresh(t.Context(), second); !errors.Is(err, errStoreDown) || time.Since(start) > time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		x.store.fail(nil, nil)
		pass(time.Minute)
		if after := x.stored(t); after.AccessToken != second || after.Status != tokenstore.Active || !x.works(t, after.RefreshToken) {
			t.Errorf("stored %+v", after)
		}
	})
}

func TestWhatCannotBeStoredIsTriedTwiceAMinute(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		store := &slowStore{faultyStore: x.store}
		creds := x.connect(t, x.flow(t, func(cfg *authflow.Config) { cfg.Store = store }))
		x.refreshUnstored(t, creds, token(t, creds))
		pass(5 * time.Minute)
		store.swaps.Store(0)
		pass(10 * time.Minute)
		if n := store.swaps.Load(); n < 20 || n > 40 {
			t.Errorf("in 10 minutes it was tried %d times", n)
		}
	})
}

func TestWhatIsForgottenTwiceIsNotServedForAnOlderReading(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		store := &slowStore{faultyStore: x.store}
		flow := x.flow(t, func(cfg *authflow.Config) { cfg.Store = store })
		creds := x.connect(t, flow)
		pass(2 * time.Minute)
		reading := store.holdGet()
		token(t, creds) // it is read anew in the background
		<-reading.begun
		for range 2 {
			if err := flow.Forget(t.Context(), adaID); err != nil {
				t.Fatal(err)
			}
		}
		close(reading.release)
		pass(time.Second)
		if _, err := creds.Token(); !errors.Is(err, tokenstore.ErrNotFound) {
			t.Errorf("Token: %v", err)
		}
	})
}
