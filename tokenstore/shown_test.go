package tokenstore_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
)

func TestKeyringNeverShowsItsKeys(t *testing.T) {
	t.Parallel()
	ring := testRing(t, 1, 2)
	shapes := nestings(*ring)
	// fmt reads unexported fields past every method of theirs.
	shapes["an unexported field"] = struct{ ring tokenstore.Keyring }{*ring}
	shapes["an unexported pointer"] = struct{ ring *tokenstore.Keyring }{ring}
	shapes["the grants that it seals"], _ = tokenstore.NewGrants(tokenstore.NewMemory(), ring)
	for shape, v := range shapes {
		texts := renderings(v)
		texts["%p"] = fmt.Sprintf("%[1]p", v)
		for how, text := range texts {
			if shows(text, testKey(1)) || shows(text, testKey(2)) {
				t.Errorf("%s in %s shows key bytes: %s", shape, how, text)
			}
		}
	}
	// The same search finds a secret where one is.
	for how, text := range renderings(struct{ Secret []byte }{testKey(1)}) {
		if !shows(text, testKey(1)) {
			t.Errorf("this test would overlook a key in %s: %s", how, text)
		}
	}
}

// nestings returns v in the shapes in which a value gets into a log.
func nestings[T any](v T) map[string]any {
	return map[string]any{
		"a value":             v,
		"a pointer":           &v,
		"a struct by value":   struct{ V T }{v},
		"a struct by pointer": &struct{ V *T }{&v},
		"an interface":        struct{ V any }{v},
		"a map":               map[string]T{"v": v},
		"a map of pointers":   map[string]*T{"v": &v},
		"a slice":             []T{v},
		"a slice of pointers": []*T{&v},
		"an array":            [1]T{v},
		"a slice in a map":    struct{ V map[string][]T }{map[string][]T{"v": {v}}},
	}
}

// renderings returns what fmt, encoding/json and log/slog make of v.
func renderings(v any) map[string]string {
	texts := make(map[string]string)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "% x", "%q", "%d", "%#x", "no verb"} {
		texts[verb] = fmt.Sprintf(verb, v)
	}
	data, err := json.Marshal(v)
	texts["JSON"] = fmt.Sprintf("%s%v", data, err)
	var text, structured strings.Builder
	for _, handler := range []slog.Handler{slog.NewTextHandler(&text, nil), slog.NewJSONHandler(&structured, nil)} {
		slog.New(handler).With("with", v).Info("a message", "v", v, slog.Group("group", "v", v))
	}
	texts["slog text"], texts["slog JSON"] = text.String(), structured.String()
	return texts
}

// shows reports whether text holds the first or last bytes of secret, plain or in an encoding.
func shows(text string, secret []byte) bool {
	for _, part := range [][]byte{secret[:6], secret[len(secret)-6:]} {
		list := strings.Trim(fmt.Sprintf("%v", part), "[]")
		quoted := fmt.Sprintf("%q", part)
		for _, form := range []string{
			string(part), quoted[1 : len(quoted)-1], list, strings.ReplaceAll(list, " ", ", "), strings.ReplaceAll(list, " ", ","),
			fmt.Sprintf("%x", part), fmt.Sprintf("%X", part), fmt.Sprintf("% x", part), fmt.Sprintf("%#x", part)[2:],
			strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", part), "[]byte{"), "}"),
		} {
			if strings.Contains(text, form) {
				return true
			}
		}
	}
	return strings.Contains(text, base64.StdEncoding.EncodeToString(secret)[:8]) ||
		strings.Contains(text, base64.URLEncoding.EncodeToString(secret)[:8])
}
