// Package sqlstore keeps the records of a tokenstore in PostgreSQL, MySQL, MariaDB or SQLite, through
// database/sql. The driver is the caller's choice: the package imports none.
//
//	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
//	store, err := sqlstore.New(db, sqlstore.Config{Dialect: sqlstore.PostgreSQL})
//	err = store.Migrate(ctx) // at every start: it does nothing where the tables are up to date
//	grants, err := tokenstore.NewGrants(store, keys)
//
// A record is a row, and a Swap is one INSERT, UPDATE or DELETE that names the version it expects, right under
// every isolation level. Where the database takes a statement back because another was in its way (a deadlock, a
// serialization failure, a busy SQLite file), the statement is tried again for a while. Where a connection breaks
// during a Swap, the error says so and no more: tokenstore.Grants then reads to find out what happened.
//
// # What the database must promise
//
// A Swap is final once it returns, as far as the database keeps a committed transaction: leave PostgreSQL's
// synchronous_commit and fsync on, MySQL's innodb_flush_log_at_trx_commit and sync_binlog at 1, and connections in
// autocommit mode. The *sql.DB must lead to the primary: a replica that lags answers with old versions.
//
// # SQLite
//
// Open the file in WAL mode, synchronous, with a busy timeout; for modernc.org/sqlite that is
//
//	sql.Open("sqlite", "file:/var/lib/myservice/grants.db"+
//		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_txlock=immediate")
//
// SQLite has one writer at a time and waits for the disk at each commit. So Swaps that are called while another is
// being committed share the next transaction, each with an outcome of its own. For that a process has one
// Store on the file, not one for each caller. Several processes may share the file, on a local file system.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// defaultTable is the table where Config names none.
const defaultTable = "mailgrant_records"

// maxTableBytes leaves room for the suffix of the table of migrations within PostgreSQL's 63 bytes.
const maxTableBytes = 50

// tableName is what Config.Table may be: such names can be quoted in every dialect as they are.
var tableName = regexp.MustCompile(`^([A-Za-z0-9_-]{1,63}\.)?[A-Za-z0-9_-]{1,50}$`)

// Config says where a Store keeps its records. Dialect is required.
type Config struct {
	// Dialect is the database's: PostgreSQL, MySQL (which MariaDB is too) or SQLite.
	Dialect Dialect

	// Table is the name of the table, "mailgrant_records" if empty: letters, digits, underscores and hyphens, at most
	// 50, if need be after the name of a schema (PostgreSQL), database (MySQL) or attached
	// file (SQLite) and a dot. It is always quoted, so case counts where the database lets it.
	// Beside it, Migrate keeps a small table whose name ends in "_schema".
	Table string
}

// check returns the Config with its defaults, or what is wrong with it.
func (c Config) check() (Config, error) {
	if c.Dialect < PostgreSQL || c.Dialect > SQLite {
		return c, &ConfigError{"Dialect", "is missing or unknown; set PostgreSQL, MySQL or SQLite, whichever db leads to"}
	}
	if c.Table == "" {
		c.Table = defaultTable
	}
	if !tableName.MatchString(c.Table) {
		return c, &ConfigError{"Table", fmt.Sprintf("is %.100q; use letters, digits, underscores and hyphens,"+
			" at most %d, after a schema and a dot if need be", c.Table, maxTableBytes)}
	}
	return c, nil
}

// A Store is a tokenstore.TokenStore and a tokenstore.Lister in a table. It is safe for concurrent use, and any number
// of Stores, in any number of processes, may share a table. It needs no closing: what it holds ends with db.
//
// The table carries the keys in the clear beside the data, which Grants seals.
type Store struct {
	db      *sql.DB
	dialect Dialect
	table   string

	get, insert, update, remove, list *statement

	group *group // where Swaps share transactions
}

