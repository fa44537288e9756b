// Package servers starts real databases for tests: private ones with the settings of production, on Unix sockets in
// directories of their own, which end with the test process at the latest, however that ends.
//
//	db, err := sql.Open("pgx", servers.PostgreSQL(t)) // an empty schema; all tests of the process share the server
//
// A server that is running already can be named in the environment. Where there is none, and the programs are
// missing too, the test fails and says what to install.
package servers

import (
	"bufio"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A SQLServer is a PostgreSQL or MariaDB server that ends with the test that started it, or with its process.
type SQLServer struct {
	DSN string // of the server's own, empty database, for Driver
	// Driver is the name under which database/sql knows the driver.
	Driver string

	dir        string // everything that the server keeps
	owner      owner
	stopSignal string // for the keeper: ends the server without leaving anything behind
	command    []string

	orders io.WriteCloser // the keeper's standard input
	ended  chan struct{}  // closed when the server is gone
}

// keeper runs a server until it is told otherwise. At the end of standard input, which comes when the test process is
// gone too, the server is stopped and its directory removed; a line kills it and keeps the directory.
const keeper = `
dir=$1 stop=$2; shift 2
rm -f "$dir/ended"
exec 3<&0
"$@" </dev/null >>"$dir/log" 2>&1 3<&- &
server=$!
{
	exec >/dev/null
	if read -r order <&3; then stop=KILL; fi
	[ -e "$dir/ended" ] || kill -"$stop" "$server"
	[ -z "$order" ] || exit
	while [ -d "$dir" ] && [ ! -e "$dir/ended" ]; do sleep 0.02; done
	rm -rf "$dir"
} 2>/dev/null &
echo ready
wait "$server"
: >"$dir/ended"
`

// newServer returns a server without data, which is to run as the account where the test runs as root.
func newServer(name, account string) (*SQLServer, error) {
	dir, err := os.MkdirTemp("/tmp", "mailgrant-"+name+"-") // short: a socket's path has at most 107 bytes
	if err != nil {
		return nil, err
	}
	s := &SQLServer{dir: dir, stopSignal: "KILL"}
	if s.owner, err = giveTo(account, dir); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

func (s *SQLServer) remove() error { return os.RemoveAll(s.dir) }

// execute runs a program that sets the server up.
func (s *SQLServer) execute(program string, args ...string) error {
	cmd := s.asOwner(program, args...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w, saying:\n%s", program, err, output)
	}
	return nil
}

// asOwner returns a command that runs as the owner of the directory, within it.
func (s *SQLServer) asOwner(program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), program, args...) //nolint:gosec // programs of our choice
	cmd.Dir = s.dir
	s.owner.start(cmd)
	return cmd
}

// patience is how long a server may take to start.
const patience = time.Minute

// start starts the server and waits until it answers.
func (s *SQLServer) start() error {
	cmd := s.asOwner("/bin/sh", append([]string{"-c", keeper, "keeper", s.dir, s.stopSignal}, s.command...)...)
	input, orders, err := os.Pipe() // not cmd.StdinPipe, which ends when the server does
	if err != nil {
		return err
	}
	cmd.Stdin = input
	output, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	_ = input.Close() // the keeper has it
	if err != nil {
		return errors.Join(err, orders.Close())
	}
	ended := make(chan struct{})
	_, _ = bufio.NewReader(output).ReadString('\n') // until the keeper listens, an order could be missed
	go func() {
		_ = cmd.Wait() // what a killed server's status is, is of no interest
		close(ended)
	}()
	s.orders, s.ended = orders, ended
	return s.await()
}

// await waits until the server answers.
func (s *SQLServer) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	db, err := sql.Open(s.Driver, s.DSN)
	if err != nil {
		return err
	}
	defer db.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.ended:
			err := fmt.Errorf("%s ended at once, saying:\n%s", s.command[0], s.log())
			_, unheard := io.WriteString(s.orders, "keep the directory\n")
			return errors.Join(err, unheard, s.orders.Close())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s does not answer: %w; it says:\n%s", s.command[0], err, s.log()), s.stop())
		}
	}
}

func (s *SQLServer) log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// stop ends the server and removes what it kept.
func (s *SQLServer) stop() error {
	if err := s.orders.Close(); err != nil && !errors.Is(err, os.ErrClosed) { // after Kill it is closed
		return err
	}
	<-s.ended
	return s.remove()
}

// Kill ends the server as kill -9 does, and waits until it is gone.
func (s *SQLServer) Kill(tb testing.TB) {
	tb.Helper()
	if _, err := io.WriteString(s.orders, "kill\n"); err != nil {
		tb.Errorf("kill the server: %v", err)
	}
	if err := s.orders.Close(); err != nil {
		tb.Error(err)
	}
	<-s.ended
}

// Start starts the server again after Kill, on the same socket with the same data.
func (s *SQLServer) Start(tb testing.TB) {
	tb.Helper()
	// PostgreSQL refuses to start until the last of the killed server's processes is gone.
	deadline := time.Now().Add(patience)
	for err := s.start(); err != nil; err = s.start() {
		if time.Now().After(deadline) {
			tb.Fatal(err)
		}
	}
}

// setUp finishes what newServer began: it starts the server, or removes it with the error.
func (s *SQLServer) setUp(prepare func() error) (*SQLServer, error) {
	err := prepare()
	if err == nil {
		err = s.start()
	}
	if err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// endWith has the server stopped at the end of the test.
func (s *SQLServer) endWith(tb testing.TB) *SQLServer {
	tb.Helper()
	tb.Cleanup(func() {
		if err := s.stop(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// find returns the path of a program: the last match of the patterns, else what PATH has, else an error with advice.
func find(program, advice string, patterns ...string) (string, error) {
	for _, pattern := range patterns {
		if matches, _ := filepath.Glob(filepath.Join(pattern, program)); len(matches) > 0 {
			return matches[len(matches)-1], nil
		}
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, advice)
	}
	return path, nil
}

// fresh executes the statement, in which %s is the name of something new, and returns that name. After the test it
// executes the other, which removes it again.
func fresh(tb testing.TB, driver, dsn, create, drop string) string {
	tb.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	db, err := sql.Open(driver, dsn)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	if _, err := db.ExecContext(tb.Context(), fmt.Sprintf(create, name)); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if _, err := db.ExecContext(context.WithoutCancel(tb.Context()), fmt.Sprintf(drop, name)); err != nil {
			tb.Error(err)
		}
	})
	return name
}
