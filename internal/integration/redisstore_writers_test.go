package integration_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// Each writer has a client of its own, as processes have.
func TestSixtyFourWritersOnRedisLoseNoUpdate(t *testing.T) {
	t.Parallel()
	const writers, each = 64, 10
	for name, open := range map[string]func(*testing.T) redis.UniversalClient{"on one server": oneRedis, "in a cluster": redisCluster} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prefix := "test:" + rand.Text() + ":"
			first := open(t)
			var wg sync.WaitGroup
			for w := range writers {
				store := redisStore(t, anotherClient(t, first), prefix)
				wg.Go(func() {
					own := fmt.Sprint("writer/", w)
					for range each {
						if err := errors.Join(increment(t, store, "shared"), increment(t, store, own)); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()

			store := redisStore(t, first, prefix)
			want := map[string]int{"shared": writers * each}
			for w := range writers {
				want[fmt.Sprint("writer/", w)] = each
			}
			for key, n := range want {
				if r := mustGet(t.Context(), t, store, key); string(r.Data) != strconv.Itoa(n) {
					t.Errorf("%s: %s updates counted, want %d", key, r.Data, n)
				}
			}
		})
	}
}

func anotherClient(t *testing.T, like redis.UniversalClient) redis.UniversalClient {
	t.Helper()
	if c, ok := like.(*redis.ClusterClient); ok {
		return redisClusterClient(t, &redis.ClusterOptions{Addrs: c.Options().Addrs})
	}
	return redisClient(t, &redis.Options{Network: like.(*redis.Client).Options().Network, Addr: like.(*redis.Client).Options().Addr})
}

// increment adds one to the number under key, as often as it takes.
func increment(t *testing.T, store tokenstore.TokenStore, key string) error {
	t.Helper()
	for {
		r, err := store.Get(t.Context(), key)
		if err != nil && !errors.Is(err, tokenstore.ErrNotFound) {
			return err
		}
		n := 0
		if r.Version != "" {
			if n, err = strconv.Atoi(string(r.Data)); err != nil {
				return err
			}
		}
		next := tokenstore.Record{Version: rand.Text(), Data: []byte(strconv.Itoa(n + 1))}
		if err := store.Swap(t.Context(), key, r.Version, next); !errors.Is(err, tokenstore.ErrConflict) {
			return err
		}
	}
}
