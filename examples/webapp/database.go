package main

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/mailgrant/mailgrant/tokenstore/sqlstore"
)

// schema creates the application's own tables. Beside them are those of the grants: sqlstore sees to these.
//
//go:embed schema.sql
var schema string

// A database is everything that outlives a process: accounts, sessions, and grants.
type database struct {
	*sql.DB
	grants *sqlstore.Store
}

// openDatabase opens the database of the settings, and brings its tables up to date.
func openDatabase(ctx context.Context, set settings) (*database, error) {
	driver, dialect, source := "pgx", sqlstore.PostgreSQL, set.dsn
	if source == "" {
		file := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(set.data, "webapp.db"))}
		driver, dialect = "sqlite", sqlstore.SQLite
		source = file.String() + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_txlock=immediate"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(16)
	grants, err := sqlstore.New(db, sqlstore.Config{Dialect: dialect})
	if err == nil {
		err = grants.Migrate(ctx)
	}
	if err == nil {
		_, err = db.ExecContext(ctx, schema)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the database: %w", err), db.Close())
	}
	return &database{db, grants}, nil
}
