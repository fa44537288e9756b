package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// unlisted hides the Lister, and wraps every error.
type unlisted struct{ inner *tokenstore.Memory }

func (s unlisted) Get(ctx context.Context, key string) (tokenstore.Record, error) {
	r, err := s.inner.Get(ctx, key)
	if err != nil {
		err = fmt.Errorf("get: %w", err)
	}
	return r, err
}

func (s unlisted) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	if err := s.inner.Swap(ctx, key, oldVersion, next); err != nil {
		return fmt.Errorf("swap: %w", err)
	}
	return nil
}

// overwrite writes whatever the stored version is.
func overwrite(ctx context.Context, m *tokenstore.Memory, key string, next tokenstore.Record) error {
	for {
		r, err := m.Get(ctx, key)
		if err != nil && !errors.Is(err, tokenstore.ErrNotFound) {
			return err
		}
		if err := m.Swap(ctx, key, r.Version, next); !errors.Is(err, tokenstore.ErrConflict) {
			return err
		}
	}
}

// dawdle lets every other goroutine go first.
func dawdle() {
	for range 100 {
		runtime.Gosched()
	}
}

type lostUpdate struct{ *tokenstore.Memory }

func (s lostUpdate) Swap(ctx context.Context, key, _ string, next tokenstore.Record) error {
	return overwrite(ctx, s.Memory, key, next)
}

type racy struct{ *tokenstore.Memory }

func (s racy) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	if err := tokenstore.CheckSwap(key, next); err != nil {
		return err
	}
	if r, err := s.Get(ctx, key); err == nil && r.Version != oldVersion {
		return tokenstore.ErrConflict
	} else if errors.Is(err, tokenstore.ErrNotFound) && oldVersion != "" {
		return tokenstore.ErrConflict
	}
	dawdle()
	return overwrite(ctx, s.Memory, key, next)
}

type resurrecting struct {
	*tokenstore.Memory
	mu     sync.Mutex
	graves map[string]string
}

func (s *resurrecting) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.Get(ctx, key)
	if errors.Is(err, tokenstore.ErrNotFound) && oldVersion != "" && s.graves[key] == oldVersion {
		oldVersion = ""
	}
	err = s.Memory.Swap(ctx, key, oldVersion, next)
	if err == nil && next.Version == "" {
		s.graves[key] = oldVersion
	}
	return err
}

type carelessDelete struct{ *tokenstore.Memory }

func (s carelessDelete) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	if next.Version == "" {
		return overwrite(ctx, s.Memory, key, next)
	}
	return s.Memory.Swap(ctx, key, oldVersion, next)
}

type undeleting struct{ *tokenstore.Memory }

func (s undeleting) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	if r, err := s.Get(ctx, key); err == nil && next.Version == "" && len(next.Data) == 0 && r.Version == oldVersion {
		return nil
	}
	return s.Memory.Swap(ctx, key, oldVersion, next)
}

type needlessDelete struct{ *tokenstore.Memory }

func (s needlessDelete) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	err := s.Memory.Swap(ctx, key, oldVersion, next)
	if err == nil && oldVersion == "" && next.Version == "" {
		return tokenstore.ErrNotFound
	}
	return err
}

type silent struct{ *tokenstore.Memory }

func (s silent) Get(ctx context.Context, key string) (tokenstore.Record, error) {
	r, err := s.Memory.Get(ctx, key)
	if errors.Is(err, tokenstore.ErrNotFound) {
		err = nil
	}
	return r, err
}

type foldedVersions struct{ *tokenstore.Memory }

func (s foldedVersions) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	if r, _ := s.Get(ctx, key); oldVersion != "" && strings.EqualFold(r.Version, oldVersion) {
		oldVersion = r.Version
	}
	return s.Memory.Swap(ctx, key, oldVersion, next)
}

// aliasing hands on slices as they are, in or out.
type aliasing struct {
	*tokenstore.Memory
	swap, get bool
	data      sync.Map
}

func (s *aliasing) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	err := s.Memory.Swap(ctx, key, oldVersion, next)
	if !s.swap {
		next.Data = bytes.Clone(next.Data)
	}
	if err == nil {
		s.data.Store(next.Version, next.Data)
	}
	return err
}

