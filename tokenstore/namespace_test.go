package tokenstore_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/storetest"
)

// wrapper passes everything on, as a store that logs or measures would.
type wrapper struct{ tokenstore.TokenStore }

func (w wrapper) Unwrap() tokenstore.TokenStore { return w.TokenStore }

// opaque hides what the inner store can do besides.
type opaque struct{ tokenstore.TokenStore }

func TestANamespaceIsATokenStore(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func() tokenstore.TokenStore{
		"with a name":                func() tokenstore.TokenStore { return tokenstore.Namespace(tokenstore.NewMemory(), "tenant") },
		"without a name":             func() tokenstore.TokenStore { return tokenstore.Namespace(tokenstore.NewMemory(), "") },
		"of a wrapped store":         func() tokenstore.TokenStore { return tokenstore.Namespace(wrapper{tokenstore.NewMemory()}, "a/b%") },
		"of a store that can't list": func() tokenstore.TokenStore { return tokenstore.Namespace(opaque{tokenstore.NewMemory()}, "tenant") },
		"in a namespace": func() tokenstore.TokenStore {
			return tokenstore.Namespace(tokenstore.Namespace(tokenstore.NewMemory(), "outer"), "inner")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(*testing.T) tokenstore.TokenStore { return open() })
		})
	}
}

// tenants returns namespaces of store whose names were chosen to be mixed up.
func tenants(store tokenstore.TokenStore) map[string]tokenstore.TokenStore {
	all := make(map[string]tokenstore.TokenStore)
	for _, name := range []string{
		"", "a", "b", "A", "a/b", "a/ns:b", "a/", "/a", "/", "a%2Fb", "%2F", "%252F", "%", "..", ".", "ns:", "ns:a", "ns:a/", "grant/", "a ", " a", "a+b", "a b",
		"a%20b", "é", "e\u0301", "用户", "\ufffd", "\xff", "a\x00", "a\x00b", "_", "*",
	} {
		all[fmt.Sprintf("%q", name)] = tokenstore.Namespace(store, name)
	}
	for _, path := range [][]string{{"a", "b"}, {"b", "a"}, {"", ""}, {"", "a"}, {"a", ""}, {"a", "b", ""}, {"a", "a"}, {"a/b", "a"}, {"a", "b/a"}} {
		s := store
		for _, name := range path {
			s = tokenstore.Namespace(s, name)
		}
		all[fmt.Sprintf("%q nested", path)] = s
	}
	return all
}

func TestNamespacesAreKeptApart(t *testing.T) {
	t.Parallel()
	for name, base := range map[string]tokenstore.TokenStore{
		"in a store": tokenstore.NewMemory(), "in a wrapped store": wrapper{tokenstore.NewMemory()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := tenants(base)
			keys := []string{"a", "b", "b/a", "grant/1122", "/", "a%2Fb"}
			for tenant, store := range all {
				for _, key := range keys {
					rec := tokenstore.Record{Version: "v", Data: []byte(tenant + key)}
					if err := store.Swap(t.Context(), key, "", rec); err != nil {
						t.Fatalf("%s: key %q is another namespace's: %v", tenant, key, err)
					}
				}
			}
			for tenant, store := range all {
				for _, key := range keys {
					if rec, err := store.Get(t.Context(), key); err != nil || string(rec.Data) != tenant+key {
						t.Errorf("%s: key %q holds %q, %v", tenant, key, rec.Data, err)
					}
				}
			}
			if got, want := len(records(t, base)), len(all)*len(keys); got != want {
				t.Errorf("the store holds %d records; want %d", got, want)
			}
		})
	}
}

