package servers

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // registers "pgx"
)

const postgresAdvice = "install Debian's postgresql (make servers does), or set MAILGRANT_TEST_POSTGRES"

// PostgreSQL returns the DSN, for the driver "pgx", of a schema that is empty and removed after the test. It is in the
// server that MAILGRANT_TEST_POSTGRES names, else in one that all tests of the process share.
func PostgreSQL(tb testing.TB) string {
	tb.Helper()
	dsn := os.Getenv("MAILGRANT_TEST_POSTGRES")
	if dsn == "" {
		shared, err := sharedPostgreSQL()
		if err != nil {
			tb.Fatal(err)
		}
		dsn = shared.DSN
	}
	schema := fresh(tb, "pgx", dsn, "CREATE SCHEMA %s", "DROP SCHEMA %s CASCADE")
	return withSetting(tb, dsn, "search_path", schema)
}

// withSetting adds a setting to a DSN in either form.
func withSetting(tb testing.TB, dsn, name, value string) string {
	tb.Helper()
	if !strings.Contains(dsn, "://") {
		return fmt.Sprintf("%s %s=%s", dsn, name, value)
	}
	u, err := url.Parse(dsn)
	if err != nil {
		tb.Fatal("MAILGRANT_TEST_POSTGRES is no URL") // the error would show a password
	}
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}

// StartPostgreSQL starts a server for the test alone, which may kill it.
func StartPostgreSQL(tb testing.TB) *SQLServer {
	tb.Helper()
	s, err := newPostgreSQL()
	if err != nil {
		tb.Fatal(err)
	}
	return s.endWith(tb)
}

// sharedPostgreSQL is the server of all tests. It ends with the process, when its keeper sees the end of the pipe.
var sharedPostgreSQL = sync.OnceValues(newPostgreSQL)

func newPostgreSQL() (*SQLServer, error) {
	// Debian keeps the programs of several releases apart, and off PATH.
	const debian = "/usr/lib/postgresql/*/bin"
	initdb, err := find("initdb", postgresAdvice, debian)
	if err != nil {
		return nil, err
	}
	postgres, err := find("postgres", postgresAdvice, filepath.Dir(initdb))
	if err != nil {
		return nil, err
	}
	s, err := newServer("postgres", "postgres")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(s.dir, "data")
	s.Driver, s.DSN = "pgx", "host="+s.dir+" user=postgres dbname=postgres"
	s.stopSignal = "QUIT" // at once, but without leaving shared memory behind
	s.command = []string{postgres, "-D", data, "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=300"}
	return s.setUp(func() error {
		return s.execute(initdb, "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
	})
}
