package tokenstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// Keys come from where secrets are kept, say a mounted file: GenerateKey printed them once.
func ExampleParseKeyring() {
	secret := "uV2Jr7WqG1k0TtCc3kYx9bGg0d2m0Q0Tq8Y1cJc7m3s=\n"

	ring, err := tokenstore.ParseKeyring(secret)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ring) // the IDs of the keys, never a key

	_, err = tokenstore.ParseKeyring("uV2Jr7WqG1k0TtCc3kYx9bGg0d2m")
	fmt.Println(err)
	// Output:
	// tokenstore.Keyring[97752c4103d63f6b]
	// tokenstore: keyring: the primary key has 21 bytes instead of 32; GenerateKey makes one
}

// To rotate keys, make the new one the primary, and keep the old one for what it sealed.
func ExampleParseKeyring_rotation() {
	ctx := context.Background()
	store := tokenstore.NewMemory()
	oldKey, newKey := tokenstore.GenerateKey(), tokenstore.GenerateKey()
	open := func(keys string) *tokenstore.Grants {
		ring, err := tokenstore.ParseKeyring(keys)
		if err != nil {
			log.Fatal(err)
		}
		grants, err := tokenstore.NewGrants(store, ring)
		if err != nil {
			log.Fatal(err)
		}
		return grants
	}

	if err := open(oldKey).Put(ctx, &tokenstore.Grant{UserID: "1122"}); err != nil {
		log.Fatal(err)
	}

	rotated := open(newKey + " " + oldKey)
	grant, err := rotated.Get(ctx, "1122")
	fmt.Println("old key still opens:", err == nil)
	if err := rotated.Put(ctx, grant); err != nil { // sealed anew
		log.Fatal(err)
	}

	_, err = open(newKey).Get(ctx, "1122")
	fmt.Println("old key can go:", err == nil)
	_, err = open(oldKey).Get(ctx, "1122")
	_, unknown := errors.AsType[*tokenstore.UnknownKeyError](err)
	fmt.Println("old key alone is not enough:", unknown)
	// Output:
	// old key still opens: true
	// old key can go: true
	// old key alone is not enough: true
}

func ExampleNewKeyring() {
	// 32 random bytes each, from a key management service.
	newKey := []byte("an-example-of-a-key-of-32-bytes.")
	oldKey := []byte("the-key-that-was-used-last-year.")

	ring, err := tokenstore.NewKeyring(newKey, oldKey)
	if err != nil {
		log.Fatal(err)
	}
	sealed, err := ring.Encrypt([]byte("a secret"), []byte("where it belongs"))
	if err != nil {
		log.Fatal(err)
	}
	plain, err := ring.Decrypt(sealed, []byte("where it belongs"))
	fmt.Println(string(plain), err)
	_, err = ring.Decrypt(sealed, []byte("somewhere else"))
	fmt.Println(err)
	// Output:
	// a secret <nil>
	// tokenstore: the record was changed, truncated or moved from another place since it was sealed
}

func ExampleGrants() {
	ctx := context.Background()
	ring, err := tokenstore.ParseKeyring(tokenstore.GenerateKey())
	if err != nil {
		log.Fatal(err)
	}
	grants, err := tokenstore.NewGrants(tokenstore.NewMemory(), ring)
	if err != nil {
		log.Fatal(err)
	}

	err = grants.Put(ctx, &tokenstore.Grant{
		UserID:       "108204268033311374519", // the ID token's sub
		Email:        "ada@example.com",
		RefreshToken: "1//0example",
		CreatedAt:    time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	})
	if err != nil {
		log.Fatal(err)
	}

	mine, err := grants.Get(ctx, "108204268033311374519")
	if err != nil {
		log.Fatal(err)
	}
	theirs := mine.Clone()

	mine.LastError = "503 Service Unavailable"
	fmt.Println("first writer:", grants.Put(ctx, mine))

	err = grants.Put(ctx, theirs) // read before the first one wrote
	fmt.Println("second writer must read again:", errors.Is(err, tokenstore.ErrConflict))

	for grant, err := range grants.All(ctx) {
		if err != nil {
			log.Print(err) // one unreadable grant is no reason to stop
			continue
		}
		fmt.Println(grant.Email, grant.LastError)
	}

	if err := grants.Delete(ctx, "108204268033311374519"); err != nil {
		log.Fatal(err)
	}
	_, err = grants.Get(ctx, "108204268033311374519")
	fmt.Println("gone:", errors.Is(err, tokenstore.ErrNotFound))
	// Output:
	// first writer: <nil>
	// second writer must read again: true
	// ada@example.com 503 Service Unavailable
	// gone: true
}

