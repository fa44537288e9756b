// Package filestore keeps the records of a tokenstore in files: one sealed file for each key, for one machine.
//
//	store, err := filestore.Open("/var/lib/myapp/grants")
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//	grants, err := tokenstore.NewGrants(store, keyring)
//
// A write is a new file, fsync, a rename over the old one and an fsync of the directory. So a crash, a kill
// or a full disk leaves either the old record or the new one, whole, and what Swap has acknowledged stays.
// Any number of goroutines and processes may share a directory: a lock of the operating system (flock),
// which ends with the process that holds it, keeps their Swaps apart.
//
// The directory must be on a local file system; network file systems disagree about locks and renames.
// Systems without flock, Windows among them, are not supported: Open says so with errors.ErrUnsupported.
package filestore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// A Store is a tokenstore.TokenStore and a tokenstore.Lister in a directory. It is safe for
// concurrent use, and several Stores, in this process or others, may have the same directory open.
//
// The files carry the keys in the clear beside the data, which Grants seals.
type Store struct {
	root   *os.Root
	shards [256]shard

	// Held for reading while files change, so that Close cannot cut a write in two.
	closing sync.RWMutex
}

// Open returns the Store in dir, which it creates, readable by its owner alone, where it is missing.
// It also removes what crashed writers left behind.
//
// Errors: *PermissionError where others than its owner can enter dir, *FileTypeError where
// dir is a symbolic link or no directory, errors.ErrUnsupported on a system without flock.
func Open(dir string) (*Store, error) {
	if !flockSupported {
		return nil, fmt.Errorf("filestore: %s has no flock, choose another store: %w", runtime.GOOS, errors.ErrUnsupported)
	}
	if dir == "" {
		return nil, errors.New("filestore: empty directory name")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("filestore: open: %w", err)
	}
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("filestore: create the directory: %w", err)
	}
	root, err := openDir(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{root: root}
	if err := s.openShards(); err != nil {
		return nil, errors.Join(s.explain("open the shards", err), root.Close())
	}
	return s, nil
}

// openDir opens dir itself, not what a symbolic link in its place points to.
func openDir(dir string) (*os.Root, error) {
	named, err := os.Lstat(dir)
	if err != nil {
		return nil, fmt.Errorf("filestore: open: %w", err)
	}
	if err := checkDir(dir, named); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("filestore: open: %w", err)
	}
	opened, err := root.Stat(".")
	if err == nil && !os.SameFile(opened, named) {
		err = errors.New("the directory was replaced meanwhile; try again")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("filestore: open %s: %w", dir, err), root.Close())
	}
	return root, nil
}

// Close waits for writes under way and closes the directory. Later calls fail with fs.ErrClosed.
func (s *Store) Close() error {
	s.closing.Lock()
	defer s.closing.Unlock()
	return s.root.Close()
}

// Get implements tokenstore.TokenStore.
//
// Errors: tokenstore.ErrNotFound, *CorruptError, *PermissionError, *FileTypeError.
func (s *Store) Get(ctx context.Context, key string) (tokenstore.Record, error) {
	if err := ctx.Err(); err != nil {
		return tokenstore.Record{}, err
	}
	r, err := s.read(key)
	if errors.Is(err, fs.ErrNotExist) {
		return tokenstore.Record{}, tokenstore.ErrNotFound
	}
	if err != nil {
		return tokenstore.Record{}, s.explain(fmt.Sprintf("get %.100q", key), err)
	}
	return r, nil
}

// Swap implements tokenstore.TokenStore. It never overwrites or deletes a record that it cannot read. When it
// fails before the new record is in place, because the disk is full for example, the old one stays as it was.
//
// Errors: tokenstore.ErrConflict, *CorruptError, *PermissionError, *FileTypeError, and those of
// the operating system, wrapped: errors.Is(err, syscall.ENOSPC) recognizes a full disk.
func (s *Store) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	if err := tokenstore.CheckSwap(key, next); err != nil {
		return err
	}
	if err := s.swap(ctx, key, oldVersion, next); err != nil {
		return s.explain(fmt.Sprintf("swap %.100q", key), err)
	}
	return nil
}

func (s *Store) swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	name := fileName(key)
	lock, err := s.lock(ctx, shardOf(name))
	if err != nil {
		return err
	}
	defer lock.release()

	s.closing.RLock()
	defer s.closing.RUnlock()
	current, err := s.read(key)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case current.Version != oldVersion:
		return tokenstore.ErrConflict
	case next.Version != "":
		return lock.replace(name, encode(key, next))
	case oldVersion != "":
		return lock.remove(name)
	}
	return nil
}

// read returns the record under key, or an error that wraps fs.ErrNotExist where there is none.
func (s *Store) read(key string) (tokenstore.Record, error) {
	name := fileName(key)
	f, size, err := s.openRecord(name)
	if err != nil {
		return tokenstore.Record{}, err
	}
	defer func() { _ = f.Close() }()
	stored, r, err := readRecord(f, size)
	if err == nil && stored != key {
		err = damage("it holds another key")
	}
	if d, ok := errors.AsType[damage](err); ok {
		return tokenstore.Record{}, &CorruptError{Path: s.path(name), Key: key, Reason: string(d)}
	}
	return r, err
}

// openRecord opens the named record for reading and returns its size with it.
func (s *Store) openRecord(name string) (*os.File, int64, error) {
	// os.Root keeps inside the directory, but within it follows links, and opening a FIFO would block.
	info, err := s.root.Lstat(name)
	if err != nil {
		return nil, 0, err
	}
	if err := checkFile(s.path(name), info); err != nil {
		return nil, 0, err
	}
	f, err := s.root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	// A writer may have put another file in place since: its own size and mode are what count.
	if info, err = f.Stat(); err == nil {
		err = checkFile(s.path(name), info)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// explain says what failed and where, unless err says so itself.
func (s *Store) explain(doing string, err error) error {
	_, corrupt := errors.AsType[*CorruptError](err)
	_, permission := errors.AsType[*PermissionError](err)
	_, fileType := errors.AsType[*FileTypeError](err)
	if corrupt || permission || fileType || errors.Is(err, tokenstore.ErrConflict) {
		return err
	}
	return fmt.Errorf("filestore: %s in %s: %w", doing, s.root.Name(), err)
}

// path returns the path of a file of the store, for people to read.
func (s *Store) path(name string) string { return filepath.Join(s.root.Name(), name) }

// fileName returns the name of key's file within the store: of one length, and distinct for
// distinct keys also where the file system ignores case or normalizes Unicode.
func fileName(key string) string {
	sum := sha256.Sum256([]byte(key))
	name := hex.EncodeToString(sum[:])
	return filepath.Join(name[:2], name)
}
