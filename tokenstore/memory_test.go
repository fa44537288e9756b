package tokenstore_test

import (
	"fmt"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/storetest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) tokenstore.TokenStore { return tokenstore.NewMemory() })
}

func TestTheZeroMemoryIsReadyToUse(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) tokenstore.TokenStore { return new(tokenstore.Memory) })
}

func TestMemoryPrintsNoRecords(t *testing.T) {
	t.Parallel()
	m := tokenstore.NewMemory()
	if err := m.Swap(t.Context(), "user-key", "", tokenstore.Record{Version: "1", Data: []byte("sealed-data")}); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%s"} {
		if got, want := fmt.Sprintf(format, m), "tokenstore.Memory(1 records)"; got != want {
			t.Errorf("%s prints %q, want %q", format, got, want)
		}
	}
}
