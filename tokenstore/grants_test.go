package tokenstore_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
)

func newGrants(t testing.TB, store tokenstore.TokenStore) *tokenstore.Grants {
	t.Helper()
	grants, err := tokenstore.NewGrants(store, testRing(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	return grants
}

func mustPut(t testing.TB, grants *tokenstore.Grants, grant *tokenstore.Grant) {
	t.Helper()
	if err := grants.Put(t.Context(), grant); err != nil {
		t.Fatal(err)
	}
}

func mustGet(t testing.TB, grants *tokenstore.Grants, userID string) *tokenstore.Grant {
	t.Helper()
	grant, err := grants.Get(t.Context(), userID)
	if err != nil {
		t.Fatal(err)
	}
	return grant
}

// records returns all that store holds, by key.
func records(t testing.TB, store tokenstore.TokenStore) map[string]tokenstore.Record {
	t.Helper()
	all := make(map[string]tokenstore.Record)
	for key, err := range tokenstore.List(t.Context(), store, "") {
		if err != nil {
			t.Fatal(err)
		}
		if all[key], err = store.Get(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestNewGrantsRefusesToWorkWithoutAStoreOrKeys(t *testing.T) {
	t.Parallel()
	if g, err := tokenstore.NewGrants(nil, testRing(t, 1)); g != nil || err == nil || !strings.Contains(err.Error(), "NewMemory") {
		t.Errorf("without a store: %v, %v", g, err)
	}
	for name, aead := range map[string]tokenstore.AEAD{"nil": nil, "a nil keyring": (*tokenstore.Keyring)(nil)} {
		var keyErr *tokenstore.KeyError
		if g, err := tokenstore.NewGrants(tokenstore.NewMemory(), aead); g != nil || !errors.As(err, &keyErr) {
			t.Errorf("%s: %v, %v; want *KeyError", name, g, err)
		}
	}
}

func TestGrantsKeepEveryField(t *testing.T) {
	t.Parallel()
	for name, grant := range map[string]*tokenstore.Grant{
		"a full grant":     fullGrant("1122"),
		"a user ID alone":  {UserID: "1122"},
		"an empty lease":   {UserID: "1122", Lease: new(tokenstore.Lease)},
		"markup in a text": {UserID: "1122", LastError: "<html>&\u2028\x00\"\\"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			grants := newGrants(t, tokenstore.NewMemory())
			mustPut(t, grants, grant)
			got := mustGet(t, grants, "1122")
			if !reflect.DeepEqual(got, grant) {
				t.Errorf("stored %+v\nread   %+v", grant, got)
			}
			if got.Version() == "" || got.Version() != grant.Version() {
				t.Errorf("read version %q, written %q", got.Version(), grant.Version())
			}
		})
	}
}

func TestGrantsOfOddUserIDsAreKeptApart(t *testing.T) {
	t.Parallel()
	grants := newGrants(t, tokenstore.NewMemory())
	ids := []string{
		"1", "11", " 1", "1 ", "a", "A", "a/b", "a//b", "a%2Fb", "../a", "..", ".", "/", "%", "_", "*", "grant/a", "ns:a/", "a\x00b", "\x00",
		"a\nb", "é", "e\u0301", "用户", "👩‍👩‍👧", "\ufffd", "\\", `"`, "<script>", strings.Repeat("x", 1000),
	}
	for _, id := range ids {
		mustPut(t, grants, fullGrant(id))
	}
	for _, id := range ids {
		if got := mustGet(t, grants, id); got.UserID != id {
			t.Errorf("user %q has the grant of %q", id, got.UserID)
		}
	}
	var listed []string
	for grant, err := range grants.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, grant.UserID)
	}
	slices.Sort(listed)
	slices.Sort(ids)
	if !slices.Equal(listed, ids) {
		t.Errorf("All yields %q", listed)
	}
}

func TestWhatPutAcceptsGetReturns(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]string{
		"no user ID":                       "",
		"a user ID that is not UTF-8":      "a\xff",
		"a user ID with half a surrogate":  "\xed\xa0\x80",
		"a user ID longer than a key":      strings.Repeat("x", tokenstore.MaxKeyBytes),
		"the longest user ID for the key":  strings.Repeat("x", tokenstore.MaxKeyBytes-len("grant/")),
		"a user ID that only looks broken": "a\ufffd",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := tokenstore.NewMemory()
			grants := newGrants(t, store)
			grant := fullGrant(id)
			if err := grants.Put(t.Context(), grant); err != nil {
				if errors.Is(err, tokenstore.ErrConflict) || len(records(t, store)) != 0 || grant.Version() != "" {
					t.Errorf("a refused grant left something behind: %v", err)
				}
				return
			}
			if got, err := grants.Get(t.Context(), id); err != nil || got.UserID != id {
				t.Errorf("what Put took, Get can't read: %v, %v", got, err)
			}
		})
	}
	if err := newGrants(t, tokenstore.NewMemory()).Put(t.Context(), new(tokenstore.Grant)); err == nil ||
		!strings.Contains(err.Error(), "UserID") {
		t.Errorf("a grant of nobody: %v", err)
	}
}

