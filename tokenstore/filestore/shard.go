package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// A shard is one of the 256 subdirectories among which the first byte of their names divides the records.
// One writer at a time changes a shard, so writers of different keys seldom wait for each
// other, and a listing can read the names of a shard while they stand still.
type shard struct {
	name    string
	busy    chan struct{} // full while a goroutine of this Store has the shard, or waits for the flock
	durable bool          // the subdirectory outlasts a crash, as far as this Store knows; guarded by busy
}

// pending is the file, one to a shard, in which the holder of the shard's lock prepares a record. A crash
// leaves at most this one file, which the next writer replaces and the next Open removes.
const pending = "pending"

// Pauses between two attempts to get a lock that another process holds.
const (
	firstPause = time.Millisecond
	maxPause   = 32 * time.Millisecond
)

// shardOf returns the number of the shard that a file name belongs to.
func shardOf(name string) int {
	n, _ := strconv.ParseUint(name[:2], 16, 8)
	return int(n)
}

// openShards checks the shards that are there and clears each of a crashed writer's file.
func (s *Store) openShards() error {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.name, sh.busy = fmt.Sprintf("%02x", i), make(chan struct{}, 1)
		info, err := s.root.Lstat(sh.name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = checkDir(s.path(sh.name), info)
		}
		if err == nil {
			err = s.sweep(sh.name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sweep removes the pending file of a shard unless a living writer is at work on it.
func (s *Store) sweep(name string) error {
	left := filepath.Join(name, pending)
	if _, err := s.root.Lstat(left); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	dir, err := s.root.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	if locked, err := tryFlock(dir); err != nil || !locked {
		return err
	}
	defer unflock(dir)
	if err := s.root.Remove(left); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// A shardLock is the right to change the files of a shard.
type shardLock struct {
	store *Store
	shard *shard
	// The lock is on the subdirectory itself: there is no lock file to lose, nor one to create on a full disk.
	dir *os.File
}

// lock waits until no other goroutine or process has the shard, or ctx ends. It creates a missing shard.
func (s *Store) lock(ctx context.Context, i int) (*shardLock, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := &shardLock{store: s, shard: &s.shards[i]}
	select {
	case l.shard.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	err := l.open()
	if err == nil {
		if err = l.wait(ctx); err != nil {
			err = errors.Join(err, l.dir.Close())
		}
	}
	if err != nil {
		<-l.shard.busy
		return nil, err
	}
	return l, nil
}

// open opens the subdirectory.
func (l *shardLock) open() error {
	root, name := l.store.root, l.shard.name
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		info, err = root.Lstat(name)
	}
	if err != nil {
		return err
	}
	if err := checkDir(l.store.path(name), info); err != nil {
		return err
	}
	l.dir, err = root.Open(name)
	return err
}

// wait waits for the flock. It asks again and again, since a flock that blocks could not be called off.
func (l *shardLock) wait(ctx context.Context) error {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		if locked, err := tryFlock(l.dir); locked || err != nil {
			return err
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *shardLock) release() {
	// Not left to Close alone: a child process that is just being started may hold a copy of the descriptor.
	unflock(l.dir)
	_ = l.dir.Close()
	<-l.shard.busy
}

// replace puts a file with the given content in the place of the named one, durably.
func (l *shardLock) replace(name string, content []byte) error {
	root, temporary := l.store.root, filepath.Join(l.shard.name, pending)
	if !l.shard.durable { // also when another process has created it: that one may not have come to its fsync
		if err := syncDir(root.Open(".")); err != nil {
			return err
		}
		l.shard.durable = true
	}
	if err := root.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := writeFile(root, temporary, content)
	if err == nil {
		err = root.Rename(temporary, name)
	}
	if err != nil {
		if left := root.Remove(temporary); left != nil && !errors.Is(left, fs.ErrNotExist) {
			err = errors.Join(err, left)
		}
		return err
	}
	return l.dir.Sync()
}

// remove deletes the named file, durably.
func (l *shardLock) remove(name string) error {
	if err := l.store.root.Remove(name); err != nil {
		return err
	}
	return l.dir.Sync()
}

// writeFile creates the named file, which must not exist, and returns when its content is on the disk.
func writeFile(root *os.Root, name string, content []byte) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// makeDir creates dir and the missing directories above it, so that they outlast a crash.
func makeDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDir(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDir(os.Open(filepath.Dir(dir)))
}

// syncDir takes what opening the directory returned, syncs and closes it.
func syncDir(dir *os.File, err error) error {
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return dir.Sync()
}
