package keyfile_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/mailgrant/mailgrant/examples/keyfile"
)

func TestRunsThatBeginAtOnceHaveOneKey(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	sealed := make([][]byte, 16)
	var runs sync.WaitGroup
	for i := range sealed {
		runs.Go(func() {
			keys, err := keyfile.Open(file)
			if err == nil {
				sealed[i], err = keys.Encrypt([]byte("x"), nil)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	runs.Wait()
	keys, err := keyfile.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sealed {
		if _, err := keys.Decrypt(s, nil); err != nil {
			t.Errorf("one of them sealed with another key: %v", err)
		}
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v; want it to be its owner's alone", info.Mode(), err)
	}
	if files, err := os.ReadDir(filepath.Dir(file)); err != nil || len(files) != 1 {
		t.Errorf("beside the key there is %v, %v", files, err)
	}
}

func TestAFileThatIsNoKeyIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keyfile.Open(file); err == nil {
		t.Error("it is taken for a key")
	}
}
