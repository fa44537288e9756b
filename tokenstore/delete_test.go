package tokenstore_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
)

func mustDelete(t testing.TB, grants *tokenstore.Grants) {
	t.Helper()
	if err := grants.Delete(t.Context(), "1122"); err != nil {
		t.Fatal(err)
	}
}

func TestDeleteRemovesWhateverIsThere(t *testing.T) {
	t.Parallel()
	store := tokenstore.NewMemory()
	grants := newGrants(t, store)
	mustDelete(t, grants) // nothing there
	mustPut(t, grants, fullGrant("1122"))
	mustPut(t, grants, fullGrant("3344"))
	mustDelete(t, grants)
	if err := store.Swap(t.Context(), "grant/1122", "", tokenstore.Record{Version: "v", Data: []byte("no grant")}); err != nil {
		t.Fatal(err)
	}
	mustDelete(t, grants) // not readable
	if _, err := grants.Get(t.Context(), "1122"); !errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("after Delete: %v; want ErrNotFound", err)
	}
	if keys := slices.Collect(maps.Keys(records(t, store))); !slices.Equal(keys, []string{"grant/3344"}) {
		t.Errorf("the store holds %q", keys)
	}
}

func TestDeleteTakesItUpWithWriters(t *testing.T) {
	t.Parallel()
	calls := 0
	store := &swapper{Memory: tokenstore.NewMemory()}
	plain := newGrants(t, store.Memory)
	store.swap = func(w write) error {
		if calls++; calls <= 3 {
			mustPut(t, plain, mustGet(t, plain, "1122"))
		}
		return w.commit()
	}
	mustPut(t, plain, fullGrant("1122"))
	mustDelete(t, newGrants(t, store))
	if n := len(records(t, store.Memory)); n != 0 || calls != 4 {
		t.Errorf("%d records are left after %d tries", n, calls)
	}
}

func TestDeleteReportsWhatTheStoreSays(t *testing.T) {
	t.Parallel()
	errDown := errors.New("store is down")
	store := &swapper{Memory: tokenstore.NewMemory()}
	mustPut(t, newGrants(t, store.Memory), fullGrant("1122"))
	store.swap = func(write) error { return errDown }
	if err := newGrants(t, store).Delete(t.Context(), "1122"); !errors.Is(err, errDown) || !strings.Contains(err.Error(), `"1122"`) {
		t.Errorf("the write fails: Delete = %v", err)
	}
	store.down = errDown
	if err := newGrants(t, store).Delete(t.Context(), "1122"); !errors.Is(err, errDown) {
		t.Errorf("the read fails: Delete = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	store.down = nil
	store.swap = func(write) error {
		cancel()
		return tokenstore.ErrConflict
	}
	if err := newGrants(t, store).Delete(ctx, "1122"); err == nil {
		t.Error("the context ended in the middle of conflicts, and Delete reported success")
	}
}
