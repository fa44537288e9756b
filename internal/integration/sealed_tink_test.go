package integration_test

import (
	"errors"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// What Tink makes, of a key management service's keys too, seals grants.
var _ tokenstore.AEAD = tink.AEAD(nil)

func TestTinkSealsGrantsAndRotatesItsKeys(t *testing.T) {
	t.Parallel()
	manager := keyset.NewManager()
	older := addTinkKey(t, manager)
	store := tokenstore.NewMemory()
	before := tinkAEAD(t, manager)
	grant := &tokenstore.Grant{
		UserID: "1122", Email: "ada@example.com", RefreshToken: "1//refresh", AccessToken: "ya29.access",
	}
	if err := grantsIn(t, store, before).Put(t.Context(), grant); err != nil {
		t.Fatal(err)
	}

	newer := addTinkKey(t, manager)
	both := tinkAEAD(t, manager)
	if progress, err := tokenstore.Reencrypt(t.Context(), store, both, nil); err != nil || progress.Resealed != 1 {
		t.Fatalf("Reencrypt: %+v, %v", progress, err)
	}
	if err := manager.Delete(older); err != nil {
		t.Fatal(err)
	}
	got, err := grantsIn(t, store, tinkAEAD(t, manager)).Get(t.Context(), "1122")
	if err != nil || got.Email != grant.Email || got.RefreshToken != grant.RefreshToken || got.AccessToken != grant.AccessToken {
		t.Errorf("with key %d alone: %v, %v", newer, got, err)
	}

	_, err = grantsIn(t, store, before).Get(t.Context(), "1122")
	if unreadable, ok := errors.AsType[*tokenstore.UnsealError](err); !ok || unreadable.UserID != "1122" {
		t.Errorf("with key %d alone: %v, want an *UnsealError", older, err)
	}
	// A record in another's place is not opened, whoever seals.
	record := mustGet(t.Context(), t, store, "grant/1122")
	if err := store.Swap(t.Context(), "grant/3344", "", record); err != nil {
		t.Fatal(err)
	}
	if _, err := grantsIn(t, store, both).Get(t.Context(), "3344"); err == nil {
		t.Error("the grant of one user is read as that of another")
	}
}

// addTinkKey makes a new AES-256-GCM key the primary one.
func addTinkKey(t *testing.T, manager *keyset.Manager) (id uint32) {
	t.Helper()
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err == nil {
		err = manager.SetPrimary(id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func tinkAEAD(t *testing.T, manager *keyset.Manager) tink.AEAD {
	t.Helper()
	handle, err := manager.Handle()
	if err != nil {
		t.Fatal(err)
	}
	a, err := aead.New(handle)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
