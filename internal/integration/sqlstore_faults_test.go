package integration_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/mailgrant/mailgrant/internal/integration/servers"
	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/sqlstore"
)

// A lossyNetwork breaks the connection on which a certain message is sent.
type lossyNetwork struct {
	mu      sync.Mutex
	message []byte // what to look for; nil for nothing
	deliver bool   // lose the answer, not the message
	broke   int    // how many connections were broken
}

// lose has the next message that contains the text lost, or the answer to it.
func (n *lossyNetwork) lose(text string, deliver bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.message, n.deliver = []byte(text), deliver
}

func (n *lossyNetwork) wrap(conn net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	return &lossyConn{Conn: conn, network: n}, nil
}

type lossyConn struct {
	net.Conn
	network *lossyNetwork
	silent  atomic.Bool // the next answer is lost
}

func (c *lossyConn) Write(b []byte) (int, error) {
	n := c.network
	n.mu.Lock()
	hit := n.message != nil && bytes.Contains(b, n.message)
	if hit {
		n.message = nil
		n.broke++
	}
	n.mu.Unlock()
	switch {
	case !hit:
		return c.Conn.Write(b)
	case n.deliver:
		c.silent.Store(true)
		return c.Conn.Write(b)
	}
	return len(b), c.Close() // sent, as far as the sender knows
}

func (c *lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil && c.silent.Load() {
		return 0, errors.Join(io.ErrUnexpectedEOF, c.Close())
	}
	return n, err
}

// openThrough opens the database through the network.
func openThrough(t *testing.T, d sqlDatabase, network *lossyNetwork) *sql.DB {
	t.Helper()
	var dialer net.Dialer
	var db *sql.DB
	if d.dialect == sqlstore.PostgreSQL {
		config, err := pgx.ParseConfig(d.dsn(t))
		if err != nil {
			t.Fatal(err)
		}
		config.DialFunc = func(ctx context.Context, kind, address string) (net.Conn, error) {
			return network.wrap(dialer.DialContext(ctx, kind, address))
		}
		db = stdlib.OpenDB(*config)
	} else {
		config, err := mysql.ParseDSN(d.dsn(t))
		if err != nil {
			t.Fatal(err)
		}
		config.DialFunc = func(ctx context.Context, kind, address string) (net.Conn, error) {
			return network.wrap(dialer.DialContext(ctx, kind, address))
		}
		config.Logger = new(mysql.NopLogger) // it logs what the test is about
		connector, err := mysql.NewConnector(config)
		if err != nil {
			t.Fatal(err)
		}
		db = sql.OpenDB(connector)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestSQLStoreGrantsFindOutWhatALostConnectionDid(t *testing.T) {
	t.Parallel()
	for _, d := range []sqlDatabase{postgreSQL, mariaDB} {
		for _, written := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, written: %t", d.name, written), func(t *testing.T) {
				t.Parallel()
				network := new(lossyNetwork)
				db := openThrough(t, d, network)
				store := d.store(t, db, "")
				grants := testGrants(t, store)
				grant := &tokenstore.Grant{UserID: "1122", RefreshToken: "before"}
				for range 2 { // also has the statements prepared
					if err := grants.Put(t.Context(), grant); err != nil {
						t.Fatal(err)
					}
				}

				network.lose(grant.Version(), written)
				grant.RefreshToken = "after"
				err := grants.Put(t.Context(), grant)
				want := "before"
				if written {
					want = "after"
				}
				if (err == nil) != written || errors.Is(err, tokenstore.ErrConflict) || network.broke != 1 {
					t.Errorf("Put: %v, %d connections broken", err, network.broke)
				}
				stored, err := grants.Get(t.Context(), "1122")
				if err != nil || stored.RefreshToken != want {
					t.Fatalf("stored is %v, %v; want %q", stored, err, want)
				}
				if err := grants.Put(t.Context(), grant); err != nil { // goes on from either
					t.Errorf("the next Put: %v", err)
				}

				network.lose(grant.Version(), written)
				swapErr := store.Swap(t.Context(), "grant/1122", grant.Version(), tokenstore.Record{})
				if swapErr == nil || errors.Is(swapErr, tokenstore.ErrConflict) || network.broke != 2 {
					t.Errorf("a bare Swap: %v, %d connections broken; want the driver's error", swapErr, network.broke)
				}
				if _, err := store.Get(t.Context(), "grant/1122"); errors.Is(err, tokenstore.ErrNotFound) != written {
					t.Errorf("after the deletion, written: %t: %v", written, err)
				}
			})
		}
	}
}

func TestSQLStoreKeepsWhatWasAcknowledgedWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		database sqlDatabase
		start    func(testing.TB) *servers.SQLServer
	}{
		{postgreSQL, servers.StartPostgreSQL},
		{mariaDB, servers.StartMariaDB},
	} {
		t.Run(test.database.name, func(t *testing.T) {
			t.Parallel()
			server := test.start(t)
			store := test.database.store(t, test.database.open(t, server.DSN), "")

			const writers, enough = 8, 200
			var acknowledged atomic.Int64
			var writing sync.WaitGroup
			counts := make([]int, writers) // acknowledged
			killed := make(chan struct{})
			ready := make(chan struct{})
			for i := range writers {
				writing.Go(func() {
					version := ""
					for n := 1; ; n++ {
						next := tokenstore.Record{Version: rand.Text(), Data: []byte(strconv.Itoa(n))}
						if err := store.Swap(t.Context(), fmt.Sprint("user ", i), version, next); err != nil {
							if acknowledged.Load() < enough {
								t.Errorf("before the server was killed: %v", err)
							}
							return
						}
						counts[i], version = n, next.Version
						if acknowledged.Add(1) == enough {
							close(ready)
						}
					}
				})
			}
			go func() {
				defer close(killed)
				select {
				case <-ready:
					server.Kill(t)
				case <-t.Context().Done():
				}
			}()
			writing.Wait()
			if t.Failed() {
				return
			}
			<-killed

			server.Start(t)
			for i, n := range counts {
				r, err := store.Get(t.Context(), fmt.Sprint("user ", i))
				if got := string(r.Data); err != nil || got != strconv.Itoa(n) && got != strconv.Itoa(n+1) {
					t.Errorf("user %d is at %q, %v; %d was acknowledged", i, got, err, n)
				}
			}
			if err := count(t.Context(), store, "user 0"); err != nil {
				t.Errorf("a writer after the restart: %v", err)
			}
		})
	}
}
