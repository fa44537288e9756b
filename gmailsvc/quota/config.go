package quota

import (
	"cmp"
	"log/slog"
	"math"
	"time"
)

// A Config says what a Limiter keeps to. The zero Config is right for a project created since May 2026.
type Config struct {
	// PerUser is how many units a user may spend a minute. 0: 6,000, as projects created since May 2026 have;
	// older ones have 15,000. Negative: no limit.
	PerUser int
	// PerProject is how many units all users together may spend a minute. 0: 1,200,000. Negative: no limit.
	PerProject int

	// Concurrency is how many calls of a user may be in flight. 0: 5. Google answers "Too many concurrent
	// requests for user" to some number above that, which it does not publish.
	Concurrency int
	// BatchSize is how many calls of a user may be in flight where they travel together in batches. 0: 25; of
	// batches of 100, Google answers many parts with 429.
	BatchSize int

	// Pool, unless nil, is what the Limiters of several processes share: see package redisquota. Limits and
	// prices should be the same in all of them.
	Pool Pool
	// PoolShare is the part of the limits that this process keeps to while the Pool can't be asked. 0: a tenth.
	// Negative: none, and Acquire fails with *PoolError.
	PoolShare float64

	// Window is the length of the minute. 0: a minute, as Google has it. Others are for tests.
	Window time.Duration
}

const (
	defaultPerUser     = 6_000
	defaultPerProject  = 1_200_000
	defaultConcurrency = 5
	defaultBatchSize   = 25
	defaultPoolShare   = 0.1
	unlimited          = math.MaxInt32 // units, which no minute sees
)

// withDefaults fills in what is not set.
func (c Config) withDefaults() Config {
	c.PerUser = cmp.Or(c.PerUser, defaultPerUser)
	c.PerProject = cmp.Or(c.PerProject, defaultPerProject)
	for _, limit := range []*int{&c.PerUser, &c.PerProject} {
		if *limit < 0 {
			*limit = unlimited
		}
	}
	c.Concurrency = cmp.Or(c.Concurrency, defaultConcurrency)
	c.BatchSize = max(cmp.Or(c.BatchSize, defaultBatchSize), c.Concurrency)
	c.PoolShare = max(cmp.Or(c.PoolShare, defaultPoolShare), 0)
	c.Window = cmp.Or(c.Window, time.Minute)
	return c
}

// shortest is the least window whose ticks are longer than what a timer is late.
const shortest = 100 * time.Millisecond

func (c Config) validate() error {
	switch {
	case c.PerUser > unlimited:
		return &ConfigError{"PerUser", "is more than 2^31-1; a negative one stands for no limit"}
	case c.PerProject > unlimited:
		return &ConfigError{"PerProject", "is more than 2^31-1; a negative one stands for no limit"}
	case c.Concurrency < 0 || c.Concurrency > maxCalls:
		return &ConfigError{"Concurrency", "is not within 0 and 1,000; leave it 0 for 5"}
	case c.BatchSize < 0 || c.BatchSize > maxCalls:
		return &ConfigError{"BatchSize", "is not within 0 and 1,000; leave it 0 for 25"}
	case !(c.PoolShare <= 1):
		return &ConfigError{"PoolShare", "is above 1; with n processes it should not be more than 1/n"}
	case c.Window != 0 && c.Window < shortest:
		return &ConfigError{"Window", "is shorter than 100 ms; leave it 0 for Google's minute"}
	}
	return nil
}

// maxCalls is far beyond what Google bears for a user.
const maxCalls = 1000

// A ConfigError says what is wrong with a Config.
type ConfigError struct {
	Field   string // of the Config
	Problem string
}

// Error names the field, what is wrong with it and the fix.
func (e *ConfigError) Error() string { return "quota: config: " + e.Field + " " + e.Problem }

// LogValue implements slog.LogValuer.
func (e *ConfigError) LogValue() slog.Value { return slog.StringValue(e.Error()) }
