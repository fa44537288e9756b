package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const redisAdvice = "install Debian's redis-server (make servers does), or set MAILGRANT_TEST_REDIS"

// Redis returns how to reach a Redis server, private and empty, that ends with the test. MAILGRANT_TEST_REDIS
// names another by its URL, which is left with what the test has stored there.
func Redis(tb testing.TB) *redis.Options {
	tb.Helper()
	url := os.Getenv("MAILGRANT_TEST_REDIS")
	if url == "" {
		return StartRedis(tb).Options()
	}
	options, err := redis.ParseURL(url)
	if err != nil {
		tb.Fatal("MAILGRANT_TEST_REDIS is no URL of Redis") // the error would show a password
	}
	options.ContextTimeoutEnabled = true
	return options
}

// A RedisServer is a redis-server that ends with the test, or with the process of the test at the latest.
type RedisServer struct {
	Dir string // where it keeps its files

	settings []string
	process  *os.Process
	exited   chan struct{}
}

// StartRedis starts a server on a Unix socket. The settings are those of redis.conf, as pairs such
// as "--appendonly", "yes"; without them it keeps everything in memory alone.
func StartRedis(tb testing.TB, settings ...string) *RedisServer {
	tb.Helper()
	s := &RedisServer{Dir: redisDir(tb)}
	s.settings = append([]string{"--port", "0", "--unixsocket", s.socket(), "--save", "", "--dir", s.Dir}, settings...)
	s.Start(tb)
	return s
}

// Options returns how to reach the server.
func (s *RedisServer) Options() *redis.Options {
	return &redis.Options{Network: "unix", Addr: s.socket(), ContextTimeoutEnabled: true}
}

func (s *RedisServer) socket() string { return filepath.Join(s.Dir, "redis.sock") }

// Start starts the server again after Kill.
func (s *RedisServer) Start(tb testing.TB) {
	tb.Helper()
	if err := s.start(tb); err != nil {
		tb.Fatal(err)
	}
}

// Kill ends the server as kill -9 does, and waits until it is gone.
func (s *RedisServer) Kill(tb testing.TB) {
	tb.Helper()
	if err := s.process.Kill(); err != nil {
		tb.Fatalf("kill redis-server: %v", err)
	}
	<-s.exited
}

func redisDir(tb testing.TB) string {
	tb.Helper()
	// Short, because the path of a Unix socket has at most 107 bytes.
	dir, err := os.MkdirTemp("/tmp", "mailgrant-redis-") //nolint:usetesting // tb.TempDir is as long as the test's name
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	return dir
}

func (s *RedisServer) start(tb testing.TB) error {
	tb.Helper()
	program, err := find("redis-server", redisAdvice)
	if err != nil {
		return err
	}
	log := redisLog{ready: make(chan struct{})}
	exited := make(chan struct{})
	// The context of the test ends before its clean-ups run.
	cmd := exec.CommandContext(tb.Context(), program, s.settings...) //nolint:gosec // the program that was found
	cmd.Stdout, cmd.Stderr = &log, &log
	endWithParent(cmd)
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread that starts a process counts as its parent, and must outlive it
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(exited)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.process, s.exited = cmd.Process, exited
	tb.Cleanup(func() { <-exited })
	select {
	case <-log.ready:
		return nil
	case <-exited:
		return fmt.Errorf("redis-server ended at once, saying:\n%s", log.String())
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("redis-server is not ready, saying:\n%s", log.String()), s.process.Kill())
	}
}

// A redisLog keeps what a server says, and notices when that it is ready.
type redisLog struct {
	mu    sync.Mutex
	text  bytes.Buffer
	ready chan struct{}
	seen  bool
}

func (l *redisLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	if !l.seen && bytes.Contains(l.text.Bytes(), []byte("eady to accept connections")) {
		l.seen = true
		close(l.ready)
	}
	return len(b), nil
}

func (l *redisLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// poll calls done until it reports true, for as long as the test's patience goes.
func poll(tb testing.TB, what string, done func(context.Context) bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatalf("waited for %s in vain: %v", what, ctx.Err())
		}
	}
}
