package redisquota_test

import (
	"context"
	"fmt"
	"log"

	"github.com/redis/go-redis/v9"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
	"github.com/mailgrant/mailgrant/gmailsvc/quota/redisquota"
)

// NewUniversalClient gives a client of one server, of Sentinel or of a cluster, as the addresses and MasterName
// say.
func ExampleNew() {
	client := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:                 []string{"redis:6379"},
		ContextTimeoutEnabled: true,
	})
	defer client.Close()

	pool, err := redisquota.New(client, redisquota.Config{Project: "my-project-123"})
	if err != nil {
		log.Fatal(err)
	}
	limiter, err := quota.New(quota.Config{
		Pool:      pool,
		PoolShare: 1.0 / 20, // of the limits while Redis is away: there are twenty processes
	})
	if err != nil {
		log.Fatal(err)
	}
	permit, err := limiter.Acquire(context.Background(), quota.Request{User: "1122", Units: 20})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the call may be made")
	permit.Done()
}
