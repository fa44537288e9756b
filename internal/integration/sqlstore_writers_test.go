package integration_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/sqlstore"
)

// count adds one to the number under key, as every writer of grants does it: read, change, swap, and once more on a conflict.
func count(ctx context.Context, store tokenstore.TokenStore, key string) error {
	for {
		r, err := store.Get(ctx, key)
		if err != nil && !errors.Is(err, tokenstore.ErrNotFound) {
			return err
		}
		n, _ := strconv.Atoi(string(r.Data))
		err = store.Swap(ctx, key, r.Version, tokenstore.Record{Version: rand.Text(), Data: []byte(strconv.Itoa(n + 1))})
		if !errors.Is(err, tokenstore.ErrConflict) {
			return err
		}
	}
}

// countTogether has each of the writers count.
func countTogether(tb testing.TB, store tokenstore.TokenStore, writers, each int, key func(writer int) string) {
	tb.Helper()
	var wg sync.WaitGroup
	for writer := range writers {
		wg.Go(func() {
			for range each {
				if err := count(tb.Context(), store, key(writer)); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// counted fails the test unless the number under key is want.
func counted(tb testing.TB, store tokenstore.TokenStore, key string, want int) {
	tb.Helper()
	if r, err := store.Get(tb.Context(), key); err != nil || string(r.Data) != strconv.Itoa(want) {
		tb.Errorf("%s has counted %q, %v; want %d", key, r.Data, err, want)
	}
}

func TestSQLStoreLosesNoUpdateUnderAnyIsolationLevel(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		database sqlDatabase
		settings string
	}{
		{"PostgreSQL, read committed", postgreSQL, ""},
		{"PostgreSQL, repeatable read", postgreSQL, " default_transaction_isolation='repeatable read'"},
		{"PostgreSQL, serializable", postgreSQL, " default_transaction_isolation=serializable"},
		{"MariaDB, read committed", mariaDB, "?tx_isolation=%27READ-COMMITTED%27"},
		{"MariaDB, repeatable read", mariaDB, ""},
		{"MariaDB, serializable", mariaDB, "?tx_isolation=%27SERIALIZABLE%27"},
		{"SQLite", sqlite, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			store := test.database.store(t, test.database.open(t, test.database.dsn(t)+test.settings), "")
			t.Run("64 writers on one key", func(t *testing.T) {
				t.Parallel()
				countTogether(t, store, 64, 3, func(int) string { return "shared" })
				counted(t, store, "shared", 64*3)
			})
			t.Run("64 writers on as many keys", func(t *testing.T) {
				t.Parallel()
				countTogether(t, store, 64, 10, func(writer int) string { return fmt.Sprint("user ", writer) })
				for writer := range 64 {
					counted(t, store, fmt.Sprint("user ", writer), 10)
				}
			})
			t.Run("creates and deletes of one key", func(t *testing.T) {
				t.Parallel()
				createAndDelete(t, store)
			})
		})
	}
}

// createAndDelete has writers take turns at a key as if it were a lock, which is what deadlocks InnoDB most easily.
func createAndDelete(t *testing.T, store tokenstore.TokenStore) {
	t.Helper()
	var wg sync.WaitGroup
	var holders sync.Mutex
	for range 32 {
		wg.Go(func() {
			for done := 0; done < 3; {
				version := rand.Text()
				err := store.Swap(t.Context(), "lock", "", tokenstore.Record{Version: version})
				if errors.Is(err, tokenstore.ErrConflict) {
					continue
				}
				if err == nil {
					if !holders.TryLock() {
						t.Error("two writers have created the record")
						return
					}
					holders.Unlock()
					err = store.Swap(t.Context(), "lock", version, tokenstore.Record{})
					done++
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// countingVariable names the file in which a re-executed test binary counts.
const countingVariable = "MAILGRANT_TEST_COUNT_IN"

// TestSQLStoreCountsInAFile is what the processes of the next test run. By itself it counts in a file of its own.
func TestSQLStoreCountsInAFile(t *testing.T) {
	t.Parallel()
	path := os.Getenv(countingVariable)
	alone := path == ""
	if alone {
		path = filepath.Join(t.TempDir(), "grants.db")
	}
	store := sqlite.store(t, sqlite.open(t, sqliteDSN(path)), "")
	countTogether(t, store, 8, 20, func(writer int) string { return fmt.Sprint("user ", writer%2) })
	if alone {
		counted(t, store, "user 0", 80)
	}
}

func TestSQLStoreFileIsSharedByProcesses(t *testing.T) {
	t.Parallel()
	const processes = 4
	path := filepath.Join(t.TempDir(), "grants.db")
	var wg sync.WaitGroup
	for range processes {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSQLStoreCountsInAFile$", "-test.timeout=2m")
			cmd.Env = append(os.Environ(), countingVariable+"="+path)
			if output, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v:\n%s", err, output)
			}
		})
	}
	wg.Wait()
	store := sqlite.store(t, sqlite.open(t, sqliteDSN(path)), "")
	for _, user := range []string{"user 0", "user 1"} {
		counted(t, store, user, processes*80)
	}
}

func TestSQLStoreSwapThatWaitsForALockEndsWithItsContext(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, d sqlDatabase) {
		db := d.open(t, d.dsn(t))
		store := d.store(t, db, "")
		before := tokenstore.Record{Version: "1", Data: []byte("before")}
		if err := store.Swap(t.Context(), "user", "", before); err != nil {
			t.Fatal(err)
		}
		release := lockRow(t, db)

		var wg sync.WaitGroup
		errs := make([]error, 8)
		began := time.Now()
		for i := range errs {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				errs[i] = store.Swap(ctx, "user", "1", tokenstore.Record{Version: "late", Data: []byte("late")})
			})
		}
		wg.Wait()
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("the Swaps returned after %v, their contexts ended after 0.2 s", took)
		}
		for _, err := range errs {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Swap: %v, want context.DeadlineExceeded", err)
			}
		}
		release()
		// A server may not have noticed yet, and make one of the Swaps; SQLite is in this process and must not.
		if d.dialect == sqlstore.SQLite {
			if r, err := store.Get(t.Context(), "user"); err != nil || r.Version != "1" {
				t.Errorf("after the lock is gone: version %q, %v; want none of the late ones", r.Version, err)
			}
		}
		if err := count(t.Context(), store, "user"); err != nil {
			t.Errorf("a Swap after the lock is gone: %v", err)
		}
	})
}

