package integration_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/mailgrant/mailgrant/internal/integration/servers"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// BenchmarkRedisStore compares the store with go-redis sending the same commands with the same payload. One
// operation is one Get or Swap by one of the clients, which share a pool of connections.
func BenchmarkRedisStore(b *testing.B) {
	options := servers.Redis(b)
	options.PoolSize = 64
	client := redisClient(b, options)
	prefix := "bench:" + rand.Text() + ":"
	store := redisStore(b, client, prefix)
	source, err := os.ReadFile("../../tokenstore/redisstore/swap.lua")
	if err != nil {
		b.Fatal(err)
	}
	script := redis.NewScript(string(source))
	payload := make([]byte, 1024) // about what a sealed grant takes

	// Each returns what a client does again and again, on a key of its own.
	type operation func(ctx context.Context) error
	get := func(key string) operation {
		return func(ctx context.Context) error {
			_, err := store.Get(ctx, key)
			return err
		}
	}
	rawGet := func(key string) operation {
		return func(ctx context.Context) error { return client.Get(ctx, prefix+key).Err() }
	}
	swap := func(key string) operation {
		old := mustGet(b.Context(), b, store, key).Version
		return func(ctx context.Context) error {
			next := tokenstore.Record{Version: rand.Text(), Data: payload}
			err := store.Swap(ctx, key, old, next)
			old = next.Version
			return err
		}
	}
	rawSwap := func(key string) operation {
		version := mustGet(b.Context(), b, store, key).Version
		old := string([]byte{byte(len(version))}) + version
		return func(ctx context.Context) error {
			version := rand.Text()
			next := string([]byte{byte(len(version))}) + version
			value := append([]byte(next), payload...)
			swapped, err := script.Run(ctx, client, []string{prefix + key}, old, value).Bool()
			if err == nil && !swapped {
				err = tokenstore.ErrConflict
			}
			old = next
			return err
		}
	}

	for _, bench := range []struct {
		name           string
		mailgrant, raw func(key string) operation
	}{
		{"get", get, rawGet},
		{"swap", swap, rawSwap},
	} {
		for _, clients := range []int{1, 64} {
			for _, of := range []struct {
				by  string
				new func(key string) operation
			}{{"peer", bench.raw}, {"mailgrant", bench.mailgrant}} {
				b.Run(fmt.Sprintf("%s/clients=%d/by=%s", bench.name, clients, of.by), func(b *testing.B) {
					operations := make([]operation, clients)
					for i := range operations {
						key := rand.Text()
						if err := store.Swap(b.Context(), key, "", tokenstore.Record{Version: rand.Text(), Data: payload}); err != nil {
							b.Fatal(err)
						}
						operations[i] = of.new(key)
					}
					b.ResetTimer()
					var wg sync.WaitGroup
					for i, operate := range operations {
						wg.Go(func() {
							for range (b.N + i) / clients { // b.N among all
								if err := operate(b.Context()); err != nil {
									b.Error(err)
									return
								}
							}
						})
					}
					wg.Wait()
				})
			}
		}
	}
}
