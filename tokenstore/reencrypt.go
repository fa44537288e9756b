package tokenstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Progress is how far a Reencrypt has come.
type Progress struct {
	Read       int // grants looked at
	Resealed   int // of them, sealed anew with the primary key
	Unreadable int // of them, not opened: sealed with a missing key, or damaged
}

// Reencrypt seals every grant in store, those in namespaces too, with aead's primary key, so that the older keys can be
// dropped from a Keyring. Writers may go on meanwhile, if they have the new key too and seal with it.
//
// It holds one grant at a time. Run again after an interruption, it reads everything but writes only what is left. With
// an AEAD other than a Keyring, which can't tell which key sealed a record, it writes everything.
//
// report, unless it is nil, is called after each grant. Grants that can't be read are counted and left as they
// are; the error wraps the first of their *UnsealErrors. Other errors, the store's, end the run.
func Reencrypt(ctx context.Context, store TokenStore, aead AEAD, report func(Progress)) (Progress, error) {
	var done Progress
	var unreadable error
	grants, err := NewGrants(store, aead)
	if err != nil {
		return done, err
	}
	for key, err := range List(ctx, store, "") {
		if err != nil {
			return done, fmt.Errorf("tokenstore: reencrypt: %w", err)
		}
		userID, ok := grantOf(key)
		if !ok {
			continue
		}
		resealed, err := grants.reseal(ctx, key, userID)
		if _, damaged := errors.AsType[*UnsealError](err); damaged {
			done.Unreadable++
			if unreadable == nil {
				unreadable = err
			}
		} else if err != nil {
			return done, fmt.Errorf("tokenstore: reencrypt: %w", err)
		}
		done.Read++
		if resealed {
			done.Resealed++
		}
		if report != nil {
			report(done)
		}
	}
	if unreadable != nil {
		return done, fmt.Errorf("tokenstore: reencrypt: %d of %d grants can't be read, the first: %w",
			done.Unreadable, done.Read, unreadable)
	}
	return done, nil
}

// grantOf returns whose grant is stored under key, which may be in a namespace.
func grantOf(key string) (userID string, ok bool) {
	for strings.HasPrefix(key, namespacePrefix) {
		_, key, _ = strings.Cut(key, "/")
	}
	return strings.CutPrefix(key, grantPrefix)
}

// reseal seals what is stored under key with the primary key, and reports whether it had to.
func (g *Grants) reseal(ctx context.Context, key, userID string) (bool, error) {
	for try := 1; ; try++ {
		rec, err := g.store.Get(ctx, key)
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if ring, ok := g.aead.(*Keyring); ok && ring.sealedByPrimary(rec.Data) {
			return false, nil
		}
		plain, err := g.aead.Decrypt(rec.Data, g.associatedData(key, rec.Version))
		if err != nil {
			return false, &UnsealError{UserID: userID, Err: err}
		}
		next, err := g.sealBytes(key, plain)
		if err != nil {
			return false, err
		}
		err = g.store.Swap(ctx, key, rec.Version, next)
		if err != nil {
			err = g.outcome(ctx, key, rec.Version, next.Version, err)
		}
		if err == nil {
			return true, nil
		}
		if err := again(ctx, try, err); err != nil {
			return false, err
		}
	}
}
