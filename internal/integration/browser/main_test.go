// Package browser_test walks through examples/webapp, and through authflow's own pages, in Chromium. Screenshots of the main
// pages are written to the folder screenshots beside this file.
package browser_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
)

var (
	scratch string // removed after the last test
	webapp  string // the program
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "mailgrant-browser-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // there is nobody left to tell
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { endChromium() }()
	return m.Run()
}

// build builds the web application, under the race detector if the tests run under it.
func build() error {
	webapp = filepath.Join(scratch, "webapp")
	args := []string{"build", "-buildvcs=false", "-o", webapp}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./webapp")...)
	cmd.Dir = filepath.Join("..", "..", "..", "examples")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %v: %w\n%s", cmd.Args, err, output)
	}
	return nil
}
