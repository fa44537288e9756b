package integration_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/sqlstore"
)

func TestSQLStoreMigratesOnceWhenManyAskAtTheSameTime(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, d sqlDatabase) {
		dsn := d.dsn(t)
		var wg sync.WaitGroup
		start := make(chan struct{})
		for range 8 { // as processes do: each with a *sql.DB of its own
			store, err := sqlstore.New(d.open(t, dsn), sqlstore.Config{Dialect: d.dialect})
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				<-start
				if err := store.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		close(start)
		wg.Wait()

		db := d.open(t, dsn)
		var rows, version int
		query := "SELECT COUNT(*), MAX(version) FROM mailgrant_records_schema"
		if err := db.QueryRowContext(t.Context(), query).Scan(&rows, &version); err != nil {
			t.Fatal(err)
		}
		if rows != 1 || version != 1 {
			t.Errorf("%d migrations were recorded up to version %d, want 1", rows, version)
		}
	})
}

func TestSQLStoreMigrationKeepsRecords(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, d sqlDatabase) {
		db := d.open(t, d.dsn(t))
		store := d.store(t, db, "")
		if err := store.Swap(t.Context(), "user", "", tokenstore.Record{Version: "1", Data: []byte("data")}); err != nil {
			t.Fatal(err)
		}
		// As a crash leaves it between a statement of MySQL's and the record of it.
		if _, err := db.ExecContext(t.Context(), "DELETE FROM mailgrant_records_schema"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := store.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if r, err := store.Get(t.Context(), "user"); err != nil || r.Version != "1" {
			t.Errorf("after Migrate: version %q, %v", r.Version, err)
		}
	})
}

func TestSQLStoreRefusesTablesOfANewerRelease(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, d sqlDatabase) {
		db := d.open(t, d.dsn(t))
		store := d.store(t, db, "")
		if _, err := db.ExecContext(t.Context(), "INSERT INTO mailgrant_records_schema (version) VALUES (99)"); err != nil {
			t.Fatal(err)
		}
		newer, ok := errors.AsType[*sqlstore.NewerSchemaError](store.Migrate(t.Context()))
		if !ok || newer.Table != "mailgrant_records" || newer.Found != 99 || newer.Known != 1 {
			t.Errorf("Migrate: %v, want a *NewerSchemaError with version 99", newer)
		}
	})
}

func TestSQLStoreTablesMayHaveOddNames(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, d sqlDatabase) {
		db := d.open(t, d.dsn(t))
		names := []string{
			"select", "Order", "1st", "--", "a-b", "_", "user", strings.Repeat("fifty", 10),
		}
		if d.dialect == sqlstore.SQLite {
			names = append(names, "main.qualified", "main.from")
		} else {
			var schema string
			query := "SELECT current_schema()"
			if d.dialect == sqlstore.MySQL {
				query = "SELECT DATABASE()"
			}
			if err := db.QueryRowContext(t.Context(), query).Scan(&schema); err != nil {
				t.Fatal(err)
			}
			names = append(names, schema+".qualified", schema+".from")
		}
		for i, name := range names {
			store := d.store(t, db, name)
			want := tokenstore.Record{Version: name, Data: []byte{byte(i)}}
			if err := store.Swap(t.Context(), "user", "", want); err != nil {
				t.Fatalf("table %q: %v", name, err)
			}
			if r, err := d.store(t, db, name).Get(t.Context(), "user"); err != nil || r.Version != name || r.Data[0] != byte(i) {
				t.Errorf("table %q: version %q, %v", name, r.Version, err)
			}
		}
	})
}