func TestANamespaceListsItsOwnKeys(t *testing.T) {
	t.Parallel()
	base := tokenstore.NewMemory()
	outer := tokenstore.Namespace(base, "tenant")
	keys := []string{"a", "a/b", "a%2Fb", "b", "nst"}
	for _, store := range []tokenstore.TokenStore{
		base, outer, tokenstore.Namespace(base, "tenant2"), tokenstore.Namespace(base, "ten"), tokenstore.Namespace(wrapper{outer}, "inner"),
	} {
		for _, key := range keys {
			if err := store.Swap(t.Context(), key, "", tokenstore.Record{Version: "v"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		store  tokenstore.TokenStore
		prefix string
		want   []string
	}{
		"by a prefix":                     {outer, "a", []string{"a", "a%2Fb", "a/b"}},
		"by a whole key":                  {outer, "b", []string{"b"}},
		"by a prefix that nothing has":    {outer, "A", nil},
		"through wrappers outside":        {wrapper{wrapper{outer}}, "a/", []string{"a/b"}},
		"through wrappers inside":         {tokenstore.Namespace(wrapper{wrapper{base}}, "tenant"), "b", []string{"b"}},
		"all, in a namespace of its own":  {tokenstore.Namespace(outer, "inner"), "", keys},
		"all, in one whose name is short": {tokenstore.Namespace(base, "ten"), "", keys},
		"none, in an empty namespace":     {tokenstore.Namespace(base, "t"), "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for key, err := range tokenstore.List(t.Context(), c.store, c.prefix) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, key)
			}
			slices.Sort(got)
			if !slices.Equal(got, slices.Sorted(slices.Values(c.want))) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	n := 0
	for _, err := range tokenstore.List(t.Context(), outer, "") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			break // a listing that goes on regardless panics
		}
	}
}

func TestListSaysWhichStoreCannotList(t *testing.T) {
	t.Parallel()
	base := opaque{tokenstore.NewMemory()}
	for name, store := range map[string]tokenstore.TokenStore{
		"a plain store":            base,
		"a wrapped one":            wrapper{wrapper{base}},
		"a namespace":              tokenstore.Namespace(base, "a"),
		"a wrapped namespace":      wrapper{tokenstore.Namespace(wrapper{base}, "a")},
		"a namespace in another":   tokenstore.Namespace(tokenstore.Namespace(base, "a"), "b"),
		"no store":                 nil,
		"a wrapper around nothing": wrapper{},
	} {
		var errs []error
		for key, err := range tokenstore.List(t.Context(), store, "") {
			if errs = append(errs, err); key != "" {
				t.Errorf("%s: an error came with the key %q", name, key)
			}
		}
		if len(errs) != 1 || !errors.Is(errs[0], errors.ErrUnsupported) || !strings.Contains(errs[0].Error(), "tokenstore") {
			t.Errorf("%s: List yields %v; want errors.ErrUnsupported once", name, errs)
		}
	}
}

func TestAGrantIsReadableInItsOwnNamespaceOnly(t *testing.T) {
	t.Parallel()
	base := tokenstore.NewMemory()
	all := tenants(base)
	for _, store := range all {
		mustPut(t, newGrants(t, store), fullGrant("1122"))
	}
	sealed := records(t, base)
	keys := slices.Sorted(maps.Keys(sealed))
	for i, key := range keys { // every record moves one place on
		other := sealed[keys[(i+1)%len(keys)]]
		if err := base.Swap(t.Context(), key, sealed[key].Version, other); err != nil {
			t.Fatal(err)
		}
	}
	for tenant, store := range all {
		var unseal *tokenstore.UnsealError
		if grant, err := newGrants(t, store).Get(t.Context(), "1122"); !errors.As(err, &unseal) {
			t.Errorf("%s reads another namespace's grant: %v, %v", tenant, grant, err)
		}
	}
}

func TestWrappersDoNotChangeWhatIsSealed(t *testing.T) {
	t.Parallel()
	base := tokenstore.NewMemory()
	namespaced := tokenstore.Namespace(base, "tenant")
	mustPut(t, newGrants(t, namespaced), fullGrant("1122"))
	for name, store := range map[string]tokenstore.TokenStore{
		"around the namespace": wrapper{namespaced},
		"inside the namespace": tokenstore.Namespace(wrapper{base}, "tenant"),
		"on both sides":        wrapper{wrapper{tokenstore.Namespace(wrapper{base}, "tenant")}},
		"that hide listing":    tokenstore.Namespace(opaque{base}, "tenant"),
	} {
		if grant, err := newGrants(t, store).Get(t.Context(), "1122"); err != nil || grant.RefreshToken != refreshToken {
			t.Errorf("wrappers %s: Get = %v, %v", name, grant, err)
		}
	}
}

func TestANamespaceRefusesWhatNoStoreTakes(t *testing.T) {
	t.Parallel()
	store := tokenstore.Namespace(tokenstore.NewMemory(), "tenant")
	for name, c := range map[string]struct {
		key  string
		next tokenstore.Record
	}{
		"an empty key":         {"", tokenstore.Record{Version: "v"}},
		"a key that is long":   {strings.Repeat("k", tokenstore.MaxKeyBytes+1), tokenstore.Record{Version: "v"}},
		"a version too long":   {"k", tokenstore.Record{Version: strings.Repeat("v", tokenstore.MaxVersionBytes+1)}},
		"data without version": {"k", tokenstore.Record{Data: []byte("data")}},
	} {
		if err := store.Swap(t.Context(), c.key, "", c.next); err == nil || errors.Is(err, tokenstore.ErrConflict) {
			t.Errorf("%s: Swap = %v", name, err)
		}
	}
}
