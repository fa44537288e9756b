package integration_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/sqlstore"
)

// Grants in an SQLite file, with the driver modernc.org/sqlite.
func Example_sqlstore() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "grants.db")+
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	store, err := sqlstore.New(db, sqlstore.Config{Dialect: sqlstore.SQLite})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	keys, err := tokenstore.ParseKeyring(tokenstore.GenerateKey())
	if err != nil {
		log.Fatal(err)
	}
	grants, err := tokenstore.NewGrants(store, keys)
	if err != nil {
		log.Fatal(err)
	}

	err = grants.Put(ctx, &tokenstore.Grant{UserID: "108204268033311374519", Email: "ada@example.com", RefreshToken: "1//0example"})
	if err != nil {
		log.Fatal(err)
	}
	for grant, err := range grants.All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(grant.UserID, grant.Email)
	}
	for key, err := range store.Keys(ctx, "") {
		fmt.Println(key, err)
	}
	// Output:
	// 108204268033311374519 ada@example.com
	// grant/108204268033311374519 <nil>
}
