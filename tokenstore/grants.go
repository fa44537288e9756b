package tokenstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	mathrand "math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"
)

// grantPrefix keeps grants apart from whatever else is kept in the same store.
const grantPrefix = "grant/"

// Grants is the typed, sealed view of the grants in a TokenStore. Every grant is encoded and
// sealed as a whole; the seal binds it to its key (namespaces included) and version, so that a record
// that was swapped with another, truncated or changed can't be read as a grant. There is no plaintext mode.
//
// Grants is safe for concurrent use, by many processes on one store.
type Grants struct {
	store TokenStore
	aead  AEAD
}

// NewGrants returns the grants in store, sealed with aead: a *Keyring, or a key management service
// that satisfies AEAD.
//
// Errors: *KeyError if there is no key.
func NewGrants(store TokenStore, aead AEAD) (*Grants, error) {
	if store == nil {
		return nil, errors.New("tokenstore: no TokenStore; NewMemory() is one for tests")
	}
	if k, ok := aead.(*Keyring); aead == nil || ok && (k == nil || len(k.keys) == 0) {
		return nil, errNoKeys
	}
	return &Grants{store: store, aead: aead}, nil
}

// Get returns the grant of userID.
//
// Errors: ErrNotFound; *UnsealError if the record can't be opened; what the store answers otherwise.
func (g *Grants) Get(ctx context.Context, userID string) (*Grant, error) {
	rec, err := g.store.Get(ctx, grantPrefix+userID)
	if err != nil {
		return nil, fmt.Errorf("tokenstore: get the grant of user %q: %w", userID, err)
	}
	return g.open(userID, rec)
}

// Put stores grant under its UserID if the stored version is still the one that grant was read from or
// last written to; a grant that never was stored is created. Afterwards grant stands
// for the new version. If the store's answer was lost, Put reads to find out whether the write took effect.
//
// Errors: ErrConflict if something else is stored now, after which the caller reads again; what the store answers
// otherwise, after which the write may or may not have happened.
func (g *Grants) Put(ctx context.Context, grant *Grant) error {
	if grant.UserID == "" || !utf8.ValidString(grant.UserID) {
		return fmt.Errorf("tokenstore: put: the grant's UserID %q is empty or not UTF-8; it is the subject of an ID token", grant.UserID)
	}
	rec, err := g.seal(grant)
	if err != nil {
		return fmt.Errorf("tokenstore: seal the grant of user %q: %w", grant.UserID, err)
	}
	key := grantPrefix + grant.UserID
	if err := g.store.Swap(ctx, key, grant.version, rec); err != nil {
		if err := g.outcome(ctx, key, grant.version, rec.Version, err); err != nil {
			return fmt.Errorf("tokenstore: put the grant of user %q: %w", grant.UserID, err)
		}
	}
	grant.version = rec.Version
	return nil
}

// outcome finds out by reading what became of a Swap from old to next that failed with err: nil if it took effect,
// ErrConflict if it never can. Even a conflict may be a success, where a store that tried twice met its own first write.
func (g *Grants) outcome(ctx context.Context, key, old, next string, err error) error {
	now, rerr := g.store.Get(ctx, key)
	switch {
	case rerr != nil && !errors.Is(rerr, ErrNotFound):
		return err
	case now.Version == next:
		return nil
	case now.Version != old && !errors.Is(err, ErrConflict):
		return fmt.Errorf("%w, after: %w", ErrConflict, err)
	}
	return err
}

// Update reads the grant of userID, lets change change it, and puts it; where somebody else was faster it does so again, after
// a short pause. Where nothing is stored, change is given a Grant with only its UserID set. An error of change ends Update
// and is returned as it is, with the grant as it was read.
//
// Errors: those of change; *UnsealError; ErrConflict, wrapped, if the grant never stands still; what the store answers otherwise.
func (g *Grants) Update(ctx context.Context, userID string, change func(*Grant) error) (*Grant, error) {
	for try := 1; ; try++ {
		grant, err := g.Get(ctx, userID)
		if errors.Is(err, ErrNotFound) {
			grant, err = &Grant{UserID: userID}, nil
		}
		if err != nil {
			return nil, err
		}
		if err := change(grant); err != nil {
			return grant, err
		}
		if err = g.Put(ctx, grant); err == nil {
			return grant, nil
		}
		if err := again(ctx, try, err); err != nil {
			return nil, err
		}
	}
}

// Remove deletes grant if the stored version is still the one that it was read from or last written to.
//
// Errors: as Put.
func (g *Grants) Remove(ctx context.Context, grant *Grant) error {
	key := grantPrefix + grant.UserID
	if err := g.store.Swap(ctx, key, grant.version, Record{}); err != nil {
		if err := g.outcome(ctx, key, grant.version, "", err); err != nil {
			return fmt.Errorf("tokenstore: remove the grant of user %q: %w", grant.UserID, err)
		}
	}
	grant.version = ""
	return nil
}

