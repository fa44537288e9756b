//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package filestore_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/filestore"
)

// record is what the tests store; its version is used once in each store.
var record = tokenstore.Record{Version: "version", Data: []byte("sealed")}

// stored opens a store, puts record under key, and returns the path of its file.
func stored(t *testing.T, key string) (s *filestore.Store, path string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "grants")
	s = open(t, dir)
	if err := s.Swap(t.Context(), key, "", record); err != nil {
		t.Fatal(err)
	}
	files := filesIn(t, dir)
	if len(files) != 1 {
		t.Fatalf("a store of one record has the files %q", files)
	}
	return s, files[0]
}

// filesIn returns the paths of everything below dir that is no directory.
func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// fails calls everything that reads the record under key and returns the error of each.
func fails(t *testing.T, s *filestore.Store, key string) map[string]error {
	t.Helper()
	_, err := s.Get(t.Context(), key)
	errs := map[string]error{
		"Get":             err,
		"Swap to create":  s.Swap(t.Context(), key, "", tokenstore.Record{Version: "next"}),
		"Swap to replace": s.Swap(t.Context(), key, record.Version, tokenstore.Record{Version: "next"}),
		"Swap to delete":  s.Swap(t.Context(), key, record.Version, tokenstore.Record{}),
		"Keys":            nil,
	}
	for _, errs["Keys"] = range s.Keys(t.Context(), "") {
	}
	return errs
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	s, path := stored(t, "user")
	if err := s.Swap(t.Context(), "user", record.Version, tokenstore.Record{Version: "2"}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{
		path:                             0o600,
		filepath.Dir(path):               0o700 | fs.ModeDir,
		filepath.Dir(filepath.Dir(path)): 0o700 | fs.ModeDir,
	} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode() & (fs.ModeType | fs.ModePerm); got != want {
			t.Errorf("%s has mode %v, want %v", path, got, want)
		}
	}
}

func TestADirectoryThatOthersCanEnterIsRefused(t *testing.T) {
	t.Parallel()
	for _, mode := range []fs.FileMode{0o755, 0o750, 0o701, 0o704, 0o720} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			chmod(t, dir, mode)
			_, err := filestore.Open(dir)
			wantPermissionError(t, "Open", err, dir, fmt.Sprintf("chmod 700 %q", dir))
		})
	}
}

func TestAShardThatOthersCanEnterIsRefused(t *testing.T) {
	t.Parallel()
	s, path := stored(t, "user")
	shard := filepath.Dir(path)
	chmod(t, shard, 0o711)
	_, err := filestore.Open(filepath.Dir(shard))
	wantPermissionError(t, "Open", err, shard, "chmod 700")
	wantPermissionError(t, "Swap", s.Swap(t.Context(), "user", record.Version, tokenstore.Record{}), shard, "chmod 700")
}

func TestARecordThatOthersCanReadIsRefused(t *testing.T) {
	t.Parallel()
	s, path := stored(t, "user")
	chmod(t, path, 0o640)
	for call, err := range fails(t, s, "user") {
		wantPermissionError(t, call, err, path, fmt.Sprintf("chmod 600 %q", path))
	}
	chmod(t, path, 0o600)
	if r, err := s.Get(t.Context(), "user"); err != nil || r.Version != record.Version {
		t.Errorf("after the chmod, Get: version %q and error %v, want the record untouched", r.Version, err)
	}
}

func wantPermissionError(t *testing.T, call string, err error, path, advice string) {
	t.Helper()
	p, ok := errors.AsType[*filestore.PermissionError](err)
	if !ok || p.Path != path || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), advice) {
		t.Errorf("%s: %v, want a PermissionError for %s that advises %s", call, err, path, advice)
	}
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// replaceBy puts what create makes in the place of path, which is kept beside it.
func replaceBy(t *testing.T, path string, create func(aside, path string) error) (aside string) {
	t.Helper()
	aside = filepath.Join(t.TempDir(), "aside")
	if err := os.Rename(path, aside); err != nil {
		t.Fatal(err)
	}
	if err := create(aside, path); err != nil {
		t.Fatal(err)
	}
	return aside
}

func TestAnythingButARegularFileIsRefusedAsARecord(t *testing.T) {
	t.Parallel()
	for name, create := range map[string]func(aside, path string) error{
		"a symbolic link":          os.Symlink,
		"a dangling symbolic link": func(_, path string) error { return os.Symlink("nowhere", path) },
		"a FIFO":                   func(_, path string) error { return exec.CommandContext(t.Context(), "mkfifo", "-m", "600", path).Run() },
		"a directory":              func(_, path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, path := stored(t, "user")
			aside := replaceBy(t, path, create)
			before := content(t, aside)
			for call, err := range fails(t, s, "user") {
				wantFileTypeError(t, call, err, path)
			}
			if content(t, aside) != before {
				t.Error("what the link points to was changed")
			}
		})
	}
}

func TestALinkInsideTheStoreIsRefusedAsWell(t *testing.T) {
	t.Parallel()
	s, path := stored(t, "user")
	aside := path + ".bak"
	if err := errors.Join(os.Rename(path, aside), os.Symlink(filepath.Base(aside), path)); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(t.Context(), "user")
	wantFileTypeError(t, "Get", err, path)
}

func TestALinkInPlaceOfAShardIsRefused(t *testing.T) {
	t.Parallel()
	s, path := stored(t, "user")
	shard := filepath.Dir(path)
	replaceBy(t, shard, os.Symlink)
	_, err := filestore.Open(filepath.Dir(shard))
	wantFileTypeError(t, "Open", err, shard)
	wantFileTypeError(t, "Swap", s.Swap(t.Context(), "user", record.Version, tokenstore.Record{}), shard)
}

func TestAnythingButADirectoryIsRefusedByOpen(t *testing.T) {
	t.Parallel()
	for name, create := range map[string]func(aside, path string) error{
		"a symbolic link":          os.Symlink,
		"a dangling symbolic link": func(_, path string) error { return os.Symlink("nowhere", path) },
		"a regular file":           func(_, path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "grants")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			replaceBy(t, dir, create)
			_, err := filestore.Open(dir + "/")
			wantFileTypeError(t, "Open", err, dir)
		})
	}
}

func wantFileTypeError(t *testing.T, call string, err error, path string) {
	t.Helper()
	if f, ok := errors.AsType[*filestore.FileTypeError](err); !ok || f.Path != path {
		t.Errorf("%s: %v, want a FileTypeError for %s", call, err, path)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
