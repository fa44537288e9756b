package sqlstore_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/sqlstore"
)

// A stateError is an error as the drivers of PostgreSQL have it.
type stateError string

func (e stateError) Error() string    { return "ERROR: (SQLSTATE " + string(e) + ")" }
func (e stateError) SQLState() string { return string(e) }

// takenBack are the errors after which nothing has happened.
var takenBack = []struct {
	dialect sqlstore.Dialect
	err     error
}{
	{sqlstore.PostgreSQL, stateError("40001")},
	{sqlstore.PostgreSQL, fmt.Errorf("exec: %w", stateError("40P01"))},
	{sqlstore.MySQL, errors.New("Error 1213 (40001): Deadlock found when trying to get lock; try restarting transaction")},
	{sqlstore.MySQL, errors.New("Error 1205: Lock wait timeout exceeded; try restarting transaction")},
	{sqlstore.MySQL, errors.New("Error 1020 (HY000): Record has changed since last read in table 'mailgrant_records'")},
	{sqlstore.SQLite, errors.New("database is locked (5) (SQLITE_BUSY)")},
	{sqlstore.SQLite, errors.New("sqlite3: database table is locked")},
}

func TestStatementThatTheDatabaseHasTakenBackIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, c := range takenBack {
		t.Run(c.err.Error(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				f := &fakeDriver{
					exec: func(context.Context, string, []any) (int64, error) {
						if tries++; tries <= 3 {
							return 0, c.err
						}
						return 1, nil
					},
					rows: func(string, []any) ([][]driver.Value, error) {
						if tries++; tries <= 3 {
							return nil, c.err
						}
						return [][]driver.Value{{[]byte("1"), []byte("data")}}, nil
					},
				}
				store := f.store(t, c.dialect)
				if err := store.Swap(t.Context(), "user", "1", tokenstore.Record{Version: "2"}); err != nil || tries != 4 {
					t.Errorf("Swap: %v after %d tries, want success after 4", err, tries)
				}
				tries = 0
				if r, err := store.Get(t.Context(), "user"); err != nil || r.Version != "1" || tries != 4 {
					t.Errorf("Get: version %q, %v after %d tries, want success after 4", r.Version, err, tries)
				}
			})
		})
	}
}

func TestTryingAgainEnds(t *testing.T) {
	t.Parallel()
	for _, c := range takenBack {
		t.Run(c.err.Error(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				f := &fakeDriver{exec: func(context.Context, string, []any) (int64, error) {
					tries++
					return 0, c.err
				}}
				store := f.store(t, c.dialect)
				began := time.Now()
				err := store.Swap(t.Context(), "user", "1", tokenstore.Record{Version: "2"})
				if !errors.Is(err, c.err) || errors.Is(err, tokenstore.ErrConflict) || !strings.Contains(err.Error(), `"user"`) {
					t.Errorf("Swap: %v, want the driver's error and whose record it is", err)
				}
				if took := time.Since(began); tries < 5 || tries > 20 || took > 10*time.Second {
					t.Errorf("%d tries in %v", tries, took)
				}

				tries = 0
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
				defer cancel()
				began = time.Now()
				err = store.Swap(ctx, "user", "1", tokenstore.Record{Version: "2"})
				if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > 5*time.Millisecond {
					t.Errorf("Swap with 5 ms: %v after %v", err, took)
				}
			})
		})
	}
}

func TestErrorThatLeavesTheOutcomeOpenIsReturnedAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dialect sqlstore.Dialect
		err     error
	}{
		{sqlstore.PostgreSQL, errors.New("unexpected EOF")},
		{sqlstore.PostgreSQL, stateError("40003")}, // statement_completion_unknown
		{sqlstore.PostgreSQL, stateError("57P01")}, // admin_shutdown
		{sqlstore.PostgreSQL, errors.New("database is locked")},
		{sqlstore.MySQL, errors.New("invalid connection")},
		{sqlstore.MySQL, errors.New("Error 12130 (HY000): not a deadlock")},
		{sqlstore.MySQL, errors.New("Error 1290 (HY000): the server is read-only, was Error 1213")},
		{sqlstore.SQLite, errors.New("disk I/O error (10) (SQLITE_IOERR)")},
	} {
		t.Run(c.err.Error(), func(t *testing.T) {
			t.Parallel()
			tries := 0
			f := &fakeDriver{exec: func(context.Context, string, []any) (int64, error) {
				tries++
				return 0, c.err
			}}
			err := f.store(t, c.dialect).Swap(t.Context(), "user", "1", tokenstore.Record{Version: "2", Data: []byte("sealed")})
			if !errors.Is(err, c.err) || errors.Is(err, tokenstore.ErrConflict) || tries != 1 || strings.Contains(err.Error(), "sealed") {
				t.Errorf("Swap: %v after %d tries, want the driver's error after 1", err, tries)
			}
		})
	}
}
