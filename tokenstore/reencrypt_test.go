package tokenstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"strconv"
	"sync"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// rings returns keyrings of an old key, of a new one and the old one, and of the new one alone.
func rings(t *testing.T) (before, both, after *tokenstore.Keyring) {
	t.Helper()
	oldKey, newKey := tokenstore.GenerateKey(), tokenstore.GenerateKey()
	for text, ring := range map[string]**tokenstore.Keyring{oldKey: &before, newKey + " " + oldKey: &both, newKey: &after} {
		parsed, err := tokenstore.ParseKeyring(text)
		if err != nil {
			t.Fatal(err)
		}
		*ring = parsed
	}
	return before, both, after
}

func grantsOf(t *testing.T, store tokenstore.TokenStore, aead tokenstore.AEAD) *tokenstore.Grants {
	t.Helper()
	grants, err := tokenstore.NewGrants(store, aead)
	if err != nil {
		t.Fatal(err)
	}
	return grants
}

// fill stores n grants and returns their refresh tokens by user.
func fill(t *testing.T, store tokenstore.TokenStore, aead tokenstore.AEAD, n int) map[string]string {
	t.Helper()
	tokens := make(map[string]string)
	for i := range n {
		grant := &tokenstore.Grant{UserID: "user" + strconv.Itoa(i), RefreshToken: "1//0" + strconv.Itoa(i)}
		if err := grantsOf(t, store, aead).Put(t.Context(), grant); err != nil {
			t.Fatal(err)
		}
		tokens[grant.UserID] = grant.RefreshToken
	}
	return tokens
}

// read returns the refresh tokens of all grants in store by user.
func read(t *testing.T, store tokenstore.TokenStore, aead tokenstore.AEAD) map[string]string {
	t.Helper()
	tokens := make(map[string]string)
	for grant, err := range grantsOf(t, store, aead).All(t.Context()) {
		if err != nil {
			t.Error(err)
			continue
		}
		tokens[grant.UserID] = grant.RefreshToken
	}
	return tokens
}

func TestReencryptMakesTheOldKeyNeedless(t *testing.T) {
	t.Parallel()
	before, both, after := rings(t)
	store := tokenstore.NewMemory()
	tenant := tokenstore.Namespace(store, "ten/ant")
	nested := tokenstore.Namespace(tenant, "revocations")
	places := map[string]tokenstore.TokenStore{"the store": store, "a namespace": tenant, "a namespace in a namespace": nested}
	want := make(map[string]map[string]string)
	for name, place := range places {
		want[name] = fill(t, place, before, 20)
	}
	fill(t, tokenstore.Namespace(store, "new"), both, 5)
	other := tokenstore.Record{Version: "1", Data: []byte("what an application keeps there, too")}
	if err := store.Swap(t.Context(), "other", "", other); err != nil {
		t.Fatal(err)
	}

	var reported []tokenstore.Progress
	done, err := tokenstore.Reencrypt(t.Context(), store, both, func(p tokenstore.Progress) { reported = append(reported, p) })
	if want := (tokenstore.Progress{Read: 65, Resealed: 60}); done != want || err != nil {
		t.Errorf("done %+v, want %+v: %v", done, want, err)
	}
	for i, p := range reported {
		if p.Read != i+1 || p.Resealed > p.Read {
			t.Errorf("report %d is %+v", i, p)
		}
	}
	if len(reported) != 65 || reported[64] != done {
		t.Errorf("%d reports", len(reported))
	}
	for name, place := range places {
		if got := read(t, place, after); !maps.Equal(got, want[name]) {
			t.Errorf("in %s the new key alone reads %d grants", name, len(got))
		}
	}
	if rec, err := store.Get(t.Context(), "other"); err != nil || string(rec.Data) != string(other.Data) {
		t.Errorf("what is no grant was touched: %v", err)
	}
	if done, err := tokenstore.Reencrypt(t.Context(), store, both, nil); err != nil || done.Resealed != 0 || done.Read != 65 {
		t.Errorf("again: %+v, %v", done, err)
	}
}

