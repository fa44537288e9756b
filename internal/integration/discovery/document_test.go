package discovery_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/internal/integration/discovery"
)

func TestLoadRefusesWhatItCouldNotCheck(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, wrong string }{
		"a type that is new":            {`{"schemas":{"A":{"type":"tuple"}}}`, `"tuple"`},
		"a format that is new":          {`{"schemas":{"A":{"type":"object","properties":{"n":{"type":"integer","format":"int128"}}}}}`, `"int128"`},
		"a reference to nothing":        {`{"schemas":{"A":{"$ref":"B"}}}`, `"B"`},
		"an array of nobody knows what": {`{"schemas":{"A":{"type":"array"}}}`, "without items"},
		"a text that is not JSON":       {`openapi: 3.1.0`, "invalid character"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "api.json")
			if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := discovery.Load(file); err == nil || !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("got %v, want an error that names %s", err, tc.wrong)
			}
		})
	}
}

func TestFindKnowsWhatTakesNoUploads(t *testing.T) {
	t.Parallel()
	for _, request := range []string{"POST /upload/gmail/v1/users/me/labels", "GET /upload/gmail/v1/users/me/messages", "PUT /gmail/v1/users/me/messages/send"} {
		method, path, _ := strings.Cut(request, " ")
		if m := gmailDocument(t).Find(method, path); m != nil {
			t.Errorf("%s is %s, want nothing", request, m.ID)
		}
	}
}

func TestFindPrefersTheLiteralPath(t *testing.T) {
	t.Parallel()
	for request, id := range map[string]string{
		"GET /gmail/v1/users/me/messages":                          "gmail.users.messages.list",
		"GET /gmail/v1/users/me/messages/send":                     "gmail.users.messages.get", // an ID, since sending is a POST
		"POST /gmail/v1/users/me/messages/send":                    "gmail.users.messages.send",
		"GET /gmail/v1/users/me/messages/1/attachments/2":          "gmail.users.messages.attachments.get",
		"POST /gmail/v1/users/me/settings/cse/keypairs/k:disable":  "gmail.users.settings.cse.keypairs.disable",
		"POST /gmail/v1/users/ada@example.com/threads/1/modify":    "gmail.users.threads.modify",
		"POST /upload/gmail/v1/users/me/messages/send":             "gmail.users.messages.send",
		"PUT /upload/gmail/v1/users/me/messages/send":              "gmail.users.messages.send",
		"POST /upload/gmail/v1/users/me/messages":                  "gmail.users.messages.insert",
		"PATCH /gmail/v1/users/me/settings/sendAs/ada@example.com": "gmail.users.settings.sendAs.patch",
	} {
		method, path, _ := strings.Cut(request, " ")
		if m := gmailDocument(t).Find(method, path); m == nil || m.ID != id {
			t.Errorf("%s is %v, want %s", request, m, id)
		}
	}
}
