package redisquota_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
	"github.com/mailgrant/mailgrant/gmailsvc/quota/redisquota"
)

// nobody is where no server listens.
const nobody = "127.0.0.1:1"

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	good := redis.NewClient(&redis.Options{Addr: nobody, ContextTimeoutEnabled: true})
	patient := redis.NewClient(&redis.Options{Addr: nobody})
	patientCluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nobody}})
	t.Cleanup(func() { _ = errors.Join(good.Close(), patient.Close(), patientCluster.Close()) })
	for name, tc := range map[string]struct {
		client redis.UniversalClient
		cfg    redisquota.Config
		field  string
		fix    string
	}{
		"no client":                           {nil, redisquota.Config{}, "client", "pass a *redis.Client"},
		"a nil *redis.Client":                 {(*redis.Client)(nil), redisquota.Config{}, "client", "pass a *redis.Client"},
		"a nil *redis.ClusterClient":          {(*redis.ClusterClient)(nil), redisquota.Config{}, "client", "pass a *redis.Client"},
		"a client that waits for a dead one":  {patient, redisquota.Config{}, "client.ContextTimeoutEnabled", "set it"},
		"a cluster client that does likewise": {patientCluster, redisquota.Config{}, "client.ContextTimeoutEnabled", "set it"},
		"a project with a hash tag":           {good, redisquota.Config{Project: "a}b"}, "Project", "leave them out"},
		"a prefix with a hash tag":            {good, redisquota.Config{Prefix: "{a}"}, "Prefix", "leave them out"},
		"a negative timeout":                  {good, redisquota.Config{Timeout: -time.Second}, "Timeout", "leave it 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool, err := redisquota.New(tc.client, tc.cfg)
			bad, ok := errors.AsType[*redisquota.ConfigError](err)
			if !ok || pool != nil || bad.Field != tc.field || !strings.Contains(err.Error(), tc.fix) {
				t.Fatalf("%v, want a *ConfigError of %s that says %q, and no Pool", err, tc.field, tc.fix)
			}
			if bad.LogValue().String() != err.Error() {
				t.Errorf("logged as %q, want %q", bad.LogValue(), err)
			}
		})
	}
}

func TestWithoutAServerReserveFailsAndALimiterGoesOn(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: nobody, ContextTimeoutEnabled: true, DialerRetries: 1, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	pool, err := redisquota.New(client, redisquota.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = pool.Reserve(t.Context(), quota.Reservation{User: "ada", Need: 1, Want: 1, PerUser: 6000, PerProject: 6000, Window: time.Minute})
	if err == nil || !strings.Contains(err.Error(), `redisquota: reserve units for user "ada": `) {
		t.Errorf("Reserve: %v, want the client's error", err)
	}
	limiter, err := quota.New(quota.Config{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	permit, err := limiter.Acquire(t.Context(), quota.Request{User: "ada", Units: 20})
	if err != nil {
		t.Fatal(err)
	}
	permit.Done()
}
