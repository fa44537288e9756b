//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package filestore_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/filestore"
)

func TestADamagedFileIsACorruptErrorAndStaysAsItIs(t *testing.T) {
	t.Parallel()
	_, other := stored(t, "other")
	tests := map[string]func(string) string{
		"empty":                      func(string) string { return "" },
		"cut within the header":      func(s string) string { return s[:25] },
		"cut by a byte":              func(s string) string { return s[:len(s)-1] },
		"zeros of the same length":   func(s string) string { return strings.Repeat("\x00", len(s)) },
		"longer by a byte":           func(s string) string { return s + "x" },
		"of a newer layout":          func(s string) string { return s[:7] + "\x02" + s[8:] },
		"with another key":           func(s string) string { return strings.Replace(s, "user", "usex", 1) },
		"with another version":       func(s string) string { return strings.Replace(s, "version", "versiom", 1) },
		"with an immense length":     func(s string) string { return s[:11] + "\x7f\xff\xff\xff" + s[15:] },
		"in place of another record": func(string) string { return content(t, other) },
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, path := stored(t, "user")
			write(t, path, damage(content(t, path)))
			damaged := content(t, path)
			for call, err := range fails(t, s, "user") {
				wantCorruptError(t, call, err, path)
			}
			if content(t, path) != damaged {
				t.Error("the damaged file was changed")
			}
		})
	}
}

// A listing doesn't read the data, so it alone doesn't notice that they are damaged.
func TestDamagedDataIsACorruptErrorAndStaysAsItIs(t *testing.T) {
	t.Parallel()
	s, path := stored(t, "user")
	damaged := strings.Replace(content(t, path), "sealed", "sealex", 1)
	write(t, path, damaged)
	errs := fails(t, s, "user")
	delete(errs, "Keys")
	for call, err := range errs {
		wantCorruptError(t, call, err, path)
	}
	if content(t, path) != damaged {
		t.Error("the damaged file was changed")
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	t.Parallel()
	s, path := stored(t, "user")
	sound := content(t, path)
	for i := range len(sound) * 8 {
		flipped := []byte(sound)
		flipped[i/8] ^= 1 << (i % 8)
		write(t, path, string(flipped))
		_, err := s.Get(t.Context(), "user")
		wantCorruptError(t, fmt.Sprintf("Get with bit %d flipped", i), err, path)
	}
}

func TestACorruptRecordDoesNotHideTheOthersFromAListing(t *testing.T) {
	t.Parallel()
	s, path := stored(t, "user")
	want := []string{"a", "b", "c", "d", "e", "f"}
	for _, key := range want {
		if err := s.Swap(t.Context(), key, "", record); err != nil {
			t.Fatal(err)
		}
	}
	write(t, path, "")
	listed := make(map[string]bool)
	var last error
	for key, err := range s.Keys(t.Context(), "") {
		if last = err; err == nil {
			listed[key] = true
		}
	}
	if got := slices.Sorted(maps.Keys(listed)); !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
	wantCorruptError(t, "Keys", last, path)
}

func TestAFileThatIsNoRecordIsNotListed(t *testing.T) {
	t.Parallel()
	s, path := stored(t, "user")
	for _, other := range []string{path + ".bak", path[:len(path)-1], path + "~"} {
		write(t, other, content(t, path))
	}
	var keys []string
	for key, err := range s.Keys(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	if !slices.Equal(keys, []string{"user"}) {
		t.Errorf("listed %q, want the one record", keys)
	}
}

func TestAClosedStoreSaysSo(t *testing.T) {
	t.Parallel()
	s, _ := stored(t, "user")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for call, err := range fails(t, s, "user") {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s of a closed store: %v, want fs.ErrClosed", call, err)
		}
	}
}

func wantCorruptError(t *testing.T, call string, err error, path string) {
	t.Helper()
	if c, ok := errors.AsType[*filestore.CorruptError](err); !ok || c.Path != path || !strings.Contains(err.Error(), path) {
		t.Errorf("%s: %v, want a CorruptError for %s", call, err, path)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

var _ tokenstore.Lister = (*filestore.Store)(nil)
