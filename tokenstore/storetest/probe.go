package storetest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// A probe acts on the store under test and fails the test where the answer is not the promised one.
type probe struct {
	*testing.T
	store tokenstore.TokenStore
}

// newRecord returns a record with a version never used before.
func newRecord(data string) tokenstore.Record {
	return tokenstore.Record{Version: rand.Text(), Data: []byte(data)}
}

// created stores a new record where nothing may be stored yet, and returns it.
func (p probe) created(key, data string) tokenstore.Record {
	p.Helper()
	r := newRecord(data)
	p.swaps(key, "", r)
	return r
}

// swaps makes a Swap that must succeed.
func (p probe) swaps(key, oldVersion string, next tokenstore.Record) {
	p.Helper()
	if err := p.store.Swap(p.Context(), key, oldVersion, next); err != nil {
		p.Fatalf("Swap(%.100q, %q, version %q): %v, want no error", key, oldVersion, next.Version, err)
	}
}

// conflicts makes a Swap that must be answered with ErrConflict.
func (p probe) conflicts(key, oldVersion string, next tokenstore.Record) {
	p.Helper()
	if err := p.store.Swap(p.Context(), key, oldVersion, next); !errors.Is(err, tokenstore.ErrConflict) {
		p.Errorf("Swap(%.100q, %q, version %q): %v, want ErrConflict", key, oldVersion, next.Version, err)
	}
}

// refuses makes a Swap that must fail, with an error that doesn't look like an answer of a sound Swap.
func (p probe) refuses(key, oldVersion string, next tokenstore.Record) {
	p.Helper()
	err := p.store.Swap(p.Context(), key, oldVersion, next)
	if err == nil || errors.Is(err, tokenstore.ErrConflict) || errors.Is(err, tokenstore.ErrNotFound) {
		p.Errorf("Swap of %d bytes of key, %d of version and %d of data: %v, want another error; see tokenstore.CheckSwap",
			len(key), len(next.Version), len(next.Data), err)
	}
}

// holds gets a record that must be want.
func (p probe) holds(key string, want tokenstore.Record) {
	p.Helper()
	r, err := p.store.Get(p.Context(), key)
	switch {
	case err != nil:
		p.Errorf("Get(%.100q): %v, want version %q", key, err, want.Version)
	case r.Version != want.Version:
		p.Errorf("Get(%.100q): version %q, want %q", key, r.Version, want.Version)
	case !bytes.Equal(r.Data, want.Data):
		p.Errorf("Get(%.100q): %d bytes of data %.100q, want %d bytes %.100q",
			key, len(r.Data), r.Data, len(want.Data), want.Data)
	}
}

// lacks gets a record that must not be there.
func (p probe) lacks(key string) {
	p.Helper()
	if r, err := p.store.Get(p.Context(), key); !errors.Is(err, tokenstore.ErrNotFound) {
		p.Errorf("Get(%.100q): version %q and error %v, want ErrNotFound", key, r.Version, err)
	}
}

// lists returns how often each key with the prefix is listed.
func (p probe) lists(prefix string) map[string]int {
	p.Helper()
	times := make(map[string]int)
	for key, err := range tokenstore.List(p.Context(), p.store, prefix) {
		if err != nil {
			p.Fatalf("Keys(%.100q): %v", prefix, err)
		}
		times[key]++
	}
	return times
}
