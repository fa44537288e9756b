package redisstore

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mailgrant/mailgrant/tokenstore"
)

//go:embed swap.lua
var swapScript string

// A Store is a tokenstore.TokenStore and a tokenstore.Lister in Redis. It is safe for concurrent use, and
// any number of Stores, in this process or others, may share a prefix.
//
// The Redis keys carry the records' keys in the clear beside the data, which tokenstore.Grants seals.
type Store struct {
	client  redis.UniversalClient
	prefix  string
	swapSHA string // names the script to EVALSHA
}

// New returns the Store that config describes, over client: a *redis.Client, with or without Sentinel, or a
// *redis.ClusterClient. The client remains the caller's, who closes it. New does not talk to the server.
//
// Errors: *ConfigError.
func New(client redis.UniversalClient, config Config) (*Store, error) {
	if err := checkClient(client); err != nil {
		return nil, err
	}
	return &Store{
		client:  client,
		prefix:  cmp.Or(config.Prefix, defaultPrefix),
		swapSHA: redis.NewScript(swapScript).Hash(),
	}, nil
}

// Get implements tokenstore.TokenStore.
//
// Errors: tokenstore.ErrNotFound, *CorruptError, and those of the client, wrapped.
func (s *Store) Get(ctx context.Context, key string) (tokenstore.Record, error) {
	if err := ctx.Err(); err != nil {
		return tokenstore.Record{}, err
	}
	value, err := s.client.Get(ctx, s.prefix+key).Bytes()
	if errors.Is(err, redis.Nil) {
		return tokenstore.Record{}, tokenstore.ErrNotFound
	}
	if err != nil {
		return tokenstore.Record{}, explain(ctx, fmt.Sprintf("get %.100q", key), err)
	}
	r, ok := decode(value)
	if !ok {
		return tokenstore.Record{}, &CorruptError{Key: key, RedisKey: s.prefix + key}
	}
	return r, nil
}

// Swap implements tokenstore.TokenStore. After another error than the two below, the record may have been written or
// not, unless Redis itself has refused: errors.As finds its answer as a redis.Error.
//
// Errors: tokenstore.ErrConflict, also for a value that is no record, and those of the client, wrapped.
func (s *Store) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	if err := tokenstore.CheckSwap(key, next); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(oldVersion) > tokenstore.MaxVersionBytes {
		return tokenstore.ErrConflict // nothing of that version was ever stored, and head has one byte for the length
	}
	old, value := head(oldVersion), encode(next)
	swapped, err := s.eval(ctx, "evalsha", s.swapSHA, key, old, value)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		swapped, err = s.eval(ctx, "eval", swapScript, key, old, value)
	}
	switch {
	case err != nil:
		return explain(ctx, fmt.Sprintf("swap %.100q", key), err)
	case !swapped:
		return tokenstore.ErrConflict
	}
	return nil
}

// eval runs the script by its source or by its hash, at most once.
func (s *Store) eval(ctx context.Context, command, script, key, old string, value []byte) (bool, error) {
	cmd := redis.NewCmd(ctx, command, script, 1, s.prefix+key, old, value)
	cmd.SetFirstKeyPos(3)
	if err := s.client.Process(ctx, once{cmd}); err != nil {
		return false, err
	}
	return cmd.Bool()
}

// once is a command that go-redis does not repeat when its reply is lost, whatever the client's MaxRetries. A create that took
// effect, was deleted by somebody else and is repeated would bring the deleted record back.
type once struct{ *redis.Cmd }

// NoRetry implements redis.Cmder.
func (once) NoRetry() bool { return true }

// explain says what failed. Where the client has kept to the context's deadline, it reports a network's timeout,
// and the context's error is what callers look for.
func explain(ctx context.Context, doing string, err error) error {
	ended := ctx.Err()
	if deadline, ok := ctx.Deadline(); ok && ended == nil && !time.Now().Before(deadline) {
		ended = context.DeadlineExceeded
	}
	if ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("redisstore: %s: %w: %w", doing, ended, err)
	}
	return fmt.Errorf("redisstore: %s: %w", doing, err)
}
