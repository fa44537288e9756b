package authflow_test

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestEveryFaultOfTheTableHasItsTest(t *testing.T) {
	t.Parallel()
	root, err := os.OpenRoot("..")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	table, err := root.ReadFile("docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	tests := make(map[string]bool)
	for _, dir := range []string{"authflow", "tokenstore"} {
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
	rows := 0
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)` \\|$")
	for line := range strings.Lines(string(table)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") || strings.HasPrefix(line, "| fault |") {
			continue
		}
		rows++
		switch name := named.FindStringSubmatch(line); {
		case name == nil:
			t.Errorf("no test is named in: %s", line)
		case !tests[name[1]]:
			t.Errorf("there is no %s, for: %s", name[1], line)
		}
	}
	if rows < 30 {
		t.Errorf("the table has %d rows", rows)
	}
}