// lockRow keeps everybody from writing to the record of "user" until the function that it returns is called.
func lockRow(t *testing.T, db *sql.DB) (release func()) {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "UPDATE mailgrant_records SET rest = version"); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
}

// A swap that SQLite refuses shares a transaction with others, as does one that comes too late.
func TestSQLStoreRefusedSwapDoesNotFailItsNeighbors(t *testing.T) {
	t.Parallel()
	db := sqlite.open(t, sqliteFile(t))
	store := sqlite.store(t, db, "")
	trigger := "CREATE TRIGGER refuse BEFORE INSERT ON mailgrant_records WHEN new.name = CAST('poison' AS BLOB)" +
		" BEGIN SELECT RAISE(ABORT, 'this name is refused'); END"
	if _, err := db.ExecContext(t.Context(), trigger); err != nil {
		t.Fatal(err)
	}
	for round := range 20 {
		var wg sync.WaitGroup
		for i := range 16 {
			key := fmt.Sprintf("round %d, user %d", round, i/2) // each twice: one of the two is too late
			wg.Go(func() {
				err := store.Swap(t.Context(), key, "", tokenstore.Record{Version: rand.Text()})
				if err != nil && !errors.Is(err, tokenstore.ErrConflict) {
					t.Errorf("%s: %v", key, err)
				}
			})
		}
		wg.Go(func() {
			err := store.Swap(t.Context(), "poison", "", tokenstore.Record{Version: "1"})
			if err == nil || errors.Is(err, tokenstore.ErrConflict) {
				t.Errorf("the refused Swap: %v", err)
			}
		})
		wg.Wait()
		for i := range 8 {
			if _, err := store.Get(t.Context(), fmt.Sprintf("round %d, user %d", round, i)); err != nil {
				t.Errorf("user %d: %v", i, err)
			}
		}
	}
}
