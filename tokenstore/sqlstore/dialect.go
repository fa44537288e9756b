package sqlstore

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Dialect is the SQL that a database speaks. The zero Dialect is none.
type Dialect int

// The dialects. Each is tested with the driver in parentheses; other drivers of the same database should do too.
const (
	PostgreSQL Dialect = iota + 1 // PostgreSQL (github.com/jackc/pgx/v5/stdlib)
	MySQL                         // MySQL and MariaDB, InnoDB (github.com/go-sql-driver/mysql)
	SQLite                        // SQLite 3.24 or newer (modernc.org/sqlite)
)

// String returns the name of the database.
func (d Dialect) String() string {
	switch d {
	case PostgreSQL:
		return "PostgreSQL"
	case MySQL:
		return "MySQL"
	case SQLite:
		return "SQLite"
	}
	return "sqlstore.Dialect(" + strconv.Itoa(int(d)) + ")"
}

// folder returns the directory of the dialect's migrations.
func (d Dialect) folder() string {
	if d == PostgreSQL {
		return "schema/postgres"
	}
	return "schema/" + strings.ToLower(d.String())
}

// quote returns the name of a table, with its schema if it has one, as it is written in a statement.
func (d Dialect) quote(table string) string {
	mark := `"`
	if d == MySQL {
		mark = "`"
	}
	return mark + strings.ReplaceAll(table, ".", mark+"."+mark) + mark
}

// bind returns the statement with its question marks as the dialect's placeholders.
func (d Dialect) bind(statement string) string {
	if d != PostgreSQL {
		return statement
	}
	var b strings.Builder
	for i, part := range strings.Split(statement, "?") {
		if i > 0 {
			fmt.Fprintf(&b, "$%d", i)
		}
		b.WriteString(part)
	}
	return b.String()
}

// unlessThere returns the statement, an INSERT INTO, so that it affects no row where one has the key already.
func (d Dialect) unlessThere(insert string) string {
	if d == MySQL {
		// IGNORE also turns values that don't fit into warnings, but those that reach this statement fit.
		return strings.Replace(insert, "INSERT INTO", "INSERT IGNORE INTO", 1)
	}
	return insert + " ON CONFLICT DO NOTHING"
}

// undone reports whether err says that the database has taken back a statement, or the transaction that it was part
// of, because another was in the way: what was meant to happen certainly did not, and may be tried again.
//
// No driver is imported to know its errors. Those of PostgreSQL share a method, those of MySQL begin with
// the server's number, and for SQLite there is the text that the library itself gives.
func (d Dialect) undone(err error) bool {
	switch d {
	case PostgreSQL:
		// serialization_failure, deadlock_detected
		return slices.Contains([]string{"40001", "40P01"}, sqlState(err))
	case MySQL:
		// Deadlock; lock wait timeout; MariaDB's "record has changed since last read".
		return hasNumber(err, "1213") || hasNumber(err, "1205") || hasNumber(err, "1020")
	case SQLite:
		return strings.Contains(err.Error(), "database is locked") || // SQLITE_BUSY
			strings.Contains(err.Error(), "database table is locked") // SQLITE_LOCKED
	}
	return false
}

// missingTable reports whether err says that a table doesn't exist.
func (d Dialect) missingTable(err error) bool {
	switch d {
	case PostgreSQL:
		return sqlState(err) == "42P01"
	case MySQL:
		return hasNumber(err, "1146")
	case SQLite:
		return strings.Contains(err.Error(), "no such table")
	}
	return false
}

// sqlState returns the five characters by which PostgreSQL tells its errors apart, or "".
func sqlState(err error) string {
	if e, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err); ok {
		return e.SQLState()
	}
	return ""
}

func hasNumber(err error, number string) bool {
	after, ok := strings.CutPrefix(err.Error(), "Error "+number)
	return ok && (strings.HasPrefix(after, " ") || strings.HasPrefix(after, ":"))
}
