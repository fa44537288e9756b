package servers_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/internal/integration/servers"
)

// holdVariable tells the re-executed test binary to hold its servers until it is killed.
const holdVariable = "MAILGRANT_TEST_HOLD_SERVERS"

// TestServersAnswer asks each server. In a process that is told to hold them it then waits for its end.
func TestServersAnswer(t *testing.T) { //nolint:paralleltest // one process, one line for each server
	for _, dsn := range []string{servers.PostgreSQL(t), servers.MariaDB(t)} {
		driver := "pgx"
		if strings.Contains(dsn, "mariadb") {
			driver = "mysql"
		}
		db, err := sql.Open(driver, dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var one int
		if err := db.QueryRowContext(t.Context(), "SELECT 1").Scan(&one); err != nil || one != 1 {
			t.Fatalf("SELECT 1: %d, %v", one, err)
		}
		fmt.Println("dsn:", dsn) // read by the test below
	}
	if os.Getenv(holdVariable) != "" {
		_, _ = os.Stdin.Read(make([]byte, 1))
	}
}

func TestServersEndWithAProcessThatIsKilled(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestServersAnswer$")
	// Servers of its own, and not those that the environment may name.
	cmd.Env = append(os.Environ(), holdVariable+"=1", "MAILGRANT_TEST_POSTGRES=", "MAILGRANT_TEST_MARIADB=")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dirs []string
	lines := bufio.NewScanner(stdout)
	for len(dirs) < 2 && lines.Scan() {
		if _, after, ok := strings.Cut(lines.Text(), "/tmp/mailgrant-"); ok {
			name := strings.FieldsFunc(after, func(r rune) bool { return r == ' ' || r == '/' })[0]
			dirs = append(dirs, "/tmp/mailgrant-"+name)
		}
	}
	if len(dirs) != 2 {
		t.Fatalf("the process has started %d servers, want 2", len(dirs))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, dir := range dirs {
		for {
			// The keeper removes the directory after the server has gone.
			if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
				break
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				left, _ := filepath.Glob(dir + "/*")
				t.Fatalf("the server in %s is still there: %q", dir, left)
			}
		}
	}
}
