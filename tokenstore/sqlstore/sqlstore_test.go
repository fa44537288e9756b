package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/sqlstore"
)

// The program imports a driver for its side effect, here _ "github.com/jackc/pgx/v5/stdlib".
func Example() {
	ctx := context.Background()
	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	store, err := sqlstore.New(db, sqlstore.Config{Dialect: sqlstore.PostgreSQL})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Migrate(ctx); err != nil {
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
		fmt.Println(grant.Email, grant.Status)
	}
}

func TestNewNamesTheFieldThatIsWrong(t *testing.T) {
	t.Parallel()
	db := new(fakeDriver).open(t)
	for name, c := range map[string]struct {
		db     *sql.DB
		config sqlstore.Config
		field  string // "" where nothing is wrong
	}{
		"no database":               {nil, sqlstore.Config{Dialect: sqlstore.SQLite}, "db"},
		"no dialect":                {db, sqlstore.Config{}, "Dialect"},
		"an unknown dialect":        {db, sqlstore.Config{Dialect: 4}, "Dialect"},
		"a negative dialect":        {db, sqlstore.Config{Dialect: -1}, "Dialect"},
		"the default table":         {db, sqlstore.Config{Dialect: sqlstore.MySQL}, ""},
		"a reserved word":           {db, sqlstore.Config{Dialect: sqlstore.MySQL, Table: "select"}, ""},
		"a table in a schema":       {db, sqlstore.Config{Dialect: sqlstore.PostgreSQL, Table: "Auth.user-grants_2"}, ""},
		"a double quote":            {db, sqlstore.Config{Dialect: sqlstore.SQLite, Table: `a"b`}, "Table"},
		"a backtick":                {db, sqlstore.Config{Dialect: sqlstore.MySQL, Table: "a`b"}, "Table"},
		"a second statement":        {db, sqlstore.Config{Dialect: sqlstore.SQLite, Table: "a; DROP TABLE b"}, "Table"},
		"a placeholder":             {db, sqlstore.Config{Dialect: sqlstore.MySQL, Table: "a?"}, "Table"},
		"a NUL":                     {db, sqlstore.Config{Dialect: sqlstore.MySQL, Table: "a\x00"}, "Table"},
		"a line end":                {db, sqlstore.Config{Dialect: sqlstore.MySQL, Table: "a\n"}, "Table"},
		"letters beyond ASCII":      {db, sqlstore.Config{Dialect: sqlstore.MySQL, Table: "größe"}, "Table"},
		"a schema without a table":  {db, sqlstore.Config{Dialect: sqlstore.PostgreSQL, Table: "a."}, "Table"},
		"a table without a schema":  {db, sqlstore.Config{Dialect: sqlstore.PostgreSQL, Table: ".a"}, "Table"},
		"three parts":               {db, sqlstore.Config{Dialect: sqlstore.PostgreSQL, Table: "a.b.c"}, "Table"},
		"a name of 50 characters":   {db, sqlstore.Config{Dialect: sqlstore.SQLite, Table: strings.Repeat("t", 50)}, ""},
		"a name of 51 characters":   {db, sqlstore.Config{Dialect: sqlstore.SQLite, Table: strings.Repeat("t", 51)}, "Table"},
		"a schema of 64 characters": {db, sqlstore.Config{Dialect: sqlstore.SQLite, Table: strings.Repeat("s", 64) + ".t"}, "Table"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, err := sqlstore.New(c.db, c.config)
			configErr, ok := errors.AsType[*sqlstore.ConfigError](err)
			switch {
			case c.field == "" && (err != nil || store == nil):
				t.Errorf("New: %v, want no error", err)
			case c.field != "" && (store != nil || !ok || configErr.Field != c.field || !strings.Contains(err.Error(), c.field)):
				t.Errorf("New: %v, want a *ConfigError that names %s", err, c.field)
			}
		})
	}
}

