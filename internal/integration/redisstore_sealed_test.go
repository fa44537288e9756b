package integration_test

import (
	"bytes"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/internal/integration/servers"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// What Redis has in memory, sends to a replica and writes to its disk holds no token.
func TestNoTokenIsToBeFoundInRedis(t *testing.T) {
	t.Parallel()
	// Compressed, a token could not be found although it is there.
	server := servers.StartRedis(t, "--appendonly", "yes", "--rdbcompression", "no")
	client := redisClient(t, server.Options())
	store := redisStore(t, client, "")
	grants := testGrants(t, store)
	secrets := []string{"1//refresh-token-of-", "ya29.access-token-of-", "person@example.com"}
	for _, user := range []string{"1122", "3344"} {
		grant := &tokenstore.Grant{
			UserID: user, Email: secrets[2], RefreshToken: secrets[0] + user, AccessToken: secrets[1] + user,
			Expiry: time.Now().Add(time.Hour), Scopes: []string{"https://www.googleapis.com/auth/gmail.readonly"},
		}
		for range 3 {
			if err := grants.Put(t.Context(), grant); err != nil {
				t.Fatal(err)
			}
		}
	}
	// What is stored without Grants is found, in each of the places.
	const control = "a control that is in the clear"
	if err := store.Swap(t.Context(), "control", "", tokenstore.Record{Version: "1", Data: []byte(control)}); err != nil {
		t.Fatal(err)
	}

	places := make(map[string][]byte)
	for key, err := range store.Keys(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		dump, err := client.Dump(t.Context(), "mailgrant:"+key).Result()
		if err != nil {
			t.Fatal(err)
		}
		places["DUMP"] = append(places["DUMP"], dump...)
	}
	if err := client.Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	err := fs.WalkDir(os.DirFS(server.Dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := fs.ReadFile(os.DirFS(server.Dir), path)
		if path == "dump.rdb" {
			places["the RDB file"] = content
		} else {
			places["the AOF files"] = append(places["the AOF files"], content...)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	if len(places) != 3 {
		t.Errorf("%d places searched, want 3", len(places))
	}
	for place, content := range places {
		if !bytes.Contains(content, []byte(control)) {
			t.Errorf("%s: the control is not found", place)
		}
		for _, secret := range secrets {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s holds %q", place, secret)
			}
		}
	}
}