// Tenants share one backend, and none sees another's grants.
func ExampleNamespace() {
	ctx := context.Background()
	store := tokenstore.NewMemory()
	acme := tokenstore.Namespace(store, "acme")
	globex := tokenstore.Namespace(store, "globex/eu")

	for _, tenant := range []tokenstore.TokenStore{acme, globex} {
		if err := tenant.Swap(ctx, "settings", "", tokenstore.Record{Version: "1"}); err != nil {
			log.Fatal(err)
		}
	}
	if err := acme.Swap(ctx, "settings", "1", tokenstore.Record{}); err != nil { // deletes acme's alone
		log.Fatal(err)
	}

	_, err := acme.Get(ctx, "settings")
	fmt.Println(err)
	for key, err := range tokenstore.List(ctx, globex, "") {
		fmt.Println(key, err)
	}
	// Output:
	// tokenstore: not found
	// settings <nil>
}

func ExampleList() {
	ctx := context.Background()
	store := tokenstore.NewMemory()
	for _, key := range []string{"grant/1122", "grant/3344", "state/x"} {
		if err := store.Swap(ctx, key, "", tokenstore.Record{Version: "1"}); err != nil {
			log.Fatal(err)
		}
	}

	var keys []string
	for key, err := range tokenstore.List(ctx, store, "grant/") {
		if err != nil {
			log.Fatal(err)
		}
		keys = append(keys, key)
	}
	slices.Sort(keys) // they come in no particular order
	fmt.Println(keys)

	for _, err := range tokenstore.List(ctx, newMapStore(), "") {
		fmt.Println("a store without Keys:", errors.Is(err, errors.ErrUnsupported))
	}
	// Output:
	// [grant/1122 grant/3344]
	// a store without Keys: true
}

// The only write is a compare-and-swap.
func ExampleMemory() {
	ctx := context.Background()
	store := tokenstore.NewMemory()

	fmt.Println("create:", store.Swap(ctx, "key", "", tokenstore.Record{Version: "v1", Data: []byte("one")}))
	fmt.Println("create again:", store.Swap(ctx, "key", "", tokenstore.Record{Version: "v2", Data: []byte("two")}))
	fmt.Println("replace:", store.Swap(ctx, "key", "v1", tokenstore.Record{Version: "v3", Data: []byte("three")}))

	rec, err := store.Get(ctx, "key")
	fmt.Printf("get: %s %s %v\n", rec.Version, rec.Data, err)

	fmt.Println("delete an old version:", store.Swap(ctx, "key", "v1", tokenstore.Record{}))
	fmt.Println("delete:", store.Swap(ctx, "key", "v3", tokenstore.Record{}))
	// Output:
	// create: <nil>
	// create again: tokenstore: version conflict
	// replace: <nil>
	// get: v3 three <nil>
	// delete an old version: tokenstore: version conflict
	// delete: <nil>
}

// A mapStore is a TokenStore of the least size: a backend needs no more than Get and Swap.
type mapStore struct {
	mu      sync.Mutex
	records map[string]tokenstore.Record
}

func newMapStore() *mapStore { return &mapStore{records: make(map[string]tokenstore.Record)} }

func (s *mapStore) Get(ctx context.Context, key string) (tokenstore.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, ok := s.records[key]
	if !ok {
		return tokenstore.Record{}, tokenstore.ErrNotFound
	}
	rec.Data = slices.Clone(rec.Data) // the caller may change it
	return rec, ctx.Err()
}

func (s *mapStore) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	if err := errors.Join(tokenstore.CheckSwap(key, next), ctx.Err()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.records[key].Version != oldVersion: // a missing record has the version ""
		return tokenstore.ErrConflict
	case next.Version == "":
		delete(s.records, key)
	default:
		next.Data = slices.Clone(next.Data) // the caller may change it
		s.records[key] = next
	}
	return nil
}

// A store of your own keeps versioned bytes under keys; storetest.Run is its test.
func ExampleTokenStore() {
	ctx := context.Background()
	store := newMapStore()
	ring, err := tokenstore.ParseKeyring(tokenstore.GenerateKey())
	if err != nil {
		log.Fatal(err)
	}
	grants, err := tokenstore.NewGrants(store, ring)
	if err != nil {
		log.Fatal(err)
	}
	if err := grants.Put(ctx, &tokenstore.Grant{UserID: "1122", RefreshToken: "1//0example"}); err != nil {
		log.Fatal(err)
	}

	grant, err := grants.Get(ctx, "1122")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(grant.RefreshToken)
	for key, rec := range store.records {
		fmt.Println(key, "shows the token:", strings.Contains(string(rec.Data), "example"))
	}
	// Output:
	// 1//0example
	// grant/1122 shows the token: false
}
