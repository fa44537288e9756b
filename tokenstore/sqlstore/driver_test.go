package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore/sqlstore"
)

// A fakeDriver is a database/sql driver whose answers the test decides on.
type fakeDriver struct {
	// exec answers every statement without rows, in a transaction or not.
	exec func(ctx context.Context, query string, args []any) (affected int64, err error)
	// rows answers every query.
	rows func(query string, args []any) ([][]driver.Value, error)
	// commit answers COMMIT; nil is for success.
	commit func() error

	mu  sync.Mutex
	log []string // the transactions: "begin", "exec <first argument>", "commit", "rollback"
}

// open returns a database on the driver.
func (f *fakeDriver) open(t *testing.T) *sql.DB {
	t.Helper()
	db := sql.OpenDB(f)
	t.Cleanup(func() { db.Close() })
	return db
}

// store returns a Store on the driver.
func (f *fakeDriver) store(t *testing.T, dialect sqlstore.Dialect) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.New(f.open(t), sqlstore.Config{Dialect: dialect})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func (f *fakeDriver) note(event string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, event)
}

// noted returns the log.
func (f *fakeDriver) noted() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log)
}

func (f *fakeDriver) Connect(context.Context) (driver.Conn, error) { return &fakeConn{f}, nil }
func (f *fakeDriver) Driver() driver.Driver                        { return f }
func (f *fakeDriver) Open(string) (driver.Conn, error)             { return &fakeConn{f}, nil }

type fakeConn struct{ *fakeDriver }

func (c *fakeConn) Prepare(query string) (driver.Stmt, error) {
	return &fakeStmt{c.fakeDriver, query}, nil
}
func (c *fakeConn) Close() error { return nil }

func (c *fakeConn) Begin() (driver.Tx, error) { panic("not called where there is BeginTx") }

func (c *fakeConn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	c.note("begin")
	return c, nil
}

func (c *fakeConn) Commit() error {
	var err error
	if c.commit != nil {
		err = c.commit()
	}
	c.note("commit")
	return err
}

func (c *fakeConn) Rollback() error {
	c.note("rollback")
	return nil
}

type fakeStmt struct {
	*fakeDriver
	query string
}

func (s *fakeStmt) Close() error  { return nil }
func (s *fakeStmt) NumInput() int { return -1 }
func (s *fakeStmt) Exec([]driver.Value) (driver.Result, error) {
	panic("not called where there is ExecContext")
}
func (s *fakeStmt) Query(args []driver.Value) (driver.Rows, error) {
	rows, err := s.rows(s.query, anys(args))
	return &fakeRows{rows: rows}, err
}

func (s *fakeStmt) ExecContext(ctx context.Context, named []driver.NamedValue) (driver.Result, error) {
	values := make([]driver.Value, len(named))
	for i, arg := range named {
		values[i] = arg.Value
	}
	args := anys(values)
	s.note(strings.TrimSpace("exec " + first(args)))
	n, err := s.exec(ctx, s.query, args)
	return driver.RowsAffected(n), err
}

// anys returns the values with bytes as strings, which can be compared.
func anys(values []driver.Value) []any {
	args := make([]any, len(values))
	for i, value := range values {
		args[i] = value
		if b, ok := value.([]byte); ok {
			args[i] = string(b)
		}
	}
	return args
}

func first(args []any) string {
	if len(args) > 0 {
		if s, ok := args[0].(string); ok {
			return s
		}
	}
	return ""
}

type fakeRows struct{ rows [][]driver.Value }

func (r *fakeRows) Columns() []string {
	if len(r.rows) == 0 {
		return nil
	}
	return make([]string, len(r.rows[0]))
}

func (r *fakeRows) Close() error { return nil }

func (r *fakeRows) Next(dest []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	copy(dest, r.rows[0])
	r.rows = r.rows[1:]
	return nil
}
