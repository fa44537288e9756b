package redisquota

import (
	"cmp"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Config says which accounts a Pool is about. The zero Config is ready for use, where there is one project.
type Config struct {
	// Project names the Google Cloud project whose limits are shared: any text without braces, "default" if
	// empty. Limiters of different projects share nothing, though their users be the same.
	Project string
	// Prefix begins the name of every Redis key: "mailgrant:quota:" if empty. It may have no braces.
	Prefix string
	// Timeout is how long Redis may take to answer before a Limiter goes on without it. 0: a second.
	Timeout time.Duration
}

const (
	defaultProject = "default"
	defaultPrefix  = "mailgrant:quota:"
	defaultTimeout = time.Second
)

func (c Config) withDefaults() Config {
	c.Project = cmp.Or(c.Project, defaultProject)
	c.Prefix = cmp.Or(c.Prefix, defaultPrefix)
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	return c
}

func (c Config) validate() error {
	switch {
	case strings.ContainsAny(c.Project, "{}"):
		return &ConfigError{"Project", "has braces, which would put its keys on several nodes of a cluster; leave them out"}
	case strings.ContainsAny(c.Prefix, "{}"):
		return &ConfigError{"Prefix", "has braces, which would put its keys on several nodes of a cluster; leave them out"}
	case c.Timeout < 0:
		return &ConfigError{"Timeout", "is negative; leave it 0 for a second"}
	}
	return nil
}

// A ConfigError says what is wrong with the arguments of New.
type ConfigError struct {
	Field   string // "client", "Project", ...
	Problem string
}

// Error names the field, what is wrong with it and the fix.
func (e *ConfigError) Error() string { return "redisquota: config: " + e.Field + " " + e.Problem }

// LogValue implements slog.LogValuer.
func (e *ConfigError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// checkClient refuses a client that would wait for a server that hangs for longer than a Pool's Timeout.
func checkClient(client redis.UniversalClient) error {
	const missing = "is nil; pass a *redis.Client or *redis.ClusterClient"
	heedsContext := true
	switch c := client.(type) {
	case nil:
		return &ConfigError{"client", missing}
	case *redis.Client:
		if c == nil {
			return &ConfigError{"client", missing}
		}
		heedsContext = c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		if c == nil {
			return &ConfigError{"client", missing}
		}
		heedsContext = c.Options().ContextTimeoutEnabled
	}
	if !heedsContext {
		return &ConfigError{"client.ContextTimeoutEnabled", "is not set, and a server that hangs would hold calls up; set it"}
	}
	return nil
}
