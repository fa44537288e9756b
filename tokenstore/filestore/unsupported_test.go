//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package filestore_test

import (
	"errors"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore/filestore"
)

func TestOpenSaysThatTheSystemIsNotSupported(t *testing.T) {
	t.Parallel()
	if _, err := filestore.Open(t.TempDir()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Open: %v, want errors.ErrUnsupported", err)
	}
}