func TestEveryStatementQuotesTheTableAsItsDialectDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		config sqlstore.Config
		quoted string
		insert string
	}{
		{
			sqlstore.Config{Dialect: sqlstore.PostgreSQL, Table: "auth.order"}, `"auth"."order"`,
			`INSERT INTO "auth"."order" (name, rest, version, data) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		},
		{
			sqlstore.Config{Dialect: sqlstore.MySQL, Table: "auth.order"}, "`auth`.`order`",
			"INSERT IGNORE INTO `auth`.`order` (name, rest, version, data) VALUES (?, ?, ?, ?)",
		},
		{
			sqlstore.Config{Dialect: sqlstore.SQLite}, `"mailgrant_records"`,
			`INSERT INTO "mailgrant_records" (name, rest, version, data) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		},
	} {
		t.Run(c.config.Dialect.String(), func(t *testing.T) {
			t.Parallel()
			var statements []string
			f := &fakeDriver{
				exec: func(_ context.Context, query string, _ []any) (int64, error) {
					statements = append(statements, query)
					return 1, nil
				},
				rows: func(query string, _ []any) ([][]driver.Value, error) {
					statements = append(statements, query)
					return nil, nil
				},
			}
			store, err := sqlstore.New(f.open(t), c.config)
			if err != nil {
				t.Fatal(err)
			}
			record := tokenstore.Record{Version: "2", Data: []byte("data")}
			for _, err := range []error{
				store.Swap(t.Context(), "user", "", record),
				store.Swap(t.Context(), "user", "1", record),
				store.Swap(t.Context(), "user", "1", tokenstore.Record{}),
				store.Swap(t.Context(), "user", "", tokenstore.Record{}),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			for key, err := range store.Keys(t.Context(), "") {
				t.Fatalf("Keys yields %q, %v", key, err)
			}
			if len(statements) != 5 || statements[0] != c.insert {
				t.Errorf("the statements are %q, want 5, first %q", statements, c.insert)
			}
			for _, statement := range statements {
				if strings.Count(statement, c.quoted) != 1 {
					t.Errorf("%s doesn't name the table as %s", statement, c.quoted)
				}
			}
		})
	}
}

func TestSwapThatAffectsNoRowIsAConflict(t *testing.T) {
	t.Parallel()
	f := &fakeDriver{
		exec: func(context.Context, string, []any) (int64, error) { return 0, nil },
		rows: func(string, []any) ([][]driver.Value, error) {
			return [][]driver.Value{{[]byte("1"), []byte("data")}}, nil
		},
	}
	for _, dialect := range []sqlstore.Dialect{sqlstore.PostgreSQL, sqlstore.MySQL, sqlstore.SQLite} {
		store := f.store(t, dialect)
		for _, err := range []error{
			store.Swap(t.Context(), "user", "", tokenstore.Record{Version: "2"}),
			store.Swap(t.Context(), "user", "0", tokenstore.Record{Version: "2"}),
			store.Swap(t.Context(), "user", "0", tokenstore.Record{}),
			store.Swap(t.Context(), "user", "", tokenstore.Record{}),
		} {
			if !errors.Is(err, tokenstore.ErrConflict) {
				t.Errorf("%v: %v, want ErrConflict", dialect, err)
			}
		}
	}
}

func TestLongKeysHaveShortNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	var names []string
	f := &fakeDriver{exec: func(_ context.Context, _ string, args []any) (int64, error) {
		names = append(names, args[0].(string))
		return 1, nil
	}}
	store := f.store(t, sqlstore.PostgreSQL)
	long := strings.Repeat("k", 256)
	keys := []string{"k", long[:255], long, long + "k", long[:255] + "x", strings.Repeat("k", tokenstore.MaxKeyBytes)}
	for _, key := range keys {
		if err := store.Swap(t.Context(), key, "", tokenstore.Record{Version: "1"}); err != nil {
			t.Fatal(err)
		}
	}
	keys = append(keys, names[2]) // a key that is another's name
	if err := store.Swap(t.Context(), names[2], "", tokenstore.Record{Version: "1"}); err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		if len(name) > 256 || len(keys[i]) < 256 && name != keys[i] {
			t.Errorf("a key of %d bytes has a name of %d", len(keys[i]), len(name))
		}
	}
	slices.Sort(names)
	if n := len(slices.Compact(names)); n != len(keys) {
		t.Errorf("%d keys have %d names", len(keys), n)
	}
}
