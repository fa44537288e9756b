// Testreport reads the output of "go test -json" and prints what a person wants to know of it: a line
// for each package, the output of whatever failed or was skipped, and the totals on the last line.
//
//	go test -json ./... | testreport
//
// It exits with 1 when a test failed, a package did not build or did not finish, a test was skipped, or
// nothing ran at all: a suite that skips is green for the wrong reason.
package main

import (
	"fmt"
	"os"
)

func main() {
	r := newReport(os.Stdout)
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testreport: reading the output of go test:", err)
		os.Exit(1)
	}
	if !r.close() {
		os.Exit(1)
	}
}
