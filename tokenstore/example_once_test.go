package tokenstore_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// A message may be delivered twice, to two processes. It is handled once, and the second learns what became of it.
func ExampleOnce() {
	ctx := context.Background()
	ring, err := tokenstore.ParseKeyring(tokenstore.GenerateKey())
	if err != nil {
		log.Fatal(err)
	}
	once, err := tokenstore.NewOnce(tokenstore.Namespace(tokenstore.NewMemory(), "messages"), ring, nil)
	if err != nil {
		log.Fatal(err)
	}

	for range 2 {
		first, err := once.Claim(ctx, "message 17", time.Now().Add(time.Hour))
		if err != nil {
			log.Fatal(err) // it may be claimed or not: leave it alone
		}
		if first != nil {
			fmt.Printf("handled before: %s\n", first.Note)
			continue
		}
		fmt.Println("handling it")
		if err := once.Settle(ctx, "message 17", []byte("delivered")); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// handling it
	// handled before: delivered
}
