package integration_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/mailgrant/mailgrant/internal/integration/servers"
	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/redisstore"
	"github.com/mailgrant/mailgrant/tokenstore/storetest"
)

// redisClient returns a client that is closed with the test.
func redisClient(tb testing.TB, options *redis.Options) *redis.Client {
	tb.Helper()
	client := redis.NewClient(options)
	tb.Cleanup(func() { client.Close() })
	return client
}

func redisClusterClient(tb testing.TB, options *redis.ClusterOptions) *redis.ClusterClient {
	tb.Helper()
	client := redis.NewClusterClient(options)
	tb.Cleanup(func() { client.Close() })
	return client
}

// redisStore returns a store with the given prefix.
func redisStore(tb testing.TB, client redis.UniversalClient, prefix string) *redisstore.Store {
	tb.Helper()
	store, err := redisstore.New(client, redisstore.Config{Prefix: prefix})
	if err != nil {
		tb.Fatal(err)
	}
	return store
}

func TestRedisStoreKeepsThePromisesOfATokenStore(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		client func(t *testing.T) redis.UniversalClient
		prefix string
		wrap   func(tokenstore.TokenStore) tokenstore.TokenStore
	}{
		{name: "on one server", client: oneRedis, prefix: "test:"},
		{name: "in a namespace", client: oneRedis, prefix: "test:", wrap: func(s tokenstore.TokenStore) tokenstore.TokenStore {
			return tokenstore.Namespace(s, "tenant/*")
		}},
		{name: "under a prefix of glob characters and hash tags", client: oneRedis, prefix: `*?[a-z]\{}{x}^`},
		{name: "in a cluster", client: redisCluster, prefix: "test:"},
		{name: "on one node of a cluster by a hash tag", client: redisCluster, prefix: "{test}:"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client := test.client(t)
			storetest.Run(t, func(t *testing.T) tokenstore.TokenStore {
				var store tokenstore.TokenStore = redisStore(t, client, test.prefix+rand.Text()+":")
				if test.wrap != nil {
					store = test.wrap(store)
				}
				return store
			})
		})
	}
}

func oneRedis(t *testing.T) redis.UniversalClient {
	t.Helper()
	return redisClient(t, servers.Redis(t))
}

func redisCluster(t *testing.T) redis.UniversalClient {
	t.Helper()
	return redisClusterClient(t, servers.RedisCluster(t))
}

