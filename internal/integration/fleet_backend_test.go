package integration_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/mailgrant/mailgrant/internal/integration/servers"
	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/filestore"
	"github.com/mailgrant/mailgrant/tokenstore/redisstore"
	"github.com/mailgrant/mailgrant/tokenstore/sqlstore"
)

// A backend is a kind of store that processes share. A place says where one is, in words that can be told to
// another process.
type backend struct {
	name  string
	place func(testing.TB) string // of an empty store
	open  func(ctx context.Context, place string) (store tokenstore.TokenStore, done func() error, err error)
}

var backends = []backend{
	{"files", func(tb testing.TB) string { tb.Helper(); return filepath.Join(tb.TempDir(), "grants") }, openFiles},
	sqlite.backend(),
	postgreSQL.backend(),
	mariaDB.backend(),
	{"Redis", func(tb testing.TB) string { tb.Helper(); return redisPlace(servers.StartRedis(tb)) }, openRedis},
}

func backendNamed(name string) backend {
	return backends[slices.IndexFunc(backends, func(b backend) bool { return b.name == name })]
}

// at opens the store in a place until the test ends.
func (b backend) at(tb testing.TB, place string) tokenstore.TokenStore {
	tb.Helper()
	store, done, err := b.open(tb.Context(), place)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := done(); err != nil {
			tb.Error(err)
		}
	})
	return store
}

func openFiles(_ context.Context, dir string) (tokenstore.TokenStore, func() error, error) {
	store, err := filestore.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	return store, store.Close, nil
}

func openMemory(context.Context, string) (tokenstore.TokenStore, func() error, error) {
	return tokenstore.NewMemory(), func() error { return nil }, nil
}

func (d sqlDatabase) backend() backend { return backend{d.name, d.dsn, d.openPlace} }

// openPlace opens the store that a DSN names, as each process of a service does when it starts.
func (d sqlDatabase) openPlace(ctx context.Context, dsn string) (tokenstore.TokenStore, func() error, error) {
	db, err := sql.Open(d.driver, dsn)
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(4) // many processes share a server that has 300
	store, err := sqlstore.New(db, sqlstore.Config{Dialect: d.dialect})
	if err != nil {
		return nil, nil, err
	}
	return store, db.Close, store.Migrate(ctx)
}

func redisPlace(server *servers.RedisServer) string { return "unix://" + server.Options().Addr }

func openRedis(_ context.Context, url string) (tokenstore.TokenStore, func() error, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, nil, err
	}
	client := redis.NewClient(options)
	store, err := redisstore.New(client, redisstore.Config{})
	return store, client.Close, err
}
