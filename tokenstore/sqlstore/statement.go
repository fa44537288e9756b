package sqlstore

import (
	"context"
	"database/sql"
	"sync/atomic"
)

// A statement is one of the few that a Store ever makes. It is safe for concurrent use.
type statement struct {
	db   *sql.DB
	text string
	// direct leaves it to the driver whether to prepare: pgx has its own cache, and a configuration
	// for poolers such as PgBouncer, where a statement prepared here would get lost.
	direct   bool
	prepared atomic.Pointer[sql.Stmt] // sql.Stmt prepares itself anew on each connection of the pool
}

func newStatement(db *sql.DB, d Dialect, text string) *statement {
	return &statement{db: db, text: d.bind(text), direct: d == PostgreSQL}
}

// prepare returns the prepared statement. It is closed together with the database.
func (s *statement) prepare(ctx context.Context) (*sql.Stmt, error) {
	if stmt := s.prepared.Load(); stmt != nil {
		return stmt, nil
	}
	stmt, err := s.db.PrepareContext(ctx, s.text)
	if err != nil {
		return nil, err
	}
	if !s.prepared.CompareAndSwap(nil, stmt) {
		_ = stmt.Close() //nolint:sqlclosecheck // another caller was first
	}
	return s.prepared.Load(), nil
}

// query returns the rows. The caller closes them.
func (s *statement) query(ctx context.Context, args ...any) (*sql.Rows, error) {
	if s.direct {
		return s.db.QueryContext(ctx, s.text, args...)
	}
	stmt, err := s.prepare(ctx) //nolint:sqlclosecheck // stays open for the next caller
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

// exec returns how many rows were affected, in tx unless that is nil.
func (s *statement) exec(ctx context.Context, tx *sql.Tx, args ...any) (int64, error) {
	var result sql.Result
	var err error
	if s.direct {
		result, err = s.db.ExecContext(ctx, s.text, args...)
	} else {
		var stmt *sql.Stmt
		if stmt, err = s.prepare(ctx); err != nil {
			return 0, err
		}
		if tx != nil {
			stmt = tx.StmtContext(ctx, stmt) //nolint:sqlclosecheck // ends with tx
		}
		result, err = stmt.ExecContext(ctx, args...)
	}
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
