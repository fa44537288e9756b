package storetest_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/storetest"
)

// flawVariable names the store that the re-executed test binary runs the suite against.
const flawVariable = "MAILGRANT_STORETEST_FLAW"

// TestSubject is what TestSuite runs in processes of their own. By itself it checks the sound store.
func TestSubject(t *testing.T) { //nolint:paralleltest // the suite's own order is part of what is tested
	flaw := os.Getenv(flawVariable)
	storetest.Run(t, func(t *testing.T) tokenstore.TokenStore {
		t.Helper()
		for _, f := range flaws {
			if f.name == flaw {
				return f.open()
			}
		}
		return tokenstore.NewMemory()
	})
}

var failed = regexp.MustCompile(`(?m)^\s+--- FAIL: TestSubject/(\S+)`)

// TestSuite runs the suite against each flawed store and wants exactly the subtests to fail that the flaw concerns.
func TestSuite(t *testing.T) {
	t.Parallel()
	for _, f := range flaws {
		t.Run("a store that "+f.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSubject$", "-test.v", "-test.timeout=1m")
			cmd.Env = append(os.Environ(), flawVariable+"="+f.name)
			output, err := cmd.CombinedOutput()
			var got []string
			for _, match := range failed.FindAllStringSubmatch(string(output), -1) {
				got = append(got, strings.ReplaceAll(match[1], "_", " "))
			}
			if (err != nil) != (len(f.fails) > 0) || !slices.Equal(got, f.fails) {
				t.Errorf("%v; failed subtests:\n\t%q\nwant\n\t%q\noutput:\n%s", err, got, f.fails, output)
			}
			if strings.Contains(string(output), "cannot list its keys") != f.unlisted {
				t.Errorf("the log says that the store cannot list its keys: %t, want %t", !f.unlisted, f.unlisted)
			}
		})
	}
}
