package sqlstore_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore/sqlstore"
)

func TestMigrationsAreNumberedAlikeInEveryDialect(t *testing.T) {
	t.Parallel()
	names := make(map[string][]string)
	for _, dialect := range []string{"postgres", "mysql", "sqlite"} {
		entries, err := os.ReadDir(filepath.Join("schema", dialect))
		if err != nil {
			t.Fatal(err)
		}
		for i, entry := range entries {
			if !strings.HasPrefix(entry.Name(), fmt.Sprintf("%04d_", i+1)) || !strings.HasSuffix(entry.Name(), ".sql") {
				t.Errorf("schema/%s/%s should be named %04d_….sql", dialect, entry.Name(), i+1)
			}
			names[entry.Name()] = append(names[entry.Name()], dialect)
			text, err := os.ReadFile(filepath.Join("schema", dialect, entry.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(string(text), ";\n") || !strings.Contains(string(text), "{table}") {
				t.Errorf("schema/%s/%s ends without a semicolon or names no table", dialect, entry.Name())
			}
		}
	}
	if len(names) == 0 {
		t.Error("there are no migrations")
	}
	for name, dialects := range names {
		if len(dialects) != 3 {
			t.Errorf("%s is there for %q only; a dialect that needs no change has a migration that says so", name, dialects)
		}
	}
}

func TestMigrateChangesNothingInTablesThatAreUpToDateOrNewer(t *testing.T) {
	t.Parallel()
	for version, newer := range map[int64]bool{1: false, 2: true} {
		for _, dialect := range []sqlstore.Dialect{sqlstore.PostgreSQL, sqlstore.MySQL, sqlstore.SQLite} {
			f := &fakeDriver{
				exec: func(_ context.Context, query string, _ []any) (int64, error) {
					return 0, errors.New("no right to " + query)
				},
				rows: func(string, []any) ([][]driver.Value, error) { return [][]driver.Value{{version}}, nil },
			}
			err := f.store(t, dialect).Migrate(t.Context())
			if e, ok := errors.AsType[*sqlstore.NewerSchemaError](err); ok != newer || ok && (e.Found != 2 || e.Known != 1) || !ok && err != nil {
				t.Errorf("%v, version %d: %v", dialect, version, err)
			}
			if log := f.noted(); len(log) != 0 {
				t.Errorf("%v, version %d: %q were executed", dialect, version, log)
			}
		}
	}
}

func TestMigrateSaysWhatFailed(t *testing.T) {
	t.Parallel()
	down := errors.New("connection refused")
	f := &fakeDriver{
		exec: func(context.Context, string, []any) (int64, error) { return 0, down },
		rows: func(string, []any) ([][]driver.Value, error) { return nil, down },
	}
	for _, dialect := range []sqlstore.Dialect{sqlstore.PostgreSQL, sqlstore.MySQL, sqlstore.SQLite} {
		if err := f.store(t, dialect).Migrate(t.Context()); !errors.Is(err, down) || !strings.Contains(err.Error(), "mailgrant_records") {
			t.Errorf("%v: %v", dialect, err)
		}
	}
}
