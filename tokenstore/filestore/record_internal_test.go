package filestore

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// FuzzReadRecord wants every file to be either exactly what encode makes of a record, or a damage.
func FuzzReadRecord(f *testing.F) {
	for _, r := range []struct {
		key    string
		record tokenstore.Record
	}{
		{"user", tokenstore.Record{Version: "1", Data: []byte("sealed")}},
		{"\xff\x00/..", tokenstore.Record{Version: "v", Data: nil}},
		{strings.Repeat("k", tokenstore.MaxKeyBytes), tokenstore.Record{Version: strings.Repeat("v", tokenstore.MaxVersionBytes)}},
	} {
		file := encode(r.key, r.record)
		f.Add(file)
		f.Add(file[:len(file)-1])
		f.Add(file[:prefixSize])
		f.Add(append(file, 0))
		f.Add(append(bytes.Repeat([]byte{0}, prefixSize), file[prefixSize:]...))
	}
	f.Add([]byte(nil))
	f.Add([]byte(magic + "\x00\x01\x01\xff\xff\xff\xff\xff\xff\xff\xffkv            "))
	f.Fuzz(func(t *testing.T, file []byte) {
		key, r, err := readRecord(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			if _, ok := errors.AsType[damage](err); !ok {
				t.Fatalf("readRecord: %v, want a damage", err)
			}
			return
		}
		if err := tokenstore.CheckSwap(key, r); err != nil || r.Version == "" {
			t.Fatalf("readRecord of a record that could not have been stored: version %q, %v", r.Version, err)
		}
		if !bytes.Equal(encode(key, r), file) {
			t.Fatalf("readRecord of a file that encode does not write: %q", file)
		}
		h, err := readHeader(bytes.NewReader(file), int64(len(file)))
		if err != nil || h.key != key || h.version != r.Version {
			t.Fatalf("readHeader: %q %q %v, want as in readRecord", h.key, h.version, err)
		}
	})
}