func TestReencryptResumesWhereItEnded(t *testing.T) {
	t.Parallel()
	before, both, after := rings(t)
	store := tokenstore.NewMemory()
	want := fill(t, store, before, 50)
	ctx, cancel := context.WithCancel(t.Context())
	first, err := tokenstore.Reencrypt(ctx, store, both, func(p tokenstore.Progress) {
		if p.Resealed == 20 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || first.Resealed != 20 {
		t.Fatalf("interrupted: %+v, %v", first, err)
	}
	if got := read(t, store, both); !maps.Equal(got, want) {
		t.Errorf("in between, both keys read %d grants", len(got))
	}
	second, err := tokenstore.Reencrypt(t.Context(), store, both, nil)
	if err != nil || second.Read != 50 || second.Resealed != 30 {
		t.Errorf("resumed: %+v, %v", second, err)
	}
	if got := read(t, store, after); !maps.Equal(got, want) {
		t.Errorf("the new key alone reads %d grants", len(got))
	}
}

func TestReencryptCountsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	before, both, _ := rings(t)
	lost, _, _ := rings(t)
	store := tokenstore.NewMemory()
	fill(t, store, before, 5)
	records := map[string]tokenstore.Record{"grant/damaged": {Version: "1", Data: []byte("damaged")}, "grant/empty": {Version: "1"}}
	for key, rec := range records {
		if err := store.Swap(t.Context(), key, "", rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := grantsOf(t, store, lost).Put(t.Context(), &tokenstore.Grant{UserID: "lost"}); err != nil {
		t.Fatal(err)
	}
	done, err := tokenstore.Reencrypt(t.Context(), store, both, nil)
	if want := (tokenstore.Progress{Read: 8, Resealed: 5, Unreadable: 3}); done != want {
		t.Errorf("done %+v, want %+v", done, want)
	}
	if unreadable, ok := errors.AsType[*tokenstore.UnsealError](err); !ok || unreadable.UserID == "" {
		t.Errorf("Reencrypt: %v", err)
	}
	for key, want := range records {
		if rec, err := store.Get(t.Context(), key); err != nil || rec.Version != want.Version || string(rec.Data) != string(want.Data) {
			t.Errorf("%s was touched: %v", key, err)
		}
	}
	if _, err := grantsOf(t, store, lost).Get(t.Context(), "lost"); err != nil {
		t.Errorf("once its key is back: %v", err)
	}
}

func TestReencryptLosesNothingThatIsWrittenMeanwhile(t *testing.T) {
	t.Parallel()
	before, both, after := rings(t)
	store := tokenstore.NewMemory()
	fill(t, store, before, 200)
	const writers = 4
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			grants := grantsOf(t, store, both)
			for i := range 200 {
				userID := "user" + strconv.Itoa(i)
				switch {
				case i%10 == 0:
					if err := grants.Delete(t.Context(), userID); err != nil {
						t.Error(err)
					}
					continue
				case i%2 == 0:
					continue
				}
				for {
					grant, err := grants.Get(t.Context(), userID)
					if err == nil {
						grant.LastError += "x"
						err = grants.Put(t.Context(), grant)
					}
					if err == nil {
						break
					}
					if !errors.Is(err, tokenstore.ErrConflict) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	if _, err := tokenstore.Reencrypt(t.Context(), store, both, nil); err != nil {
		t.Error(err)
	}
	all.Wait()
	n := 0
	for grant, err := range grantsOf(t, store, after).All(t.Context()) {
		if err != nil {
			t.Error(err)
			continue
		}
		n++
		i, _ := strconv.Atoi(grant.UserID[len("user"):])
		if want := writers * (i % 2); len(grant.LastError) != want {
			t.Errorf("of %d writes to %s %d are there", want, grant.UserID, len(grant.LastError))
		}
	}
	if n != 180 {
		t.Errorf("%d grants are left of 200, of which 20 were deleted", n)
	}
}

func TestReencryptFindsOutWhatBecameOfALostAnswer(t *testing.T) {
	t.Parallel()
	errLost := errors.New("connection lost")
	for name, c := range map[string]struct {
		swap func(w write) error
		want tokenstore.Progress
		err  error
	}{
		"written, answer lost": {
			func(w write) error { return errors.Join(errLost, w.commit()) }, tokenstore.Progress{Read: 3, Resealed: 3}, nil,
		},
		"written, and the store's second try met the first": {
			func(w write) error { return errors.Join(w.commit(), w.commit()) }, tokenstore.Progress{Read: 3, Resealed: 3}, nil,
		},
		"not written": {func(write) error { return errLost }, tokenstore.Progress{}, errLost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, both, after := rings(t)
			store := &swapper{Memory: tokenstore.NewMemory(), swap: c.swap}
			want := fill(t, store.Memory, before, 3)
			done, err := tokenstore.Reencrypt(t.Context(), store, both, nil)
			if done != c.want || !errors.Is(err, c.err) {
				t.Errorf("done %+v, want %+v: %v", done, c.want, err)
			}
			keys := after
			if c.err != nil {
				keys = before
			}
			if got := read(t, store.Memory, keys); !maps.Equal(got, want) {
				t.Errorf("%d grants can be read", len(got))
			}
		})
	}
}

// unlisted is a store that can't list.
type unlisted struct{ tokenstore.TokenStore }

// readOnly is a store that lists and refuses to write.
type readOnly struct{ *tokenstore.Memory }

var errReadOnly = errors.New("the store is read-only")

func (readOnly) Swap(context.Context, string, string, tokenstore.Record) error { return errReadOnly }

func TestReencryptSaysWhyItCannot(t *testing.T) {
	t.Parallel()
	before, both, _ := rings(t)
	store := tokenstore.NewMemory()
	fill(t, store, before, 3)
	for name, c := range map[string]struct {
		store tokenstore.TokenStore
		keys  tokenstore.AEAD
		want  error
	}{
		"a store that can't list":        {unlisted{store}, both, errors.ErrUnsupported},
		"a store that refuses to write":  {readOnly{store}, both, errReadOnly},
		"no store":                       {nil, both, nil},
		"no keys":                        {store, (*tokenstore.Keyring)(nil), nil},
		"a keyring without the old keys": {store, mustRing(t), nil},
	} {
		if done, err := tokenstore.Reencrypt(t.Context(), c.store, c.keys, nil); err == nil || c.want != nil && !errors.Is(err, c.want) || done.Resealed != 0 {
			t.Errorf("%s: %+v, %v", name, done, err)
		}
	}
	if got := read(t, store, before); len(got) != 3 {
		t.Errorf("%d grants are left", len(got))
	}
}

func mustRing(t *testing.T) *tokenstore.Keyring {
	t.Helper()
	_, _, ring := rings(t)
	return ring
}

// foreign is an AEAD that is no Keyring.
type foreign struct{ tokenstore.AEAD }

func TestReencryptWritesAllWhereItCannotTellKeysApart(t *testing.T) {
	t.Parallel()
	before, both, after := rings(t)
	store := tokenstore.NewMemory()
	want := fill(t, store, before, 4)
	for range 2 {
		if done, err := tokenstore.Reencrypt(t.Context(), store, foreign{both}, nil); err != nil || done.Resealed != 4 {
			t.Errorf("done %+v, %v", done, err)
		}
	}
	if got := read(t, store, after); !maps.Equal(got, want) {
		t.Errorf("the new key alone reads %d grants", len(got))
	}
}

// To retire a key: add the new one everywhere as an older key, then make it the primary everywhere, then seal everything
// anew, then drop the old one.
func ExampleReencrypt() {
	ctx := context.Background()
	store := tokenstore.NewMemory()
	oldKey, newKey := tokenstore.GenerateKey(), tokenstore.GenerateKey()
	ring := func(text string) *tokenstore.Keyring {
		keys, err := tokenstore.ParseKeyring(text)
		if err != nil {
			log.Fatal(err)
		}
		return keys
	}
	put := func(keys *tokenstore.Keyring, userID string) {
		grants, err := tokenstore.NewGrants(store, keys)
		if err != nil {
			log.Fatal(err)
		}
		if err := grants.Put(ctx, &tokenstore.Grant{UserID: userID}); err != nil {
			log.Fatal(err)
		}
	}
	put(ring(oldKey), "1")
	put(ring(oldKey), "2")
	put(ring(newKey+" "+oldKey), "3") // the new key is the primary: users go on

	done, err := tokenstore.Reencrypt(ctx, store, ring(newKey+" "+oldKey), nil)
	fmt.Printf("%+v %v\n", done, err)
	done, err = tokenstore.Reencrypt(ctx, store, ring(newKey), nil) // the old key is gone, and nobody misses it
	fmt.Printf("%+v %v\n", done, err)
	// Output:
	// {Read:3 Resealed:2 Unreadable:0} <nil>
	// {Read:3 Resealed:0 Unreadable:0} <nil>
}
