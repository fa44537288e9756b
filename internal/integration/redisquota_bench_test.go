package integration_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
	"github.com/mailgrant/mailgrant/gmailsvc/quota/redisquota"
	"github.com/mailgrant/mailgrant/internal/integration/servers"
)

// countMinute is what counts fixed minutes take: the least that a shared limit needs.
const countMinute = `
for i = 1, 2 do
	if redis.call('INCRBY', KEYS[i], ARGV[1]) == tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[i], 60000) end
end
return {1, 1, 1}`

// BenchmarkRedisQuota is one reservation, of clients that reserve at the same time for a thousand users.
func BenchmarkRedisQuota(b *testing.B) {
	for _, clients := range []int{1, 64} {
		for _, by := range []string{"peer", "mailgrant"} {
			b.Run(fmt.Sprintf("clients=%d/by=%s", clients, by), func(b *testing.B) {
				options := servers.StartRedis(b).Options()
				options.PoolSize = 64
				client := redisClient(b, options)
				reserve := func(ctx context.Context, user string) error {
					return redis.NewScript(countMinute).Run(ctx, client, []string{"{p}", "{p}:" + user}, 20).Err()
				}
				if by == "mailgrant" {
					pool, err := redisquota.New(client, redisquota.Config{})
					if err != nil {
						b.Fatal(err)
					}
					reserve = func(ctx context.Context, user string) error {
						g, err := pool.Reserve(ctx, quota.Reservation{
							User: user, Need: 20, Want: 20, Class: quota.Interactive,
							PerUser: 1 << 30, PerProject: 1 << 30, Window: time.Minute,
						})
						if err == nil && g.Units == 0 {
							err = fmt.Errorf("denied: %+v", g)
						}
						return err
					}
				}
				var user atomic.Int64
				b.SetParallelism(max(1, clients/2))
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := reserve(b.Context(), fmt.Sprint("user ", user.Add(1)%1000)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}