// Delete removes whatever is stored for userID, whether it can be opened or not. It is no error if nothing is there. What the
// store itself can't read, it may refuse to delete, as filestore does with a damaged file.
//
// Errors: as Update.
func (g *Grants) Delete(ctx context.Context, userID string) error {
	key := grantPrefix + userID
	for try := 1; ; try++ {
		rec, err := g.store.Get(ctx, key)
		if err == nil {
			err = g.store.Swap(ctx, key, rec.Version, Record{})
		}
		if err == nil || errors.Is(err, ErrNotFound) {
			return nil
		}
		if err := again(ctx, try, fmt.Errorf("tokenstore: delete the grant of user %q: %w", userID, err)); err != nil {
			return err
		}
	}
}

// conflicts is how often a write that always comes too late is tried.
const conflicts = 30

// again decides what follows the failure of a write: nil, after a pause that grows, if it came too late and may be tried
// again, else the error to return.
func again(ctx context.Context, try int, err error) error {
	if !errors.Is(err, ErrConflict) || try == conflicts {
		return err
	}
	if try == 1 {
		return ctx.Err()
	}
	pause := min(time.Millisecond<<min(try, 10), 200*time.Millisecond)
	t := time.NewTimer(pause/2 + mathrand.N(pause))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w, after: %w", ctx.Err(), err)
	}
}

// All yields every stored grant, in no particular order, as Lister describes. A grant that can't be read is
// yielded as (nil, *UnsealError) and does not end the iteration; an error of the store
// does. Where the store can't list, the error is errors.ErrUnsupported, wrapped.
func (g *Grants) All(ctx context.Context) iter.Seq2[*Grant, error] {
	return func(yield func(*Grant, error) bool) {
		for key, err := range List(ctx, g.store, grantPrefix) {
			if err != nil {
				yield(nil, fmt.Errorf("tokenstore: list grants: %w", err))
				return
			}
			grant, err := g.Get(ctx, strings.TrimPrefix(key, grantPrefix))
			if errors.Is(err, ErrNotFound) {
				continue // deleted since it was listed
			}
			var unreadable *UnsealError
			if !yield(grant, err) || err != nil && !errors.As(err, &unreadable) {
				return
			}
		}
	}
}

func (g *Grants) seal(grant *Grant) (Record, error) {
	plain, err := grant.encode()
	if err != nil {
		return Record{}, err
	}
	return g.sealBytes(grantPrefix+grant.UserID, plain)
}

// sealBytes returns the record of an encoded grant for key.
func (g *Grants) sealBytes(key string, plain []byte) (Record, error) {
	version := rand.Text()
	data, err := g.aead.Encrypt(plain, g.associatedData(key, version))
	if err != nil {
		return Record{}, err
	}
	return Record{Version: version, Data: data}, nil
}

func (g *Grants) open(userID string, rec Record) (*Grant, error) {
	plain, err := g.aead.Decrypt(rec.Data, g.associatedData(grantPrefix+userID, rec.Version))
	if err != nil {
		return nil, &UnsealError{UserID: userID, Err: err, version: rec.Version}
	}
	grant, err := decodeGrant(plain)
	if err != nil {
		return nil, &UnsealError{UserID: userID, Err: err, version: rec.Version}
	}
	if grant.UserID != userID {
		err := errors.New("the record holds the grant of another user")
		return nil, &UnsealError{UserID: userID, Err: err, version: rec.Version}
	}
	grant.version = rec.Version
	return grant, nil
}

// associatedData names the one place and version that a sealed grant may be read from. A version never holds a
// NUL, so two pairs never give the same bytes.
func (g *Grants) associatedData(key, version string) []byte {
	return []byte("mailgrant grant\x00" + version + "\x00" + fullKey(g.store, key))
}

// An UnsealError says that a stored grant can't be read: its key is not in the keyring, or the record is
// not what was written under that key and version. The record is left as it is. Bring
// the missing key or a backup back, or delete the grant and ask the user for a new consent.
type UnsealError struct {
	UserID string
	Err    error // an *UnknownKeyError, or what the AEAD said

	version string
}

func (e *UnsealError) Error() string {
	return fmt.Sprintf("tokenstore: the grant of user %q can't be read: %v; restore the missing key or record, "+
		"or delete the grant and ask the user for a new consent", e.UserID, e.Err)
}

// Unwrap returns the cause.
func (e *UnsealError) Unwrap() error { return e.Err }

// Replacement returns a Grant with only its UserID set that stands for the very record that can't be read: Put writes over
// that record and Remove removes it, and both fail with ErrConflict if something else is stored by now. The error is
// one that Get, Update or All of the same Grants returned; that of Reencrypt gives a Grant that was never stored.
func (e *UnsealError) Replacement() *Grant { return &Grant{UserID: e.UserID, version: e.version} }
