package authflow

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// savePause is the pause between attempts to store what must not be lost.
const savePause = 250 * time.Millisecond

// unsaved holds the refreshed tokens that the store would not take yet, by user. They are served; until they are
// stored, this process must not refresh again: it would send a refresh token that may be used up.
type unsaved struct {
	mu sync.Mutex
	by map[string]*unsavedToken
}

// An unsavedToken is what a refresh brought.
type unsavedToken struct {
	claimed, next *tokenstore.Grant // as it was when the provider was asked, and as it is to be
	token         *oauth2.Token
}

func (u *unsaved) of(userID string) *unsavedToken {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.by[userID]
}

func (u *unsaved) add(t *unsavedToken) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.by == nil {
		u.by = make(map[string]*unsavedToken)
	}
	u.by[t.claimed.UserID] = t
}

func (u *unsaved) remove(t *unsavedToken) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.by[t.claimed.UserID] == t {
		delete(u.by, t.claimed.UserID)
	}
}

// save tries to store t. It fails with tokenstore.ErrNotFound or errSuperseded where something newer won.
func (f *Flow) save(ctx context.Context, t *unsavedToken) (*tokenstore.Grant, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	stored, err := f.merge(ctx, t.claimed, t.next.Clone(), t.token)
	if err == nil || superseded(err) {
		f.unsaved.remove(t)
	}
	return stored, err
}

// saveLast tries to store t for some seconds, as the Flow closes: a refresh token that rotated would be lost.
func (f *Flow) saveLast(t *unsavedToken) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	for {
		if _, err := f.save(ctx, t); err == nil || superseded(err) || sleep(ctx, savePause) != nil {
			return
		}
	}
}

// saveLater keeps trying to store t, until it is stored or something newer is, or the Flow closes.
func (f *Flow) saveLater(t *unsavedToken) {
	f.unsaved.add(t)
	trying := f.goBackground(func(ctx context.Context) {
		for tries := 0; ; tries++ {
			if failing.wait(ctx, tries) != nil {
				f.saveLast(t)
				return
			}
			if _, err := f.save(ctx, t); err == nil || superseded(err) {
				return
			}
		}
	})
	if !trying {
		f.saveLast(t) // the Flow closes, and waits for whoever refreshed
	}
}

func superseded(err error) bool {
	return errors.Is(err, errSuperseded) || errors.Is(err, tokenstore.ErrNotFound)
}
