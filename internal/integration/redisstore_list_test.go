package integration_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/mailgrant/mailgrant/internal/integration/servers"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// createUsers stores n records under "user/0" and so on, and returns a version that all have.
func createUsers(t *testing.T, store tokenstore.TokenStore, n int) string {
	t.Helper()
	version := rand.Text()
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := w; i < n; i += 16 {
				err := store.Swap(t.Context(), fmt.Sprint("user/", i), "", tokenstore.Record{Version: version, Data: []byte("data")})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return version
}

func TestRedisStoreListsTenThousandKeysWhileTheyAreWrittenTo(t *testing.T) {
	t.Parallel()
	for name, client := range map[string]func(*testing.T) redis.UniversalClient{"on one server": oneRedis, "in a cluster": redisCluster} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 10_000
			store := redisStore(t, client(t), "test:"+rand.Text()+":")
			version := createUsers(t, store, n)

			// Every third record is replaced, every third deleted and as many new ones are created, over and over.
			var writers sync.WaitGroup
			var listed, writes atomic.Int64
			for w := range 4 {
				writers.Go(func() {
					old := version
					for i := 3 * w; listed.Load() < 3 && i+1 < n; i += 12 {
						next := rand.Text()
						err := errors.Join(
							store.Swap(t.Context(), fmt.Sprint("user/", i), old, tokenstore.Record{Version: next}),
							store.Swap(t.Context(), fmt.Sprint("user/", i+1), old, tokenstore.Record{}),
							store.Swap(t.Context(), "user/new/"+next, "", tokenstore.Record{Version: next}),
						)
						if err != nil {
							t.Error(err)
							return
						}
						writes.Add(3)
					}
				})
			}
			for listed.Load() < 3 {
				seen := make(map[string]bool, n)
				for key, err := range store.Keys(t.Context(), "user/") {
					if err != nil {
						t.Fatal(err)
					}
					seen[key] = true
				}
				for i := range n {
					if i%3 != 1 && !seen[fmt.Sprint("user/", i)] {
						t.Errorf("user/%d is not listed, but was stored throughout", i)
					}
				}
				listed.Add(1)
			}
			writers.Wait()
			if writes.Load() == 0 {
				t.Error("nothing was written during the listings")
			}
		})
	}
}

// SCAN's cursor means nothing to a server that has restarted since.
func TestRedisStoreReportsAListingThatARestartHasCutInTwo(t *testing.T) {
	t.Parallel()
	server := servers.StartRedis(t, "--appendonly", "yes")
	store := redisStore(t, redisClient(t, server.Options()), "")
	createUsers(t, store, 5000)
	if err := disturbedListing(t, store, func() {}); err != nil {
		t.Errorf("undisturbed: %v", err)
	}
	err := disturbedListing(t, store, func() {
		server.Kill(t)
		server.Start(t)
	})
	if !strings.Contains(fmt.Sprint(err), "list again") {
		t.Errorf("restarted: %v, want an error that says to list again", err)
	}
}

// disturbedListing lists store, disturbs it at the first key, and returns the error that ends the listing.
func disturbedListing(t *testing.T, store tokenstore.TokenStore, disturb func()) error {
	t.Helper()
	n := 0
	for _, err := range tokenstore.List(t.Context(), store, "") {
		if err != nil {
			return err
		}
		if n++; n == 1 {
			disturb()
		}
	}
	return nil
}

func TestRedisStoreReportsAListingOfAClusterThatMovesSlots(t *testing.T) {
	t.Parallel()
	client := redisClusterClient(t, servers.RedisCluster(t))
	store := redisStore(t, client, "")
	createUsers(t, store, 100)

	// A slot without keys, its owner, and another master.
	slot := client.ClusterKeySlot(t.Context(), "nothing is stored here").Val()
	owner, err := client.MasterForKey(t.Context(), "nothing is stored here")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var masters []*redis.Client
	if err := client.ForEachMaster(t.Context(), func(_ context.Context, master *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		masters = append(masters, master)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	other := masters[0]
	if other.Options().Addr == owner.Options().Addr {
		other = masters[1]
	}
	id, err := other.ClusterMyID(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	set := func(master *redis.Client, args ...any) {
		t.Helper()
		if err := master.Do(t.Context(), append([]any{"cluster", "setslot", slot}, args...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}

	if err := disturbedListing(t, store, func() {}); err != nil {
		t.Errorf("a cluster at rest: %v", err)
	}
	set(owner, "migrating", id)
	if err := disturbedListing(t, store, func() {}); !strings.Contains(fmt.Sprint(err), "list again") {
		t.Errorf("while a slot moves: %v, want an error that says to list again", err)
	}
	set(owner, "stable")
	err = disturbedListing(t, store, func() {
		for _, master := range masters {
			set(master, "node", id)
		}
	})
	if !strings.Contains(fmt.Sprint(err), "list again") {
		t.Errorf("after a slot has moved: %v, want an error that says to list again", err)
	}
	if err := disturbedListing(t, store, func() {}); err != nil {
		t.Errorf("listed again: %v", err)
	}
}

func TestRedisStoreRefusesToListAPartOfACluster(t *testing.T) {
	t.Parallel()
	options := servers.RedisCluster(t)
	store := redisStore(t, redisClient(t, &redis.Options{Addr: options.Addrs[0]}), "")
	if err := disturbedListing(t, store, func() {}); !strings.Contains(fmt.Sprint(err), "pass a *redis.ClusterClient") {
		t.Errorf("Keys: %v, want advice", err)
	}
	// A caller's own type still lists the whole.
	whole := redisStore(t, struct{ *redis.ClusterClient }{redisClusterClient(t, options)}, "")
	createUsers(t, whole, 100)
	seen := make(map[string]bool)
	for key, err := range whole.Keys(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		seen[key] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d keys listed, want 100", len(seen))
	}
}
