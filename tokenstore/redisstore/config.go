package redisstore

import (
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// defaultPrefix begins the keys where Config names no Prefix.
const defaultPrefix = "mailgrant:"

// Config says where in Redis a Store keeps its records. The zero Config is ready for use.
type Config struct {
	// Prefix begins the name of every Redis key of the Store: "mailgrant:" if empty. Stores that share a
	// database need prefixes of which none begins another. Any bytes will do; a hash tag, as in "{mailgrant}:",
	// keeps all records on one node of a cluster.
	Prefix string
}

// A ConfigError says what is wrong with the arguments of New.
type ConfigError struct {
	Field   string // "client", "client.ReadOnly", ...
	Problem string
}

// Error names the field, what is wrong with it and the fix.
func (e *ConfigError) Error() string { return "redisstore: config: " + e.Field + " " + e.Problem }

// LogValue implements slog.LogValuer.
func (e *ConfigError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// checkClient refuses a client that would read what is stale or lose what is stored.
func checkClient(client redis.UniversalClient) error {
	const missing = "is nil; pass a *redis.Client or *redis.ClusterClient"
	switch c := client.(type) {
	case nil:
		return &ConfigError{"client", missing}
	case *redis.Client:
		if c == nil {
			return &ConfigError{"client", missing}
		}
		if o := c.Options(); o.ClientSideCacheConfig != nil || o.ClientSideCache != nil {
			return &ConfigError{"client.ClientSideCache", "is set, and a cached record may be stale; pass a client without a cache"}
		}
	case *redis.ClusterClient:
		if c == nil {
			return &ConfigError{"client", missing}
		}
		// RouteByLatency and RouteRandomly imply ReadOnly.
		if c.Options().ReadOnly {
			return &ConfigError{"client.ReadOnly", "is set, and a replica's record may be stale; pass a client that reads from masters"}
		}
	case *redis.Ring:
		return &ConfigError{"client", "is a *redis.Ring, which looks for a shard's records on other shards when it is down;" +
			" pass a *redis.Client or *redis.ClusterClient"}
	}
	return nil
}
