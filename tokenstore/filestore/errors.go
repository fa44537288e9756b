package filestore

import (
	"fmt"
	"io/fs"
	"log/slog"
)

// A PermissionError says that a file or directory of the store is open to others than its owner.
// Nothing was read from it or changed. It wraps fs.ErrPermission.
type PermissionError struct {
	Path string
	Mode fs.FileMode // as found
}

// Error names the path, its mode and the command that closes it.
func (e *PermissionError) Error() string {
	return fmt.Sprintf("filestore: %s has mode %v, so others than its owner can reach it; run: chmod %o %q",
		e.Path, e.Mode, e.want(), e.Path)
}

// Unwrap returns fs.ErrPermission.
func (e *PermissionError) Unwrap() error { return fs.ErrPermission }

// LogValue implements slog.LogValuer.
func (e *PermissionError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("error", e.Error()), slog.String("path", e.Path), slog.String("mode", e.Mode.String()))
}

func (e *PermissionError) want() fs.FileMode {
	if e.Mode.IsDir() {
		return 0o700
	}
	return 0o600
}

// A FileTypeError says that something else, such as a symbolic link, is where the store has
// a file or directory. It was neither followed nor changed.
type FileTypeError struct {
	Path string
	Mode fs.FileMode // as found; its type bits say what it is
	Want fs.FileMode // fs.ModeDir, or 0 for a regular file
}

// Error names the path and what is there.
func (e *FileTypeError) Error() string {
	want := "a regular file"
	if e.Want.IsDir() {
		want = "a directory"
	}
	return fmt.Sprintf("filestore: %s is %s, not %s; replace it or name another directory", e.Path, kind(e.Mode), want)
}

// LogValue implements slog.LogValuer.
func (e *FileTypeError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("error", e.Error()), slog.String("path", e.Path), slog.String("mode", e.Mode.String()))
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "a regular file"
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	}
	return "a special file"
}

// A CorruptError says that a file does not hold the record that belongs there: it was truncated, damaged or
// exchanged. The store leaves it as it is until somebody restores it or moves it away.
type CorruptError struct {
	Path   string
	Key    string // "" where the error comes from a listing
	Reason string // such as "it is truncated"
}

// Error names the path, what is wrong and the way out.
func (e *CorruptError) Error() string {
	whose := ""
	if e.Key != "" {
		whose = fmt.Sprintf(" of %.100q", e.Key)
	}
	return fmt.Sprintf("filestore: the record%s in %s is corrupt: %s; restore the file from a backup,"+
		" or move it away and let the user consent again", whose, e.Path, e.Reason)
}

// LogValue implements slog.LogValuer.
func (e *CorruptError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("error", e.Error()), slog.String("path", e.Path), slog.String("reason", e.Reason))
}

// checkDir refuses what is no directory of the owner's own.
func checkDir(path string, info fs.FileInfo) error {
	if !info.IsDir() {
		return &FileTypeError{Path: path, Mode: info.Mode(), Want: fs.ModeDir}
	}
	return checkMode(path, info)
}

// checkFile refuses what is no regular file of the owner's own.
func checkFile(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return &FileTypeError{Path: path, Mode: info.Mode()}
	}
	return checkMode(path, info)
}

func checkMode(path string, info fs.FileInfo) error {
	if info.Mode().Perm()&0o077 != 0 {
		return &PermissionError{Path: path, Mode: info.Mode()}
	}
	return nil
}