func (s *aliasing) Get(ctx context.Context, key string) (tokenstore.Record, error) {
	r, err := s.Memory.Get(ctx, key)
	// A writer stores the data after the version: until then Memory's own copy has to do.
	if data, ok := s.data.Load(r.Version); ok && err == nil {
		r.Data = data.([]byte)
	}
	if !s.get {
		r.Data = bytes.Clone(r.Data)
	}
	return r, err
}

// rewritten changes the data on its way in.
type rewritten struct {
	*tokenstore.Memory
	data func([]byte) []byte
}

func (s rewritten) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	if next.Data != nil {
		next.Data = s.data(next.Data)
	}
	return s.Memory.Swap(ctx, key, oldVersion, next)
}

// emptyIsNone deletes where it should store a record without data.
type emptyIsNone struct{ *tokenstore.Memory }

func (s emptyIsNone) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	if len(next.Data) == 0 {
		next.Version = ""
	}
	return s.Memory.Swap(ctx, key, oldVersion, next)
}

// mapped keeps different keys in one place.
type mapped struct {
	*tokenstore.Memory
	key func(string) string
}

func (s mapped) Get(ctx context.Context, key string) (tokenstore.Record, error) {
	return s.Memory.Get(ctx, s.key(key))
}

func (s mapped) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	if err := tokenstore.CheckSwap(key, next); err != nil {
		return err
	}
	return s.Memory.Swap(ctx, s.key(key), oldVersion, next)
}

// unchecked has no CheckSwap.
type unchecked struct {
	mu      sync.Mutex
	records map[string]tokenstore.Record
}

func (s *unchecked) Get(ctx context.Context, key string) (tokenstore.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.records[key]
	if !ok {
		return tokenstore.Record{}, errors.Join(tokenstore.ErrNotFound, ctx.Err())
	}
	r.Data = bytes.Clone(r.Data)
	return r, ctx.Err()
}

func (s *unchecked) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.records[key].Version != oldVersion:
		return tokenstore.ErrConflict
	case next.Version == "":
		delete(s.records, key)
	default:
		s.records[key] = tokenstore.Record{Version: next.Version, Data: bytes.Clone(next.Data)}
	}
	return nil
}

type endless struct{ *tokenstore.Memory }

func (s endless) Get(ctx context.Context, key string) (tokenstore.Record, error) {
	return s.Memory.Get(context.WithoutCancel(ctx), key)
}

func (s endless) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	return s.Memory.Swap(context.WithoutCancel(ctx), key, oldVersion, next)
}

type lateContext struct{ *tokenstore.Memory }

func (s lateContext) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	if err := s.Memory.Swap(context.WithoutCancel(ctx), key, oldVersion, next); err != nil {
		return err
	}
	return ctx.Err()
}

// torn keeps the data by key, beside the versions.
type torn struct {
	*tokenstore.Memory
	data sync.Map
}

func (s *torn) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	if err := s.Memory.Swap(ctx, key, oldVersion, next); err != nil {
		return err
	}
	dawdle()
	s.data.Store(key, bytes.Clone(next.Data))
	return nil
}

func (s *torn) Get(ctx context.Context, key string) (tokenstore.Record, error) {
	r, err := s.Memory.Get(ctx, key)
	if data, ok := s.data.Load(key); ok && err == nil {
		r.Data = bytes.Clone(data.([]byte))
	}
	return r, err
}

// tearing removes the old record before it writes the new one, and may be stopped in between.
type tearing struct {
	*tokenstore.Memory
	mu sync.Mutex
}

func (s *tearing) Get(ctx context.Context, key string) (tokenstore.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Memory.Get(ctx, key)
}

func (s *tearing) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if oldVersion == "" || next.Version == "" || ctx.Done() == nil {
		return s.Memory.Swap(ctx, key, oldVersion, next)
	}
	if err := s.Memory.Swap(ctx, key, oldVersion, tokenstore.Record{}); err != nil {
		return err
	}
	for range 10_000 {
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return s.Memory.Swap(ctx, key, "", next)
}
