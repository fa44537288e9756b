package storetest_test

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/mailgrant/mailgrant/tokenstore"
)

type unprefixed struct{ *tokenstore.Memory }

func (s unprefixed) Keys(ctx context.Context, _ string) iter.Seq2[string, error] {
	return s.Memory.Keys(ctx, "")
}

// filtered lists the keys that match the prefix in its own way.
type filtered struct {
	*tokenstore.Memory
	match func(key, prefix string) bool
}

func (s filtered) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for key, err := range s.Memory.Keys(ctx, "") {
			if (err != nil || s.match(key, prefix)) && !yield(key, err) {
				return
			}
		}
	}
}

// like matches as SQL does: "_" stands for any byte.
func like(key, prefix string) bool {
	if len(key) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if prefix[i] != '_' && prefix[i] != key[i] {
			return false
		}
	}
	return true
}

func foldedPrefix(key, prefix string) bool {
	return len(key) >= len(prefix) && strings.EqualFold(key[:len(prefix)], prefix)
}

type onePage struct{ *tokenstore.Memory }

func (s onePage) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		n := 0
		for key, err := range s.Memory.Keys(ctx, prefix) {
			if n++; n > 100 || !yield(key, err) {
				return
			}
		}
	}
}

// positional asks for the keys in pages by their position, as OFFSET and LIMIT do.
type positional struct{ *tokenstore.Memory }

func (s positional) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		const page = 50
		for offset := 0; ; offset += page {
			var keys []string
			for key, err := range s.Memory.Keys(ctx, prefix) {
				if err != nil {
					yield("", err)
					return
				}
				keys = append(keys, key)
			}
			slices.Sort(keys)
			if offset >= len(keys) {
				return
			}
			for _, key := range keys[offset:min(offset+page, len(keys))] {
				if !yield(key, nil) {
					return
				}
			}
		}
	}
}

// unchanged lists only the records that are as they were when the listing began.
type unchanged struct{ *tokenstore.Memory }

func (s unchanged) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		versions := make(map[string]string)
		for key, err := range s.Memory.Keys(ctx, prefix) {
			if err == nil {
				r, _ := s.Get(ctx, key)
				versions[key] = r.Version
			}
		}
		for key, err := range s.Memory.Keys(ctx, prefix) {
			if r, _ := s.Get(ctx, key); r.Version == versions[key] && !yield(key, err) {
				return
			}
		}
	}
}

// hoarding lists every key that was ever stored.
type hoarding struct {
	*tokenstore.Memory
	mu   sync.Mutex
	ever []string
}

func (s *hoarding) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	err := s.Memory.Swap(ctx, key, oldVersion, next)
	if err == nil && oldVersion == "" && next.Version != "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ever = append(s.ever, key)
	}
	return err
}

func (s *hoarding) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		s.mu.Lock()
		ever := slices.Clone(s.ever)
		s.mu.Unlock()
		for _, key := range ever {
			if err := ctx.Err(); err != nil {
				yield("", err)
				return
			}
			if strings.HasPrefix(key, prefix) && !yield(key, nil) {
				return
			}
		}
	}
}

// locking lets nobody write while it lists.
type locking struct {
	*tokenstore.Memory
	mu sync.Mutex
}

func (s *locking) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Memory.Swap(ctx, key, oldVersion, next)
}

func (s *locking) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.Memory.Keys(ctx, prefix)(yield)
	}
}

// leaking forgets to unlock when a listing ends early.
type leaking struct{ locking }

func (s *leaking) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var keys []string
		for key, err := range s.Memory.Keys(ctx, prefix) {
			if err != nil {
				yield("", err)
				return
			}
			keys = append(keys, key)
		}
		if len(keys) == 0 {
			return
		}
		for _, key := range keys[:len(keys)-1] {
			if !yield(key, nil) {
				s.mu.TryLock()
				return
			}
		}
		yield(keys[len(keys)-1], nil)
	}
}

// quiet ends a canceled listing as if it were complete.
type quiet struct{ *tokenstore.Memory }

func (s quiet) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for key, err := range s.Memory.Keys(ctx, prefix) {
			if err != nil || !yield(key, nil) {
				return
			}
		}
	}
}

// talkative yields its error again and again.
type talkative struct{ *tokenstore.Memory }

func (s talkative) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for key, err := range s.Memory.Keys(context.WithoutCancel(ctx), prefix) {
			if ctx.Err() != nil {
				key, err = "", ctx.Err()
			}
			if !yield(key, err) {
				return
			}
		}
	}
}
