//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package filestore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// lockShard takes the lock that a writer of another process would have on the shard of the file.
func lockShard(t *testing.T, path string) (unlock func()) {
	t.Helper()
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := dir.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestSwapGivesUpWaitingForAnotherProcessWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, path := stored(t, "user")
		unlock := lockShard(t, path)
		defer unlock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		err := s.Swap(ctx, "user", record.Version, tokenstore.Record{})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Hour {
			t.Errorf("Swap: %v after %v, want context.DeadlineExceeded after an hour", err, time.Since(start))
		}
		if r, err := s.Get(t.Context(), "user"); err != nil || r.Version != record.Version {
			t.Errorf("Get: version %q and error %v, want the old record, without waiting", r.Version, err)
		}
	})
}

func TestAWriterThatWaitsBehindAnotherOfItsProcessGivesUpToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, path := stored(t, "user")
		defer lockShard(t, path)()
		long, cancelLong := context.WithTimeout(t.Context(), time.Hour)
		defer cancelLong()
		first := make(chan error)
		go func() { first <- s.Swap(long, "user", record.Version, tokenstore.Record{}) }()
		synctest.Wait() // until the first writer is waiting for the other process
		short, cancelShort := context.WithTimeout(t.Context(), time.Minute)
		defer cancelShort()
		if err := s.Swap(short, "user", record.Version, tokenstore.Record{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Swap: %v, want context.DeadlineExceeded", err)
		}
		if long.Err() != nil {
			t.Error("the second writer waited as long as the first")
		}
		if err := <-first; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("first Swap: %v, want context.DeadlineExceeded", err)
		}
	})
}

func TestSwapGoesOnWhenTheOtherProcessIsDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, path := stored(t, "user")
		unlock := lockShard(t, path)
		timer := time.AfterFunc(time.Minute, unlock)
		defer timer.Stop()
		start := time.Now()
		if err := s.Swap(t.Context(), "user", record.Version, tokenstore.Record{}); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited < time.Minute || waited > time.Minute+time.Second {
			t.Errorf("Swap took %v, want little more than the minute of the other process", waited)
		}
	})
}

func TestAnotherShardIsNotLocked(t *testing.T) {
	t.Parallel()
	s, path := stored(t, "user")
	defer lockShard(t, path)()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := s.Swap(ctx, "another user", "", record); err != nil {
		t.Error(err)
	}
}

func TestOpenRemovesWhatACrashedWriterLeftButNotWhatALivingOneWrites(t *testing.T) {
	t.Parallel()
	_, path := stored(t, "user")
	shard := filepath.Dir(path)
	left := filepath.Join(shard, "pending")
	write(t, left, "half a rec")

	unlock := lockShard(t, path)
	open(t, filepath.Dir(shard))
	if got := content(t, left); got != "half a rec" {
		t.Errorf("the file of a living writer holds %q", got)
	}
	unlock()
	open(t, filepath.Dir(shard))
	if _, err := os.Lstat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file of a crashed writer is still there: %v", err)
	}
}

func TestSwapReplacesWhatACrashedWriterLeft(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(path string) error{
		"half a record":                 func(path string) error { return os.WriteFile(path, []byte("half a rec"), 0o600) },
		"a link put in place of a file": func(path string) error { return os.Symlink("nowhere", path) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, path := stored(t, "user")
			left := filepath.Join(filepath.Dir(path), "pending")
			if err := leave(left); err != nil {
				t.Fatal(err)
			}
			next := tokenstore.Record{Version: "2", Data: []byte("next")}
			if err := s.Swap(t.Context(), "user", record.Version, next); err != nil {
				t.Fatal(err)
			}
			if r, err := s.Get(t.Context(), "user"); err != nil || string(r.Data) != "next" {
				t.Errorf("Get: %q, %v", r.Data, err)
			}
			if files := filesIn(t, filepath.Dir(path)); len(files) != 1 {
				t.Errorf("one record leaves the files %q", files)
			}
		})
	}
}
