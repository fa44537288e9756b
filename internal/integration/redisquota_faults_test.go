package integration_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
	"github.com/mailgrant/mailgrant/gmailsvc/quota/redisquota"
	"github.com/mailgrant/mailgrant/internal/integration/servers"
)

// limiterOn returns a Limiter of 6,000 units for each user and a tenth without its Pool.
func limiterOn(t *testing.T, client redis.UniversalClient, window, timeout time.Duration) *quota.Limiter {
	t.Helper()
	pool, err := redisquota.New(client, redisquota.Config{Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	l, err := quota.New(quota.Config{Pool: pool, Window: window})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestALimiterGoesOnWhenRedisHangs(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fault{"at once where it closes the connection": loseRequest, "after the timeout where it stalls": stall} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := newRedisProxy(t, servers.StartRedis(t).Options(), "evalsha")
			options := proxy.options()
			options.MaxRetries = -1
			l := limiterOn(t, redisClient(t, options), time.Hour, 3*time.Second)
			spendOnce := func() time.Duration {
				begun := time.Now()
				p, err := l.Acquire(t.Context(), quota.Request{User: "ada", Units: 20, Class: quota.Interactive})
				if err != nil {
					t.Fatal(err)
				}
				p.Done()
				return time.Since(begun)
			}
			spendOnce()
			proxy.harm(f, nil)
			if took := spendOnce(); took > 20*time.Second {
				t.Errorf("went on after %v", took)
			}
			if len(proxy.harmed) != 1 {
				t.Error("Redis was not asked")
			}
			before := proxy.seen.Load()
			if spendOnce(); proxy.seen.Load() != before {
				t.Error("asked again at once")
			}
		})
	}
}

// A process does without Redis for a while, and with it again.
func TestALimiterOutlivesItsRedis(t *testing.T) {
	t.Parallel()
	server := servers.StartRedis(t)
	options := server.Options()
	options.MaxRetries, options.DialerRetries = -1, 1
	const window = 5 * time.Second
	l := limiterOn(t, redisClient(t, options), window, 500*time.Millisecond)
	var calls atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 5 {
		wg.Go(func() {
			for {
				p, err := l.Acquire(t.Context(), quota.Request{User: "ada", Units: 20})
				if err != nil {
					t.Error(err)
					return
				}
				p.Done(quota.Outcome{})
				calls.Add(1)
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	during := func() int64 {
		before := calls.Load()
		pause(t, window)
		return calls.Load() - before
	}
	with := during()
	server.Kill(t)
	pause(t, window)
	without := during()
	server.Start(t)
	pause(t, window)
	again := during()
	close(stop)
	wg.Wait()
	if with < 100 || without > 45 || without < 10 || again < 100 {
		t.Errorf("of 300 calls a minute %d went with Redis, %d without and %d with it again; want all, a tenth, all",
			with, without, again)
	}
}
