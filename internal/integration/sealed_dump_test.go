package integration_test

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/mailgrant/mailgrant/internal/integration/servers"
)

// A dump passes on all the bytes that a backend keeps, in pieces, with the place where they are.
type dump func(t *testing.T, look func(place string, content []byte))

// A sealedBackend is a backend whose every byte the test gets to see.
type sealedBackend struct {
	backend
	private func(*testing.T) (place string, all dump) // a store of the test alone
}

func sealedBackends() []sealedBackend {
	private := []func(*testing.T) (string, dump){
		privateFiles, privateSQLite, privateServer(postgreSQL), privateServer(mariaDB), privateRedis,
	}
	all := make([]sealedBackend, len(backends))
	for i, b := range backends {
		all[i] = sealedBackend{b, private[i]}
	}
	return all
}

func privateFiles(t *testing.T) (string, dump) {
	t.Helper()
	dir := backendNamed("files").place(t)
	return dir, func(t *testing.T, look func(string, []byte)) { t.Helper(); dumpTree(t, dir, "files", look) }
}

func privateSQLite(t *testing.T) (string, dump) {
	t.Helper()
	dsn := sqliteFile(t)
	return dsn, func(t *testing.T, look func(string, []byte)) {
		t.Helper()
		look("rows", dumpTable(t, sqlite.open(t, dsn), "mailgrant_records"))
		dumpTree(t, filepath.Dir(sqlitePath(dsn)), "files", look)
	}
}

// privateServer looks into the files of a database server: its tables, what was deleted from them, and its logs.
func privateServer(d sqlDatabase) func(*testing.T) (string, dump) {
	start, directory, flush := servers.StartPostgreSQL, "SHOW data_directory", "CHECKPOINT"
	if d.name == mariaDB.name {
		start, directory, flush = servers.StartMariaDB, "SELECT @@datadir", "FLUSH TABLES"
	}
	return func(t *testing.T) (string, dump) {
		t.Helper()
		dsn := start(t).DSN
		return dsn, func(t *testing.T, look func(string, []byte)) {
			t.Helper()
			db := d.open(t, dsn)
			look("rows", dumpTable(t, db, "mailgrant_records"))
			look("rows as text", dumpTable(t, db, rowsAsText(d)))
			if _, err := db.ExecContext(t.Context(), flush); err != nil {
				t.Fatal(err)
			}
			dumpTree(t, queryText(t, db, directory), "files", look)
		}
	}
}

// rowsAsText is a table of the rows as people get to see them who ask for them.
func rowsAsText(d sqlDatabase) string {
	if d.name == postgreSQL.name {
		return "(SELECT r::text FROM mailgrant_records r) AS shown"
	}
	return "(SELECT HEX(name), HEX(data) FROM mailgrant_records) AS shown"
}

func queryText(t *testing.T, db *sql.DB, query string) (text string) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

func privateRedis(t *testing.T) (string, dump) {
	t.Helper()
	// Compressed, a token could not be found although it is there.
	server := servers.StartRedis(t, "--appendonly", "yes", "--rdbcompression", "no")
	return redisPlace(server), func(t *testing.T, look func(string, []byte)) {
		t.Helper()
		client := redisClient(t, server.Options())
		keys, err := client.Keys(t.Context(), "*").Result()
		if err != nil {
			t.Fatal(err)
		}
		var dumped []byte
		for _, key := range keys {
			dumped = append(dumped, redisDump(t, client, key)...)
		}
		look("DUMP", dumped)
		if err := client.Save(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		dumpTree(t, filepath.Join(server.Dir, "appendonlydir"), "AOF", look)
		snapshot, err := os.ReadFile(filepath.Join(server.Dir, "dump.rdb"))
		if err != nil {
			t.Fatal(err)
		}
		look("RDB", snapshot)
	}
}

func redisDump(t *testing.T, client *redis.Client, key string) string {
	t.Helper()
	text, err := client.Dump(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	return key + text
}

// dumpTree passes on every file in and below a directory.
func dumpTree(t *testing.T, dir, place string, look func(string, []byte)) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, path))
		look(place, content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A needle is a text to look for, in the forms that it may have been given on its way to the disk.
type needle struct {
	name  string
	forms [][]byte
}

func newNeedle(name, text string) needle {
	n := needle{name: name, forms: [][]byte{
		[]byte(text), []byte(hex.EncodeToString([]byte(text))), fmt.Appendf(nil, "%X", text),
	}}
	for skip := range 3 { // wherever in the encoded bytes it begins
		rest := text[skip:]
		rest = rest[:len(rest)/3*3]
		n.forms = append(n.forms, []byte(base64.StdEncoding.EncodeToString([]byte(rest))))
	}
	return n
}

func (n needle) in(content []byte) bool {
	for _, form := range n.forms {
		if bytes.Contains(content, form) {
			return true
		}
	}
	return false
}
