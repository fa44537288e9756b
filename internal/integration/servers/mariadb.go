package servers

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
)

const mariadbAdvice = "install Debian's mariadb-server (make servers does), or set MAILGRANT_TEST_MARIADB"

// MariaDB returns the DSN, for the driver "mysql", of a database that is empty and removed after the test. It is in the
// server that MAILGRANT_TEST_MARIADB names, else in one that all tests of the process share.
func MariaDB(tb testing.TB) string {
	tb.Helper()
	dsn := os.Getenv("MAILGRANT_TEST_MARIADB")
	if dsn == "" {
		shared, err := sharedMariaDB()
		if err != nil {
			tb.Fatal(err)
		}
		dsn = shared.DSN
	}
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		tb.Fatalf("MAILGRANT_TEST_MARIADB: %v", err)
	}
	config.DBName = fresh(tb, "mysql", dsn, "CREATE DATABASE %s", "DROP DATABASE %s")
	return config.FormatDSN()
}

// StartMariaDB starts a server for the test alone, which may kill it.
func StartMariaDB(tb testing.TB) *SQLServer {
	tb.Helper()
	s, err := newMariaDB()
	if err != nil {
		tb.Fatal(err)
	}
	return s.endWith(tb)
}

// sharedMariaDB is the server of all tests. It ends with the process, when its keeper sees the end of the pipe.
var sharedMariaDB = sync.OnceValues(newMariaDB)

func newMariaDB() (*SQLServer, error) {
	install, err := find("mariadb-install-db", mariadbAdvice)
	if err != nil {
		return nil, err
	}
	mariadbd, err := find("mariadbd", mariadbAdvice, "/usr/sbin", "/usr/libexec")
	if err != nil {
		return nil, err
	}
	s, err := newServer("mariadb", "mysql")
	if err != nil {
		return nil, err
	}
	data, socket := filepath.Join(s.dir, "data"), filepath.Join(s.dir, "mariadb.sock")
	s.Driver, s.DSN = "mysql", "root@unix("+socket+")/test"
	// Not /tmp: a server that starts removes what it takes for the leftovers of another, living or not.
	tmpdir := "--tmpdir=" + s.dir
	s.command = []string{
		mariadbd, "--no-defaults", "--datadir=" + data, "--socket=" + socket, tmpdir, "--skip-networking",
		"--max-connections=300", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=48M",
	}
	return s.setUp(func() error {
		return s.execute(install, "--no-defaults", "--datadir="+data, tmpdir, "--auth-root-authentication-method=normal")
	})
}
