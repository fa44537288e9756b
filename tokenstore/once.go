package tokenstore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Once remembers for a while what must happen but once, over all processes that share a store: a sign-in by its state, a
// security event by its identifier. It keeps a bounded number of bounded records, sealed, and cleans them up as it
// goes. It is safe for concurrent use.
type Once struct {
	store TokenStore
	aead  AEAD
	now   func() time.Time
}

// NewOnce returns the Once that store keeps; a Namespace of its own keeps it apart from others. A nil now is time.Now.
//
// Errors: as NewGrants.
func NewOnce(store TokenStore, aead AEAD, now func() time.Time) (*Once, error) {
	if _, err := NewGrants(store, aead); err != nil {
		return nil, err
	}
	if now == nil {
		now = time.Now
	}
	return &Once{store: store, aead: aead, now: now}, nil
}

// A Mark is what a Once remembers of an ID.
type Mark struct {
	At    time.Time // when it was claimed
	Until time.Time // for how long it is remembered, at least
	Note  []byte    // what Settle left, or nil
}

// The size of a Once. Full, it forgets first what it would have forgotten soonest, but nothing in the moment that it is claimed.
const (
	onceRecords = 256
	onceMarks   = 1024             // in a record
	onceSkew    = 10 * time.Minute // by which the clocks of two machines may differ
)

// onceMark is a Mark as it is stored.
type onceMark struct {
	Hash  string    `json:"id"`
	By    string    `json:"by"` // random: tells the claimer that a claim is its own
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
	Note  []byte    `json:"note,omitempty"`
}

func (m onceMark) mark() *Mark { return &Mark{At: m.At, Until: m.Until, Note: m.Note} }

// errKnown ends an update that has nothing to write.
var errKnown = errors.New("known already")

// Claim claims id until then. It returns nil to exactly one caller, and to all others the Mark of the first.
//
// Errors: what the store answers; id may then be claimed or not.
func (o *Once) Claim(ctx context.Context, id string, until time.Time) (*Mark, error) {
	mine := onceMark{Hash: onceHash(id), By: rand.Text(), At: o.now(), Until: until}
	var first *Mark
	err := o.update(ctx, mine.Hash, func(marks []onceMark) ([]onceMark, error) {
		for _, m := range marks {
			if m.Hash == mine.Hash && m.By != mine.By {
				first = m.mark()
			}
			if m.Hash == mine.Hash {
				return nil, errKnown
			}
		}
		return append(marks, mine), nil
	})
	if err != nil && !errors.Is(err, errKnown) {
		return nil, fmt.Errorf("tokenstore: claim: %w", err)
	}
	return first, nil
}

// Settle leaves a note with id, for those who find it claimed.
//
// Errors: ErrNotFound, wrapped, if id is not claimed; what the store answers otherwise.
func (o *Once) Settle(ctx context.Context, id string, note []byte) error {
	hash := onceHash(id)
	err := o.update(ctx, hash, func(marks []onceMark) ([]onceMark, error) {
		i := slices.IndexFunc(marks, func(m onceMark) bool { return m.Hash == hash })
		if i < 0 {
			return nil, ErrNotFound
		}
		marks[i].Note = note
		return marks, nil
	})
	if err != nil {
		return fmt.Errorf("tokenstore: settle: %w", err)
	}
	return nil
}

// Look returns the Mark of id.
//
// Errors: ErrNotFound, wrapped, if id is not claimed; what the store answers otherwise.
func (o *Once) Look(ctx context.Context, id string) (*Mark, error) {
	hash := onceHash(id)
	_, marks, err := o.read(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf("tokenstore: look: %w", err)
	}
	for _, m := range marks {
		if m.Hash == hash {
			return m.mark(), nil
		}
	}
	return nil, fmt.Errorf("tokenstore: look: %w", ErrNotFound)
}

func onceHash(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:1]) + base64.RawURLEncoding.EncodeToString(sum[1:])
}

// onceKey is where the marks are kept whose hashes begin alike.
func onceKey(hash string) string { return "once/" + hash[:2] }

// update is the read-change-put loop of a record.
func (o *Once) update(ctx context.Context, hash string, change func([]onceMark) ([]onceMark, error)) error {
	key := onceKey(hash)
	for try := 1; ; try++ {
		version, marks, err := o.read(ctx, hash)
		if err != nil {
			return err
		}
		if marks, err = change(marks); err != nil {
			return err
		}
		rec, err := o.seal(key, marks)
		if err != nil {
			return err
		}
		if err = o.store.Swap(ctx, key, version, rec); err == nil {
			return nil
		}
		// The answer may have been lost, and not the write.
		if now, rerr := o.store.Get(ctx, key); rerr == nil && now.Version == rec.Version {
			return nil
		}
		if err := again(ctx, try, err); err != nil {
			return err
		}
	}
}

// read returns the version of a record and what in it is not past. One that can't be opened, since its key was dropped say, is
// as good as empty: Reencrypt passes it over, and what it remembered is claimed once more at worst.
func (o *Once) read(ctx context.Context, hash string) (string, []onceMark, error) {
	key := onceKey(hash)
	rec, err := o.store.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	var marks []onceMark
	plain, err := o.aead.Decrypt(rec.Data, o.associatedData(key, rec.Version))
	if err != nil || json.Unmarshal(plain, &marks) != nil {
		return rec.Version, nil, nil //nolint:nilerr // see above
	}
	past := o.now().Add(-onceSkew)
	return rec.Version, slices.DeleteFunc(marks, func(m onceMark) bool { return m.Until.Before(past) }), nil
}

func (o *Once) seal(key string, marks []onceMark) (Record, error) {
	for len(marks) > onceMarks {
		soonest := 0
		for i, m := range marks[:len(marks)-1] { // the last was claimed just now
			if m.Until.Before(marks[soonest].Until) {
				soonest = i
			}
		}
		marks = slices.Delete(marks, soonest, soonest+1)
	}
	plain, err := json.Marshal(marks)
	if err != nil {
		return Record{}, err
	}
	version := rand.Text()
	data, err := o.aead.Encrypt(plain, o.associatedData(key, version))
	if err != nil {
		return Record{}, err
	}
	return Record{Version: version, Data: data}, nil
}

// associatedData names the one place and version that sealed marks may be read from.
func (o *Once) associatedData(key, version string) []byte {
	return []byte("mailgrant once\x00" + version + "\x00" + fullKey(o.store, key))
}
