package integration_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/sqlstore"
)

// A sqlClient makes the calls that are measured, through sqlstore or without it.
type sqlClient struct {
	get  func(ctx context.Context, key string) error
	swap func(ctx context.Context, key, old, version string, data []byte) error
}

// BenchmarkSQLStore compares the store with the statement that it makes, prepared once and executed through
// database/sql by the same number of clients, each on a record of its own. The raw writers of SQLite have
// one connection, which is the fastest way for one synced transaction each.
func BenchmarkSQLStore(b *testing.B) {
	for _, d := range sqlDatabases {
		b.Run(d.name, func(b *testing.B) {
			for _, clients := range []int{1, 64} {
				dsn := d.dsn(b)
				db := d.open(b, dsn)
				db.SetMaxOpenConns(clients)
				db.SetMaxIdleConns(clients)
				store := d.store(b, db, "")
				rawDB := d.open(b, dsn)
				rawDB.SetMaxOpenConns(clients)
				rawDB.SetMaxIdleConns(clients)
				for i := range 1000 { // more than the measured ones
					seed(b, store, fmt.Sprint("neighbor ", i))
				}
				for _, of := range []struct {
					by     string
					client sqlClient
				}{
					{"peer", rawClient(b, d, rawDB)},
					{"mailgrant", storeClient(store)},
				} {
					b.Run(fmt.Sprintf("get/clients=%d/by=%s", clients, of.by), func(b *testing.B) {
						measure(b, store, clients, func(ctx context.Context, key, _ string) (string, error) {
							return "", of.client.get(ctx, key)
						})
					})
				}
				if d.dialect == sqlstore.SQLite {
					rawDB.SetMaxOpenConns(1)
				}
				for _, of := range []struct {
					by     string
					client sqlClient
				}{
					{"peer", rawClient(b, d, rawDB)},
					{"mailgrant", storeClient(store)},
				} {
					data := make([]byte, 600)
					b.Run(fmt.Sprintf("swap/clients=%d/by=%s", clients, of.by), func(b *testing.B) {
						measure(b, store, clients, func(ctx context.Context, key, old string) (string, error) {
							version := rand.Text()
							return version, of.client.swap(ctx, key, old, version, data)
						})
					})
				}
			}
		})
	}
}

// seed stores a record of a usual size and returns its version.
func seed(b *testing.B, store tokenstore.TokenStore, key string) string {
	b.Helper()
	r := tokenstore.Record{Version: rand.Text(), Data: make([]byte, 600)}
	if err := store.Swap(b.Context(), key, "", r); err != nil {
		b.Fatal(err)
	}
	return r.Version
}

// measure has each client call op again and again on a record of its own, with the version that it returned before.
func measure(b *testing.B, store tokenstore.TokenStore, clients int,
	op func(ctx context.Context, key, old string) (string, error),
) {
	b.Helper()
	keys, versions := make([]string, clients), make([]string, clients)
	for i := range clients {
		sum := sha256.Sum256([]byte{byte(i)})
		keys[i] = fmt.Sprintf("grant/%x%s", sum[:8], rand.Text())
		versions[i] = seed(b, store, keys[i])
	}
	var next atomic.Int64
	b.SetParallelism((clients + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		i := int(next.Add(1) - 1)
		if i >= clients { // one client on two processors
			return
		}
		for pb.Next() {
			version, err := op(context.Background(), keys[i], versions[i])
			if err != nil {
				b.Error(err)
				return
			}
			versions[i] = version
		}
	})
}

func storeClient(store *sqlstore.Store) sqlClient {
	return sqlClient{
		get: func(ctx context.Context, key string) error {
			_, err := store.Get(ctx, key)
			return err
		},
		swap: func(ctx context.Context, key, old, version string, data []byte) error {
			return store.Swap(ctx, key, old, tokenstore.Record{Version: version, Data: data})
		},
	}
}

func rawClient(b *testing.B, d sqlDatabase, db *sql.DB) sqlClient {
	b.Helper()
	get := "SELECT version, data FROM mailgrant_records WHERE name = ?"
	update := "UPDATE mailgrant_records SET version = ?, data = ? WHERE name = ? AND version = ?"
	if d.dialect == sqlstore.PostgreSQL {
		get = "SELECT version, data FROM mailgrant_records WHERE name = $1"
		update = "UPDATE mailgrant_records SET version = $1, data = $2 WHERE name = $3 AND version = $4"
	}
	prepare := func(query string) *sql.Stmt {
		stmt, err := db.PrepareContext(b.Context(), query)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { stmt.Close() })
		return stmt
	}
	getStmt, updateStmt := prepare(get), prepare(update)
	return sqlClient{
		get: func(ctx context.Context, key string) error {
			var version, data []byte
			return getStmt.QueryRowContext(ctx, []byte(key)).Scan(&version, &data)
		},
		swap: func(ctx context.Context, key, old, version string, data []byte) error {
			result, err := updateStmt.ExecContext(ctx, []byte(version), data, []byte(key), []byte(old))
			if err != nil {
				return err
			}
			if n, err := result.RowsAffected(); err != nil || n != 1 {
				return errors.Join(fmt.Errorf("%d rows affected", n), err)
			}
			return nil
		},
	}
}
