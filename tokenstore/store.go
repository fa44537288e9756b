package tokenstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// ErrNotFound is returned, possibly wrapped, when nothing is stored under a key.
var ErrNotFound = errors.New("tokenstore: not found")

// ErrConflict is returned, possibly wrapped, by a Swap that came too late: the stored
// version was not the one it expected, and nothing was written.
var ErrConflict = errors.New("tokenstore: version conflict")

// A TokenStore keeps versioned bytes. It never sees a token: what it is given is sealed.
//
// A key is any non-empty string of at most 8,192 bytes; keys are compared byte by byte, so two that
// differ only in case or in Unicode normalization are two keys. Data is opaque and may be of any length.
//
// Implementations must be safe for concurrent use by many goroutines, and everything that shares
// the backend, in this process or another, must see one order of Swaps for each key. Different
// keys are independent. An answer is final: once Swap returns nil, a crash of
// any client loses nothing. When a call fails with another error than ErrConflict, say because
// the connection broke, a Swap may or may not have taken effect; the writer finds
// out by reading whether its version is there.
//
// A store that wraps another should have a method Unwrap() TokenStore, so that optional
// abilities of the inner store stay reachable; see List.
type TokenStore interface {
	// Get returns the record stored under key. The caller owns the returned Data.
	// Where nothing is stored it returns ErrNotFound, possibly wrapped.
	Get(ctx context.Context, key string) (Record, error)

	// Swap is the only write. It takes effect only if the version stored under key is still
	// oldVersion, where "" stands for nothing stored; otherwise it changes nothing and
	// returns ErrConflict, possibly wrapped. The zero Record deletes. Swap must not keep
	// or change next.Data.
	Swap(ctx context.Context, key, oldVersion string, next Record) error
}

// A Record is what a TokenStore keeps under a key. The zero Record stands for nothing stored.
type Record struct {
	// Version is chosen by the writer: a short, random text (at most 64 bytes of printable
	// ASCII) that is never used twice, so that a version that was seen once names those bytes for ever.
	Version string
	Data    []byte
}

// A Lister is a TokenStore that can list its keys. Use List rather than a type assertion.
type Lister interface {
	// Keys yields every key that starts with prefix, in no particular order. A key that is
	// stored throughout the iteration is yielded at least once; one that comes or goes meanwhile
	// may be yielded or not. The keys are streamed, not held in memory all at
	// once where the backend can help it, and the store may be written to during the iteration.
	// After yielding an error, the iteration ends.
	Keys(ctx context.Context, prefix string) iter.Seq2[string, error]
}

// List yields the keys of store that start with prefix, as Lister describes. It looks through
// wrappers that have a method Unwrap() TokenStore. Where no store in the chain can list, it
// yields errors.ErrUnsupported, wrapped, once.
func List(ctx context.Context, store TokenStore, prefix string) iter.Seq2[string, error] {
	for s := store; s != nil; s = unwrap(s) {
		if l, ok := s.(Lister); ok {
			return l.Keys(ctx, prefix)
		}
	}
	return func(yield func(string, error) bool) {
		yield("", fmt.Errorf("tokenstore: %T cannot list its keys: %w", store, errors.ErrUnsupported))
	}
}

// unwrap returns the store that s wraps, or nil.
func unwrap(s TokenStore) TokenStore {
	if w, ok := s.(interface{ Unwrap() TokenStore }); ok {
		return w.Unwrap()
	}
	return nil
}

// Limits of what a TokenStore takes.
const (
	MaxKeyBytes     = 8192 // of a key
	MaxVersionBytes = 64   // of a Record's Version
)

// CheckSwap reports what is wrong with the arguments of a Swap: an empty or oversized key, an
// oversized version, or a deletion that carries data. Stores call it before they write.
func CheckSwap(key string, next Record) error {
	switch {
	case key == "":
		return errors.New("tokenstore: empty key")
	case len(key) > MaxKeyBytes:
		return fmt.Errorf("tokenstore: key of %d bytes; at most %d are allowed", len(key), MaxKeyBytes)
	case len(next.Version) > MaxVersionBytes:
		return fmt.Errorf("tokenstore: version of %d bytes; at most %d are allowed", len(next.Version), MaxVersionBytes)
	case next.Version == "" && len(next.Data) > 0:
		return errors.New("tokenstore: record with data but no version; the zero Record deletes")
	}
	return nil
}
