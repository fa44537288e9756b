package tokenstore

import (
	"context"
	"iter"
	"net/url"
	"strings"
)

// Namespace returns the part of store that belongs to name: a TokenStore of its own, which sees no other
// namespace's keys. Any text is a name. Namespaces may be nested. What was sealed in one can't be read in another.
//
// A namespace seals its name in. So a store that wraps one must have Unwrap from the start: added later, it makes
// what was sealed before unreadable.
//
// The name counts towards MaxKeyBytes. Keys that are kept in store itself should not start with "ns:".
func Namespace(store TokenStore, name string) TokenStore {
	// Escaped, a name holds no slash: no two (name, key) pairs make the same key.
	return &namespace{store: store, prefix: namespacePrefix + url.PathEscape(name) + "/"}
}

const namespacePrefix = "ns:"

type namespace struct {
	store  TokenStore
	prefix string
}

func (n *namespace) Get(ctx context.Context, key string) (Record, error) {
	return n.store.Get(ctx, n.prefix+key)
}

func (n *namespace) Swap(ctx context.Context, key, oldVersion string, next Record) error {
	if err := CheckSwap(key, next); err != nil {
		return err
	}
	return n.store.Swap(ctx, n.prefix+key, oldVersion, next)
}

// Keys lists what the inner store has under the namespace, where that can list.
func (n *namespace) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for key, err := range List(ctx, n.store, n.prefix+prefix) {
			if !yield(strings.TrimPrefix(key, n.prefix), err) {
				return
			}
		}
	}
}

// fullKey returns what key of s is called in the innermost store that can be reached.
func fullKey(s TokenStore, key string) string {
	for s != nil {
		if n, ok := s.(*namespace); ok {
			s, key = n.store, n.prefix+key
			continue
		}
		s = unwrap(s)
	}
	return key
}
