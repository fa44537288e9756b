package integration_test

import (
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	_ "modernc.org/sqlite" // registers "sqlite"

	"github.com/mailgrant/mailgrant/internal/integration/servers"
	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/sqlstore"
	"github.com/mailgrant/mailgrant/tokenstore/storetest"
)

// A sqlDatabase is a database system that sqlstore is tested with.
type sqlDatabase struct {
	name    string
	driver  string
	dialect sqlstore.Dialect
	dsn     func(testing.TB) string // of an empty schema
}

var (
	postgreSQL = sqlDatabase{"PostgreSQL", "pgx", sqlstore.PostgreSQL, servers.PostgreSQL}
	mariaDB    = sqlDatabase{"MariaDB", "mysql", sqlstore.MySQL, servers.MariaDB}
	sqlite     = sqlDatabase{"SQLite", "sqlite", sqlstore.SQLite, sqliteFile}

	sqlDatabases = []sqlDatabase{postgreSQL, mariaDB, sqlite}
)

// sqliteFile returns the DSN of a file that doesn't exist yet, opened as the documentation says.
func sqliteFile(tb testing.TB) string {
	tb.Helper()
	return sqliteDSN(filepath.Join(tb.TempDir(), "grants.db"))
}

// sqliteDSN is what the documentation of sqlstore recommends.
func sqliteDSN(path string) string {
	return "file:" + path + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_txlock=immediate"
}

// sqlitePath is the inverse of sqliteDSN.
func sqlitePath(dsn string) string {
	path, _, _ := strings.Cut(strings.TrimPrefix(dsn, "file:"), "?")
	return path
}

// onEachDatabase runs the test on each database system, in parallel.
func onEachDatabase(t *testing.T, test func(t *testing.T, d sqlDatabase)) {
	for _, d := range sqlDatabases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			test(t, d)
		})
	}
}

// open opens a database with a pool of moderate size.
func (d sqlDatabase) open(tb testing.TB, dsn string) *sql.DB {
	tb.Helper()
	db, err := sql.Open(d.driver, dsn)
	if err != nil {
		tb.Fatal(err)
	}
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	tb.Cleanup(func() { db.Close() })
	return db
}

// store returns a migrated Store in the table.
func (d sqlDatabase) store(tb testing.TB, db *sql.DB, table string) *sqlstore.Store {
	tb.Helper()
	store, err := sqlstore.New(db, sqlstore.Config{Dialect: d.dialect, Table: table})
	if err != nil {
		tb.Fatal(err)
	}
	if err := store.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return store
}

func TestSQLStoreKeepsThePromisesOfATokenStore(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		database sqlDatabase
		settings string // appended to the DSN
		wrap     func(tokenstore.TokenStore) tokenstore.TokenStore
	}{
		{name: "on PostgreSQL", database: postgreSQL},
		{name: "on PostgreSQL in a namespace", database: postgreSQL, wrap: inNamespace},
		{name: "on PostgreSQL without prepared statements", database: postgreSQL, settings: " default_query_exec_mode=exec"},
		{name: "on MariaDB", database: mariaDB},
		{name: "on MariaDB in a namespace", database: mariaDB, wrap: inNamespace},
		{
			name: "on MariaDB counting found rows and interpolating", database: mariaDB,
			settings: "?clientFoundRows=true&interpolateParams=true",
		},
		{name: "on SQLite", database: sqlite},
		{name: "on SQLite in a namespace", database: sqlite, wrap: inNamespace},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := test.database.open(t, test.database.dsn(t)+test.settings)
			var tables atomic.Int64
			storetest.Run(t, func(t *testing.T) tokenstore.TokenStore {
				t.Helper()
				var store tokenstore.TokenStore = test.database.store(t, db, fmt.Sprint("records_", tables.Add(1)))
				if test.wrap != nil {
					store = test.wrap(store)
				}
				return store
			})
		})
	}
}

func inNamespace(store tokenstore.TokenStore) tokenstore.TokenStore {
	return tokenstore.Namespace(store, "a tenant")
}

func TestSQLStoreListsTenThousandKeysThroughOneConnectionWhileWriting(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, d sqlDatabase) {
		db := d.open(t, d.dsn(t))
		store := d.store(t, db, "")
		want := make(map[string]bool)
		var wg sync.WaitGroup
		for i := range 16 {
			for n := range 625 {
				// A third of the keys have names that are made of their hash, and sort together.
				want[fmt.Sprintf("grant/%d/%d%s", i, n, strings.Repeat("/long", n%3*50))] = false
			}
		}
		longest := "grant/" + strings.Repeat("k", tokenstore.MaxKeyBytes-len("grant/"))
		want[longest], want[longest[:len(longest)-1]+"x"] = false, false
		keys := slices.Collect(maps.Keys(want))
		for chunk := range slices.Chunk(keys, len(keys)/16) {
			wg.Go(func() {
				for _, key := range chunk {
					if err := store.Swap(t.Context(), key, "", tokenstore.Record{Version: "1", Data: []byte("data")}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()

		db.SetMaxOpenConns(1) // what the listing holds, the writes in its loop would wait for
		listed := 0
		for key, err := range store.Keys(t.Context(), "grant/") {
			if err != nil {
				t.Fatal(err)
			}
			if seen, ok := want[key]; !ok || seen {
				t.Fatalf("Keys lists %.100q, which was listed before or never stored", key)
			}
			want[key] = true
			if listed++; listed%100 == 0 {
				if err := store.Swap(t.Context(), key, "1", tokenstore.Record{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if listed != len(want) {
			t.Errorf("Keys lists %d keys, want %d", listed, len(want))
		}
	})
}

// dumpTable returns every column of every row.
func dumpTable(t *testing.T, db *sql.DB, table string) []byte {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var dump []byte
	for rows.Next() {
		row := make([]any, len(columns))
		for i := range row {
			row[i] = new([]byte)
		}
		if err := rows.Scan(row...); err != nil {
			t.Fatal(err)
		}
		for _, column := range row {
			dump = append(append(dump, *column.(*[]byte)...), '\n')
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return dump
}

func TestSQLStoreErrorSaysThatTheTableIsMissing(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, d sqlDatabase) {
		store, err := sqlstore.New(d.open(t, d.dsn(t)), sqlstore.Config{Dialect: d.dialect})
		if err != nil {
			t.Fatal(err)
		}
		_, getErr := store.Get(t.Context(), "user")
		swapErr := store.Swap(t.Context(), "user", "", tokenstore.Record{Version: "1"})
		for _, err := range []error{getErr, swapErr} {
			if err == nil || errors.Is(err, tokenstore.ErrNotFound) || errors.Is(err, tokenstore.ErrConflict) ||
				!strings.Contains(err.Error(), "mailgrant_records") || !strings.Contains(err.Error(), "has Migrate been called?") {
				t.Errorf("without a table: %v", err)
			}
		}
	})
}