func TestGetOfAnUnknownUserNamesThem(t *testing.T) {
	t.Parallel()
	grants := newGrants(t, tokenstore.NewMemory())
	mustPut(t, grants, fullGrant("1122"))
	for _, id := range []string{"3344", "", "112", "11223", "1122/"} {
		grant, err := grants.Get(t.Context(), id)
		if grant != nil || !errors.Is(err, tokenstore.ErrNotFound) || !strings.Contains(err.Error(), strconv.Quote(id)) {
			t.Errorf("Get(%q) = %v, %v", id, grant, err)
		}
	}
}

func TestPutIsCompareAndSwap(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		// between happens after the loser was read and before it is written.
		between func(ctx context.Context, grants *tokenstore.Grants, current *tokenstore.Grant) error
		fresh   bool   // the loser is a grant that never was stored
		want    string // the access token that is there in the end; "" for no grant
	}{
		"a stale copy does not overwrite a newer grant": {
			between: func(ctx context.Context, grants *tokenstore.Grants, current *tokenstore.Grant) error {
				current.AccessToken = "newer"
				return grants.Put(ctx, current)
			},
			want: "newer",
		},
		"a stale copy does not bring a deleted grant back": {
			between: func(ctx context.Context, grants *tokenstore.Grants, _ *tokenstore.Grant) error {
				return grants.Delete(ctx, "1122")
			},
		},
		"a stale copy does not overwrite the consent after a deletion": {
			between: func(ctx context.Context, grants *tokenstore.Grants, _ *tokenstore.Grant) error {
				return errors.Join(grants.Delete(ctx, "1122"),
					grants.Put(ctx, &tokenstore.Grant{UserID: "1122", AccessToken: "new consent"}))
			},
			want: "new consent",
		},
		"a stale copy does not overwrite the same content written again": {
			between: func(ctx context.Context, grants *tokenstore.Grants, current *tokenstore.Grant) error {
				return grants.Put(ctx, current)
			},
			want: accessToken,
		},
		"a new grant does not overwrite a stored one": {
			between: func(context.Context, *tokenstore.Grants, *tokenstore.Grant) error { return nil },
			fresh:   true,
			want:    accessToken,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			grants := newGrants(t, tokenstore.NewMemory())
			mustPut(t, grants, fullGrant("1122"))
			loser, current := mustGet(t, grants, "1122"), mustGet(t, grants, "1122")
			if err := c.between(t.Context(), grants, current); err != nil {
				t.Fatal(err)
			}
			if c.fresh {
				loser = fullGrant("1122")
			}
			loser.AccessToken = "stale"
			before := loser.Version()
			for range 2 { // failing once must not make the second try succeed
				if err := grants.Put(t.Context(), loser); !errors.Is(err, tokenstore.ErrConflict) {
					t.Fatalf("Put = %v; want ErrConflict", err)
				}
			}
			if loser.Version() != before {
				t.Error("a refused grant changed its version")
			}
			got, err := grants.Get(t.Context(), "1122")
			switch {
			case c.want == "" && !errors.Is(err, tokenstore.ErrNotFound):
				t.Errorf("Get = %v, %v; want ErrNotFound", got, err)
			case c.want != "" && (err != nil || got.AccessToken != c.want):
				t.Errorf("%q is stored, %v; want %q", got.AccessToken, err, c.want)
			}
		})
	}
}

func TestPutContinuesOnItsOwnVersion(t *testing.T) {
	t.Parallel()
	grants := newGrants(t, tokenstore.NewMemory())
	grant := fullGrant("1122")
	seen := make(map[string]bool)
	for i := range 20 {
		grant.AccessToken = fmt.Sprint("token ", i)
		mustPut(t, grants, grant)
		seen[grant.Version()] = true
		if got := mustGet(t, grants, "1122"); got.AccessToken != grant.AccessToken || got.Version() != grant.Version() {
			t.Fatalf("after Put %d: %q at version %s", i, got.AccessToken, got.Version())
		}
	}
	if len(seen) != 20 {
		t.Errorf("20 writes had %d versions", len(seen))
	}
}

func TestNoUpdateIsLost(t *testing.T) {
	t.Parallel()
	grants := newGrants(t, tokenstore.NewMemory())
	mustPut(t, grants, &tokenstore.Grant{UserID: "1122", LastError: "0"})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for done := 0; done < 25; {
				grant, err := grants.Get(t.Context(), "1122")
				if err != nil {
					t.Error(err)
					return
				}
				n, _ := strconv.Atoi(grant.LastError)
				grant.LastError = strconv.Itoa(n + 1)
				if err = grants.Put(t.Context(), grant); err == nil {
					done++
				} else if !errors.Is(err, tokenstore.ErrConflict) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got := mustGet(t, grants, "1122").LastError; got != "200" {
		t.Errorf("200 increments made %s", got)
	}
}
