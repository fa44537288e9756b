package tokenstore

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
)

// Memory is a TokenStore and Lister in memory, for tests and for programs of one process whose
// grants may be lost with it. The zero Memory is empty and ready to use. It is safe for
// concurrent use and must not be copied.
type Memory struct {
	mu      sync.RWMutex
	records map[string]Record
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory { return new(Memory) }

// Get implements TokenStore.
func (m *Memory) Get(ctx context.Context, key string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	r, ok := m.records[key]
	if !ok {
		return Record{}, ErrNotFound
	}
	r.Data = bytes.Clone(r.Data)
	return r, nil
}

// Swap implements TokenStore.
func (m *Memory) Swap(ctx context.Context, key, oldVersion string, next Record) error {
	if err := CheckSwap(key, next); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records[key].Version != oldVersion {
		return ErrConflict
	}
	if next.Version == "" {
		delete(m.records, key)
		return nil
	}
	if m.records == nil {
		m.records = make(map[string]Record)
	}
	next.Data = bytes.Clone(next.Data)
	m.records[key] = next
	return nil
}

// Keys implements Lister. It yields the keys that were stored when the iteration began.
func (m *Memory) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		m.mu.RLock()
		keys := make([]string, 0, len(m.records))
		for k := range m.records {
			if strings.HasPrefix(k, prefix) {
				keys = append(keys, k)
			}
		}
		m.mu.RUnlock()
		for _, k := range keys {
			if err := ctx.Err(); err != nil {
				yield("", err)
				return
			}
			if !yield(k, nil) {
				return
			}
		}
	}
}

// String keeps the records out of logs.
func (m *Memory) String() string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return fmt.Sprintf("tokenstore.Memory(%d records)", len(m.records))
}
