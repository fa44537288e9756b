package tokenstore_test

import (
	"errors"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// unreadable damages what is stored of user 1122 and returns what Get says of it.
func unreadable(t *testing.T, store tokenstore.TokenStore) *tokenstore.UnsealError {
	t.Helper()
	mustPut(t, newGrants(t, store), fullGrant("1122"))
	rec, err := store.Get(t.Context(), "grant/1122")
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Swap(t.Context(), "grant/1122", rec.Version, tokenstore.Record{Version: "damaged", Data: rec.Data[1:]}); err != nil {
		t.Fatal(err)
	}
	_, err = newGrants(t, store).Get(t.Context(), "1122")
	damage, ok := errors.AsType[*tokenstore.UnsealError](err)
	if !ok {
		t.Fatalf("Get: %v", err)
	}
	return damage
}

func TestWhatCannotBeReadCanBeReplaced(t *testing.T) {
	t.Parallel()
	store := tokenstore.NewMemory()
	grants := newGrants(t, store)
	damage := unreadable(t, store)
	for _, err := range grants.All(t.Context()) {
		if again, ok := errors.AsType[*tokenstore.UnsealError](err); !ok || again.Replacement().Version() != damage.Replacement().Version() {
			t.Errorf("All yields %v", err)
		}
	}
	next := damage.Replacement()
	next.Email = "ada@example.com"
	mustPut(t, grants, next)
	if got := mustGet(t, grants, "1122"); got.Email != next.Email || got.RefreshToken != "" || got.ID != "" {
		t.Errorf("stored %+v", got)
	}
	for name, err := range map[string]error{
		"Put":    grants.Put(t.Context(), damage.Replacement()),
		"Remove": grants.Remove(t.Context(), damage.Replacement()),
	} {
		if !errors.Is(err, tokenstore.ErrConflict) {
			t.Errorf("%s once it is replaced: %v", name, err)
		}
	}
}

func TestWhatCannotBeReadCanBeRemoved(t *testing.T) {
	t.Parallel()
	store := tokenstore.NewMemory()
	grants := newGrants(t, store)
	if err := grants.Remove(t.Context(), unreadable(t, store).Replacement()); err != nil {
		t.Fatal(err)
	}
	if n := len(records(t, store)); n != 0 {
		t.Errorf("%d records are left", n)
	}
}

func TestReencryptTellsOfNoRecordToReplace(t *testing.T) {
	t.Parallel()
	store := tokenstore.NewMemory()
	tenant := tokenstore.Namespace(store, "tenant")
	_ = unreadable(t, tenant)
	mustPut(t, newGrants(t, store), fullGrant("1122"))
	_, err := tokenstore.Reencrypt(t.Context(), store, testRing(t, 2, 1), nil)
	damage, ok := errors.AsType[*tokenstore.UnsealError](err)
	if !ok {
		t.Fatalf("Reencrypt: %v", err)
	}
	next := damage.Replacement()
	if err := newGrants(t, store).Remove(t.Context(), next); next.Version() != "" || !errors.Is(err, tokenstore.ErrConflict) {
		t.Errorf("the same user's grant in another namespace was removed, at version %q: %v", next.Version(), err)
	}
}
