package authflow_test

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestEveryRowOfATableHasItsTest(t *testing.T) {
	t.Parallel()
	root, err := os.OpenRoot("..")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	tests := declaredTests(t, root)
	for file, c := range map[string]struct {
		head string
		rows int // at least
	}{"docs/faults.md": {"| fault |", 30}, "SECURITY.md": {"| asset |", 28}} {
		table, err := root.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		checkTable(t, string(table), c.head, c.rows, tests)
	}
}

// declaredTests returns the names of the tests that a table may name.
func declaredTests(t *testing.T, root *os.Root) map[string]bool {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	tests := make(map[string]bool)
	for _, dir := range []string{"authflow", "tokenstore", "gmailsvc"} {
		if err := fs.WalkDir(root.FS(), dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := root.ReadFile(path)
			if err != nil {
				return err
			}
			for _, name := range declared.FindAllSubmatch(source, -1) {
				tests[string(name[1])] = true
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return tests
}

func checkTable(t *testing.T, table, head string, want int, tests map[string]bool) {
	t.Helper()
	rows := 0
	last := regexp.MustCompile("`Test[A-Za-z0-9]+` \\|$")
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)`")
	for line := range strings.Lines(table) {
		line = strings.TrimSpace(line)
		for _, name := range named.FindAllStringSubmatch(line, -1) {
			if !tests[name[1]] {
				t.Errorf("there is no %s, for: %s", name[1], line)
			}
		}
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") || strings.HasPrefix(line, head) {
			continue
		}
		rows++
		if !last.MatchString(line) {
			t.Errorf("no test is named in: %s", line)
		}
	}
	if rows < want {
		t.Errorf("the table of %q has %d rows", head, rows)
	}
}
