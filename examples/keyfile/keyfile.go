// Package keyfile keeps the key that the examples seal grants with in a file. A service gets its keys from a secret manager
// instead: whoever reads both the key and the store has the grants.
package keyfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// Open returns the keyring in file, and makes one where there is none.
func Open(file string) (*tokenstore.Keyring, error) {
	text, err := readOrCreate(file)
	if err != nil {
		return nil, err
	}
	keys, err := tokenstore.ParseKeyring(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return keys, nil
}

func readOrCreate(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return string(text), err
	}
	// A key that another run just made must not be overwritten, nor half a key be left behind: grants are sealed with it.
	draft, err := os.CreateTemp(filepath.Dir(file), "key")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(draft.Name()) }()
	_, err = draft.WriteString(tokenstore.GenerateKey() + "\n")
	if err := errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return "", err
	}
	if err := os.Link(draft.Name(), file); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	text, err = os.ReadFile(file)
	return string(text), err
}
