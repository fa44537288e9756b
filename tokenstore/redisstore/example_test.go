package redisstore_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/redisstore"
)

// NewUniversalClient gives a client of one server, of Sentinel or of a cluster, as the addresses and MasterName say.
func ExampleNew() {
	ctx := context.Background()
	client := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:                 []string{"redis:6379"},
		ContextTimeoutEnabled: true,
	})
	defer client.Close()

	store, err := redisstore.New(client, redisstore.Config{Prefix: "myservice:grants:"})
	if err != nil {
		log.Fatal(err)
	}
	keys, err := tokenstore.ParseKeyring(os.Getenv("MAILGRANT_KEYS"))
	if err != nil {
		log.Fatal(err)
	}
	grants, err := tokenstore.NewGrants(store, keys)
	if err != nil {
		log.Fatal(err)
	}
	for grant, err := range grants.All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(grant.UserID, grant.Status)
	}
}
