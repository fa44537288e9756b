package redisstore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/redisstore"
)

var (
	_ tokenstore.TokenStore = (*redisstore.Store)(nil)
	_ tokenstore.Lister     = (*redisstore.Store)(nil)
)

func TestNewRefusesAClientThatWouldLoseGrants(t *testing.T) {
	t.Parallel()
	cached := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ClientSideCacheConfig: &redis.ClientSideCacheConfig{}})
	t.Cleanup(func() { _ = cached.Close() })
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}})
	t.Cleanup(func() { _ = ring.Close() })
	onCluster := func(options redis.ClusterOptions) redis.UniversalClient {
		options.Addrs = []string{"127.0.0.1:1"}
		client := redis.NewClusterClient(&options)
		t.Cleanup(func() { _ = client.Close() })
		return client
	}
	for name, test := range map[string]struct {
		client redis.UniversalClient
		field  string
		fix    string
	}{
		"none":                                 {nil, "client", "pass a *redis.Client"},
		"a nil *redis.Client":                  {(*redis.Client)(nil), "client", "pass a *redis.Client"},
		"a nil *redis.ClusterClient":           {(*redis.ClusterClient)(nil), "client", "pass a *redis.Client"},
		"a ring":                               {ring, "client", "pass a *redis.Client"},
		"one that caches":                      {cached, "client.ClientSideCache", "without a cache"},
		"one that reads from replicas":         {onCluster(redis.ClusterOptions{ReadOnly: true}), "client.ReadOnly", "masters"},
		"one that reads from the nearest node": {onCluster(redis.ClusterOptions{RouteByLatency: true}), "client.ReadOnly", "masters"},
		"one that reads from any of the nodes": {onCluster(redis.ClusterOptions{RouteRandomly: true}), "client.ReadOnly", "masters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, err := redisstore.New(test.client, redisstore.Config{})
			bad, ok := errors.AsType[*redisstore.ConfigError](err)
			if !ok || store != nil {
				t.Fatalf("New: %v, want a *ConfigError and no store", err)
			}
			if bad.Field != test.field || !strings.Contains(err.Error(), test.field) || !strings.Contains(err.Error(), test.fix) {
				t.Errorf("New: field %q, error %q; want field %q and the fix %q", bad.Field, err, test.field, test.fix)
			}
			if bad.LogValue().String() != err.Error() {
				t.Errorf("logged as %q, want %q", bad.LogValue(), err)
			}
		})
	}
}

func TestNewDoesNotTalkToTheServer(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", DialerRetries: 1, MaxRetries: -1}) // nobody listens
	t.Cleanup(func() { _ = client.Close() })
	store, err := redisstore.New(client, redisstore.Config{Prefix: "any bytes \x00\xff"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(t.Context(), "user"); err == nil || errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("Get without a server: %v, want the client's error", err)
	}
}
