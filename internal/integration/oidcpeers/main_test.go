// Package oidcpeers_test leads authflow through OpenID providers that others have written: the certified oidc-provider
// of npm, at its strictest, and the example server of zitadel/oidc. A Provider value is all that tells them from
// Google.
package oidcpeers_test

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// scratch is a directory that is removed after the last test.
var scratch string

func TestMain(m *testing.M) {
	if text := os.Getenv(workerVariable); text != "" {
		if err := work(context.Background(), text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "mailgrant-oidcpeers-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // there is nobody left to tell
	return m.Run()
}