func TestRedisStoreListsOnlyWhatIsUnderItsOwnPrefix(t *testing.T) {
	t.Parallel()
	client := redisClient(t, servers.Redis(t))
	for _, prefix := range []string{"a*:", "ab:", "a?:", "a[b]:", "A*:", `a\*:`, `a\:`, "[a-z]*:"} {
		if err := redisStore(t, client, prefix).Swap(t.Context(), "of "+prefix, "", tokenstore.Record{Version: "1"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, prefix := range []string{"a*:", "ab:", "a?:", "a[b]:", "A*:", `a\*:`, `a\:`, "[a-z]*:"} {
		for key, err := range redisStore(t, client, prefix).Keys(t.Context(), "") {
			if err != nil || key != "of "+prefix {
				t.Errorf("under %q: key %q, error %v", prefix, key, err)
			}
		}
	}
}

func TestRedisStoreUsesThePrefixMailgrantByDefault(t *testing.T) {
	t.Parallel()
	client := redisClient(t, servers.StartRedis(t).Options())
	if err := redisStore(t, client, "").Swap(t.Context(), "user", "", tokenstore.Record{Version: "1"}); err != nil {
		t.Fatal(err)
	}
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != 1 || keys[0] != "mailgrant:user" {
		t.Errorf("Redis has %q, error %v; want mailgrant:user alone", keys, err)
	}
	if ttl := client.PTTL(t.Context(), "mailgrant:user").Val(); ttl != -1 {
		t.Errorf("the key expires in %v", ttl)
	}
}

func TestRedisStoreSwapsAfterTheServerHasForgottenTheScript(t *testing.T) {
	t.Parallel()
	client := redisClient(t, servers.StartRedis(t).Options())
	store := redisStore(t, client, "")
	old := ""
	for range 5 {
		if err := client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		next := tokenstore.Record{Version: rand.Text(), Data: []byte("data")}
		if err := store.Swap(t.Context(), "user", old, next); err != nil {
			t.Fatal(err)
		}
		if err := store.Swap(t.Context(), "user", old, next); !errors.Is(err, tokenstore.ErrConflict) {
			t.Fatalf("the same swap again: %v, want ErrConflict", err)
		}
		old = next.Version
	}
}

func TestRedisStoreLeavesAloneWhatIsNoRecord(t *testing.T) {
	t.Parallel()
	client := redisClient(t, servers.StartRedis(t).Options())
	store := redisStore(t, client, "p:")
	for name, value := range map[string]string{
		"empty":                       "",
		"no version":                  "\x00data",
		"a version longer than it is": "\x0512",
		"a version above the limit":   "\x41" + strings.Repeat("v", 0x41),
		"of another program":          "hello",
	} {
		if err := client.Set(t.Context(), "p:"+name, value, 0).Err(); err != nil {
			t.Fatal(err)
		}
		_, err := store.Get(t.Context(), name)
		corrupt, ok := errors.AsType[*redisstore.CorruptError](err)
		if !ok || corrupt.Key != name || corrupt.RedisKey != "p:"+name || !strings.Contains(err.Error(), corrupt.RedisKey) {
			t.Errorf("Get of a value that is %s: %v, want a *CorruptError that names the key", name, err)
		}
	}
	if err := client.RPush(t.Context(), "p:list", "element").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(t.Context(), "list"); !redis.HasErrorPrefix(err, "WRONGTYPE") {
		t.Errorf("Get of a list: %v, want Redis's own error", err)
	}
	err := store.Swap(t.Context(), "list", "", tokenstore.Record{Version: "1"})
	if !strings.Contains(fmt.Sprint(err), "WRONGTYPE") || errors.Is(err, tokenstore.ErrConflict) {
		t.Errorf("Swap of a list: %v, want Redis's own error", err)
	}
	if n := client.LLen(t.Context(), "p:list").Val(); n != 1 {
		t.Error("Swap has changed the list")
	}
}

// The access control that the package's documentation names is enough, and no part of it is superfluous.
func TestRedisStoreNeedsNoOtherPermissionsThanDocumented(t *testing.T) {
	t.Parallel()
	options := servers.StartRedis(t).Options()
	admin := redisClient(t, options)
	permissions := []any{"+get", "+getrange", "+set", "+del", "+evalsha", "+eval", "+scan", "+info"}
	user := func(name string, permissions []any) *redisstore.Store {
		rule := append([]any{"acl", "setuser", name, "on", ">password", "~p:*"}, permissions...)
		if err := admin.Do(t.Context(), rule...).Err(); err != nil {
			t.Fatal(err)
		}
		restricted := *options
		restricted.Username, restricted.Password = name, "password"
		return redisStore(t, redisClient(t, &restricted), "p:")
	}
	everything := func(store *redisstore.Store) error {
		key := rand.Text()
		if err := admin.ScriptFlush(t.Context()).Err(); err != nil {
			return err
		}
		err := store.Swap(t.Context(), key, "", tokenstore.Record{Version: "1", Data: []byte("data")})
		_, gerr := store.Get(t.Context(), key)
		err = errors.Join(err, gerr, store.Swap(t.Context(), key, "1", tokenstore.Record{}))
		for _, kerr := range store.Keys(t.Context(), "") {
			err = errors.Join(err, kerr)
		}
		return err
	}
	if err := everything(user("enough", permissions)); err != nil {
		t.Errorf("with %v: %v", permissions, err)
	}
	for i, permission := range permissions {
		rest := append(append([]any{}, permissions[:i]...), permissions[i+1:]...)
		if everything(user(fmt.Sprint("without", i), rest)) == nil {
			t.Errorf("without %v: no error, so it is superfluous", permission)
		}
	}
}

func testGrants(tb testing.TB, store tokenstore.TokenStore) *tokenstore.Grants {
	tb.Helper()
	ring, err := tokenstore.ParseKeyring(tokenstore.GenerateKey())
	if err != nil {
		tb.Fatal(err)
	}
	grants, err := tokenstore.NewGrants(store, ring)
	if err != nil {
		tb.Fatal(err)
	}
	return grants
}

func mustGet(ctx context.Context, tb testing.TB, store tokenstore.TokenStore, key string) tokenstore.Record {
	tb.Helper()
	r, err := store.Get(ctx, key)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}
