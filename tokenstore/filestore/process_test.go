//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package filestore_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/filestore"
)

// The test binary runs itself as other processes that use a store: these variables say what to do where.
const (
	jobVariable = "MAILGRANT_FILESTORE_JOB"
	dirVariable = "MAILGRANT_FILESTORE_DIR"
)

var jobs = map[string]func(*filestore.Store) error{
	"count":         count,
	"write on":      writeOn,
	"exceed a disk": exceedDisk,
}

func TestMain(m *testing.M) {
	job, ok := jobs[os.Getenv(jobVariable)]
	if !ok {
		os.Exit(m.Run())
	}
	s, err := filestore.Open(os.Getenv(dirVariable))
	if err == nil {
		err = errors.Join(job(s), s.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stdout, "error:", err)
		os.Exit(1)
	}
}

// process prepares another process that does the job on the store in dir.
func process(ctx context.Context, job, dir string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), jobVariable+"="+job, dirVariable+"="+dir)
	return cmd
}

const (
	processes  = 4
	goroutines = 8
	increments = 10
)

// count increments a counter as every writer of grants does: read, change, swap, and once more on a conflict.
func count(s *filestore.Store) error {
	errs := make([]error, goroutines)
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() {
			for done := 0; done < increments && errs[i] == nil; {
				r, err := s.Get(context.Background(), "counter")
				if err != nil && !errors.Is(err, tokenstore.ErrNotFound) {
					errs[i] = err
					return
				}
				n, _ := strconv.Atoi(string(r.Data))
				next := tokenstore.Record{Version: rand.Text(), Data: []byte(strconv.Itoa(n + 1))}
				switch err := s.Swap(context.Background(), "counter", r.Version, next); {
				case err == nil:
					done++
				case !errors.Is(err, tokenstore.ErrConflict):
					errs[i] = err
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func TestProcessesLoseNoUpdateOfEachOther(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "grants") // which each of them may be the one to create
	var wg sync.WaitGroup
	for range processes {
		wg.Go(func() {
			if output, err := process(t.Context(), "count", dir).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
	wg.Wait()
	r, err := open(t, dir).Get(t.Context(), "counter")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(r.Data), strconv.Itoa(processes*goroutines*increments); got != want {
		t.Errorf("%s increments counted, want %s", got, want)
	}
}

const chains = 4

// chainKey is the key that one goroutine of writeOn writes to. All are in different shards.
func chainKey(chain int) string { return fmt.Sprint("chain ", chain) }

// chainRecord is the record that belongs to a version, of a length that differs from that of its neighbors.
func chainRecord(n int) tokenstore.Record {
	version := strconv.Itoa(n)
	return tokenstore.Record{Version: version, Data: []byte(strings.Repeat(version+" ", 1+n%5*4000))}
}

// writeOn writes to every chain without end. Before and after each Swap it prints the chain and the version's
// number, in one write that a kill doesn't cut.
func writeOn(s *filestore.Store) error {
	errs := make(chan error)
	for chain := range chains {
		go func() {
			r, err := s.Get(context.Background(), chainKey(chain))
			if err != nil && !errors.Is(err, tokenstore.ErrNotFound) {
				errs <- err
				return
			}
			n, _ := strconv.Atoi(r.Version)
			for {
				fmt.Fprintf(os.Stdout, "begin %d %d\n", chain, n+1)
				next := chainRecord(n + 1)
				if err := s.Swap(context.Background(), chainKey(chain), r.Version, next); err != nil {
					errs <- err
					return
				}
				fmt.Fprintf(os.Stdout, "done %d %d\n", chain, n+1)
				n, r = n+1, next
			}
		}()
	}
	return <-errs
}

func TestAKilledProcessLeavesTheOldRecordOrTheNewOne(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "grants")
	var begun, done [chains]int
	for range 25 {
		cmd := process(t.Context(), "write on", dir)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stdout)
		follow := func() bool {
			if !lines.Scan() {
				return false
			}
			var what string
			var chain, n int
			if _, err := fmt.Sscan(lines.Text(), &what, &chain, &n); err != nil {
				t.Fatalf("the process says %q", lines.Text())
			}
			if what == "begin" {
				begun[chain] = n
			} else {
				done[chain] = n
			}
			return true
		}
		for range 2*chains + random(t, 40) {
			if !follow() {
				t.Fatal("the process ended by itself")
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for follow() {
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the process ended by itself")
		}

		s, err := filestore.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		for chain := range chains {
			r, err := s.Get(t.Context(), chainKey(chain))
			if errors.Is(err, tokenstore.ErrNotFound) && done[chain] == 0 {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			n, _ := strconv.Atoi(r.Version)
			if n != done[chain] && n != begun[chain] {
				t.Errorf("version %d is stored; the last one acknowledged is %d, the last one begun %d", n, done[chain], begun[chain])
			}
			if string(r.Data) != string(chainRecord(n).Data) {
				t.Errorf("version %d is stored with other data", n)
			}
			// Nothing is locked.
			if err := s.Swap(t.Context(), chainKey(chain), r.Version, chainRecord(n+1)); err != nil {
				t.Error(err)
			}
			begun[chain], done[chain] = n+1, n+1
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if files := filesIn(t, dir); len(files) > chains {
			t.Errorf("%d records leave the files %q", chains, files)
		}
	}
}

func random(t *testing.T, n int64) int {
	t.Helper()
	r, err := rand.Int(rand.Reader, big.NewInt(n))
	if err != nil {
		t.Fatal(err)
	}
	return int(r.Int64())
}

// exceedDisk lets the system refuse to write more than 4 KiB to a file, in the middle of a Swap.
func exceedDisk(s *filestore.Store) error {
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	limit.Cur = 4096
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	large := tokenstore.Record{Version: "large", Data: make([]byte, 1<<16)}
	for key, oldVersion := range map[string]string{"user": record.Version, "new user": ""} {
		err := s.Swap(context.Background(), key, oldVersion, large)
		if !errors.Is(err, syscall.EFBIG) {
			return fmt.Errorf("swap of %q: %w, want EFBIG", key, err)
		}
		fmt.Fprintln(os.Stdout, err)
	}
	return nil
}

func TestAFailedWriteLeavesTheOldRecordAndNothingElse(t *testing.T) {
	t.Parallel()
	s, path := stored(t, "user")
	dir := filepath.Dir(filepath.Dir(path))
	output, err := process(t.Context(), "exceed a disk", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for _, want := range []string{`swap "user" in ` + dir, `swap "new user" in ` + dir} {
		if !strings.Contains(string(output), want) {
			t.Errorf("the errors do not say %q:\n%s", want, output)
		}
	}
	if r, err := s.Get(t.Context(), "user"); err != nil || string(r.Data) != string(record.Data) {
		t.Errorf("Get: %d bytes of data and error %v, want the old record", len(r.Data), err)
	}
	if _, err := s.Get(t.Context(), "new user"); !errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("Get of the record that could not be created: %v, want ErrNotFound", err)
	}
	if files := filesIn(t, dir); len(files) != 1 {
		t.Errorf("one record leaves the files %q", files)
	}
	if err := s.Swap(t.Context(), "user", record.Version, tokenstore.Record{Version: "2"}); err != nil {
		t.Errorf("Swap when there is room again: %v", err)
	}
}
