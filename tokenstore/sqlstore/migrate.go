package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// schema holds the migrations of each dialect, numbered from 0001 on. A released one is never changed. Each of its
// statements, which end with a semicolon at the end of a line, can be run again: MySQL has no transactions for DDL.
//
//go:embed schema
var schema embed.FS

// history is the table of the migrations that were applied.
const history = "CREATE TABLE IF NOT EXISTS {history} (" +
	"version INTEGER NOT NULL PRIMARY KEY, applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"

// lockWait is how many seconds a migration of MySQL waits for another between two looks at its context.
const lockWait = 1

// Migrate creates the tables, or brings them from what an older release made to what this one needs. Where they are up
// to date it reads one row, for which a user without the right to create tables will do. Processes that
// call it at the same time wait for each other. Records stay as they are.
//
// Errors: *NewerSchemaError; what the driver says, wrapped. Migrate can be called again after any error.
func (s *Store) Migrate(ctx context.Context) error {
	migrations, err := s.migrations()
	if err != nil {
		return err
	}
	version, err := s.version(ctx, s.db)
	switch {
	case err == nil && version > len(migrations):
		err = &NewerSchemaError{Table: s.table, Found: version, Known: len(migrations)}
	case err != nil || version < len(migrations): // an error most likely says that there are no tables yet
		err = s.retry(ctx, func() error {
			if s.dialect == MySQL {
				return s.migrateConn(ctx, migrations)
			}
			return s.migrateTx(ctx, migrations)
		})
	}
	if _, newer := errors.AsType[*NewerSchemaError](err); newer || err == nil {
		return err
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, err)
	}
	return fmt.Errorf("sqlstore: migrate table %s: %w", s.table, err)
}

// migrations returns the statements of each migration, the first of which leads to version 1.
func (s *Store) migrations() ([][]string, error) {
	folder := s.dialect.folder()
	files, err := schema.ReadDir(folder) // sorted by name
	if err != nil {
		return nil, err
	}
	var migrations [][]string
	for _, file := range files {
		text, err := schema.ReadFile(folder + "/" + file.Name())
		if err != nil {
			return nil, err
		}
		statements := strings.SplitAfter(s.expand(string(text)), ";\n")
		statements = slices.DeleteFunc(statements, func(s string) bool { return strings.TrimSpace(s) == "" })
		migrations = append(migrations, statements)
	}
	return migrations, nil
}

// expand puts the names of the tables into a statement.
func (s *Store) expand(text string) string {
	return strings.NewReplacer(
		"{table}", s.dialect.quote(s.table),
		"{history}", s.dialect.quote(s.table+"_schema"),
	).Replace(text)
}

// A conn is what migrations run on: a *sql.DB, a *sql.Tx or a *sql.Conn.
type conn interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// version returns the version of the tables.
func (s *Store) version(ctx context.Context, c conn) (version int, err error) {
	err = c.QueryRowContext(ctx, s.expand("SELECT COALESCE(MAX(version), 0) FROM {history}")).Scan(&version)
	return version, err
}

// migrateTx migrates in one transaction. PostgreSQL has a lock for it, and in SQLite a transaction that
// was not the first to write is taken back, and tried again by the caller.
func (s *Store) migrateTx(ctx context.Context, migrations [][]string) error {
	options := new(sql.TxOptions)
	if s.dialect == PostgreSQL {
		options.Isolation = sql.LevelReadCommitted // what others commit until the lock is ours must be seen
	}
	tx, err := s.db.BeginTx(ctx, options)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if s.dialect == PostgreSQL {
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", s.lockNumber()); err != nil {
			return err
		}
	}
	if err := s.apply(ctx, tx, migrations); err != nil {
		return err
	}
	return tx.Commit()
}

// migrateConn migrates under a lock that belongs to one connection.
func (s *Store) migrateConn(ctx context.Context, migrations [][]string) (err error) {
	c, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	name := s.lockName()
	for locked := false; !locked; {
		var got sql.NullBool
		if err := c.QueryRowContext(ctx, "SELECT GET_LOCK(?, ?)", name, lockWait).Scan(&got); err != nil {
			return err
		}
		if !got.Valid {
			return errors.New("the server gives no lock; call Migrate again")
		}
		locked = got.Bool
	}
	defer func() {
		if _, err := c.ExecContext(context.WithoutCancel(ctx), "DO RELEASE_LOCK(?)", name); err != nil {
			_ = c.Raw(func(any) error { return driver.ErrBadConn }) // the lock ends with its connection
		}
	}()
	return s.apply(ctx, c, migrations)
}

// lockName names the lock of the table's migrations.
func (s *Store) lockName() string {
	sum := sha256.Sum256([]byte("mailgrant sqlstore " + s.table))
	return "mailgrant " + hex.EncodeToString(sum[:16])
}

// lockNumber is the lock's name where locks are numbered.
func (s *Store) lockNumber() int64 {
	sum := sha256.Sum256([]byte(s.lockName()))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

// apply makes the migrations that are missing. The caller holds the lock.
func (s *Store) apply(ctx context.Context, c conn, migrations [][]string) error {
	if _, err := c.ExecContext(ctx, s.expand(history)); err != nil {
		return err
	}
	version, err := s.version(ctx, c)
	if err != nil {
		return err
	}
	if version > len(migrations) {
		return &NewerSchemaError{Table: s.table, Found: version, Known: len(migrations)}
	}
	for i, statements := range migrations[version:] {
		for _, statement := range statements {
			if _, err := c.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("migration %d: %w", version+i+1, err)
			}
		}
		record := s.dialect.bind(s.expand("INSERT INTO {history} (version) VALUES (?)"))
		if _, err := c.ExecContext(ctx, record, version+i+1); err != nil {
			return fmt.Errorf("record migration %d: %w", version+i+1, err)
		}
	}
	return nil
}
