//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package filestore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/filestore"
)

// A grant outlives the process that stored it.
func ExampleOpen() {
	parent, err := os.MkdirTemp("", "filestore")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(parent) }()
	dir := filepath.Join(parent, "grants")

	keyring, err := tokenstore.ParseKeyring(tokenstore.GenerateKey())
	if err != nil {
		log.Panic(err)
	}
	work := func(do func(context.Context, *tokenstore.Grants) error) {
		store, err := filestore.Open(dir)
		if err != nil {
			log.Panic(err)
		}
		defer func() { _ = store.Close() }()
		grants, err := tokenstore.NewGrants(store, keyring)
		if err != nil {
			log.Panic(err)
		}
		if err := do(context.Background(), grants); err != nil {
			log.Panic(err)
		}
	}
	work(func(ctx context.Context, grants *tokenstore.Grants) error {
		return grants.Put(ctx, &tokenstore.Grant{UserID: "1078", Email: "ana@example.com"})
	})
	work(func(ctx context.Context, grants *tokenstore.Grants) error {
		grant, err := grants.Get(ctx, "1078")
		if err != nil {
			return err
		}
		fmt.Println(grant.Email)
		return nil
	})
	// Output: ana@example.com
}