// New returns the Store in a table of db. It doesn't connect yet; Migrate creates the table.
//
// Errors: *ConfigError.
func New(db *sql.DB, c Config) (*Store, error) {
	if db == nil {
		return nil, &ConfigError{"db", "is nil; open one with sql.Open"}
	}
	c, err := c.check()
	if err != nil {
		return nil, err
	}
	d, table := c.Dialect, c.Dialect.quote(c.Table)
	s := &Store{
		db:      db,
		dialect: d,
		table:   c.Table,

		get:    newStatement(db, d, "SELECT version, data FROM "+table+" WHERE name = ?"),
		insert: newStatement(db, d, d.unlessThere("INSERT INTO "+table+" (name, rest, version, data) VALUES (?, ?, ?, ?)")),
		update: newStatement(db, d, "UPDATE "+table+" SET version = ?, data = ? WHERE name = ? AND version = ?"),
		remove: newStatement(db, d, "DELETE FROM "+table+" WHERE name = ? AND version = ?"),
		list:   newStatement(db, d, "SELECT name, rest FROM "+table+" WHERE name >= ? AND name < ? ORDER BY name LIMIT ?"),
	}
	if d == SQLite {
		s.group = newGroup(s)
	}
	return s, nil
}

// Get implements tokenstore.TokenStore.
//
// Errors: tokenstore.ErrNotFound; what the driver says, wrapped.
func (s *Store) Get(ctx context.Context, key string) (tokenstore.Record, error) {
	var r tokenstore.Record
	err := s.retry(ctx, func() (err error) {
		r, err = s.read(ctx, key)
		return err
	})
	if err != nil {
		return tokenstore.Record{}, s.explain(ctx, "get", key, err)
	}
	return r, nil
}

func (s *Store) read(ctx context.Context, key string) (r tokenstore.Record, err error) {
	rows, err := s.get.query(ctx, nameOf(key))
	if err != nil {
		return r, err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return r, err
		}
		return r, tokenstore.ErrNotFound
	}
	if err := rows.Scan(&r.Version, &r.Data); err != nil {
		return tokenstore.Record{}, err
	}
	return r, rows.Close()
}

// Swap implements tokenstore.TokenStore.
//
// Errors: tokenstore.ErrConflict; what the driver says, wrapped. After another error than ErrConflict the
// record may have been swapped or not. On SQLite, a Swap whose context ends while its transaction is under way
// returns at once and leaves it open which.
func (s *Store) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	if err := tokenstore.CheckSwap(key, next); err != nil {
		return err
	}
	var err error
	switch w := s.newWrite(key, oldVersion, next); {
	case w == nil:
		err = s.expectNothing(ctx, key)
	case s.group != nil:
		err = s.group.do(ctx, w)
	default:
		err = s.retry(ctx, func() error { return w.apply(ctx, nil) })
	}
	if err != nil {
		return s.explain(ctx, "swap", key, err)
	}
	return nil
}

// expectNothing is the Swap of nothing for nothing, which has nothing to write.
func (s *Store) expectNothing(ctx context.Context, key string) error {
	err := s.retry(ctx, func() error {
		_, err := s.read(ctx, key)
		return err
	})
	switch {
	case err == nil:
		return tokenstore.ErrConflict
	case errors.Is(err, tokenstore.ErrNotFound):
		return nil
	}
	return err
}

// A write is the one statement that a Swap comes down to.
type write struct {
	statement *statement
	args      []any
}

// newWrite returns the write of a Swap, or nil for that of nothing for nothing.
func (s *Store) newWrite(key, oldVersion string, next tokenstore.Record) *write {
	data := next.Data
	if data == nil {
		data = []byte{} // nil would be NULL
	}
	name, old, version := nameOf(key), []byte(oldVersion), []byte(next.Version)
	switch {
	case oldVersion == "" && next.Version == "":
		return nil
	case oldVersion == "":
		return &write{s.insert, []any{name, restOf(key), version, data}}
	case next.Version == "":
		return &write{s.remove, []any{name, old}}
	}
	return &write{s.update, []any{version, data, name, old}}
}

// apply makes the write, in tx unless that is nil. A row that isn't affected had another version, or is there
// though it should not be. (MySQL doesn't count rows that stay as they are; with a new version none does.)
func (w *write) apply(ctx context.Context, tx *sql.Tx) error {
	n, err := w.statement.exec(ctx, tx, w.args...)
	if err == nil && n == 0 {
		err = tokenstore.ErrConflict
	}
	return err
}
