package tokenstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
)

func TestAllYieldsEveryGrant(t *testing.T) {
	t.Parallel()
	store := tokenstore.NewMemory()
	grants := newGrants(t, store)
	if err := store.Swap(t.Context(), "state/1", "", tokenstore.Record{Version: "v", Data: []byte("not ours")}); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		mustPut(t, grants, fullGrant(fmt.Sprint("user ", i)))
	}
	if err := store.Swap(t.Context(), "grant/broken", "", tokenstore.Record{Version: "v", Data: []byte("broken")}); err != nil {
		t.Fatal(err)
	}
	seen, unreadable := make(map[string]bool), 0
	for grant, err := range grants.All(t.Context()) {
		var unseal *tokenstore.UnsealError
		switch {
		case err == nil:
			seen[grant.UserID] = true
			if _, err := grants.Get(t.Context(), grant.UserID); err != nil {
				t.Error("the store can't be used meanwhile:", err)
			}
		case errors.As(err, &unseal) && unseal.UserID == "broken" && grant == nil:
			unreadable++
		default:
			t.Errorf("All yields %v, %v", grant, err)
		}
	}
	if len(seen) != 50 || unreadable != 1 {
		t.Errorf("All yields %d grants and %d unreadable ones; want 50 and 1", len(seen), unreadable)
	}
	n := 0
	for range 2 {
		for grant, err := range grants.All(t.Context()) {
			if (grant == nil) == (err == nil) {
				t.Errorf("All yields %v, %v", grant, err)
			}
			if n++; n%3 == 0 {
				break // an iteration that goes on regardless panics
			}
		}
	}
	if n != 6 {
		t.Errorf("two iterations that end after three grants yield %d", n)
	}
}

func TestAllPassesOverWhatIsDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	grants := newGrants(t, tokenstore.NewMemory())
	for i := range 10 {
		mustPut(t, grants, fullGrant(fmt.Sprint(i)))
	}
	yielded := 0
	for grant, err := range grants.All(t.Context()) {
		if yielded++; err != nil {
			t.Fatalf("All yields %v, %v", grant, err)
		}
		for i := range 10 {
			if err := grants.Delete(t.Context(), fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if yielded != 1 {
		t.Errorf("All yields %d grants, of which 9 were gone", yielded-1)
	}
}

func TestAllEndsWithTheStoresError(t *testing.T) {
	t.Parallel()
	errDown := errors.New("store is down")
	store := &swapper{Memory: tokenstore.NewMemory(), down: errDown}
	for i := range 5 {
		mustPut(t, newGrants(t, store.Memory), fullGrant(fmt.Sprint(i)))
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx   context.Context
		store tokenstore.TokenStore
		want  error
	}{
		"a store that can't list":     {t.Context(), struct{ tokenstore.TokenStore }{store.Memory}, errors.ErrUnsupported},
		"a store that can't be read":  {t.Context(), store, errDown},
		"a context that is over":      {canceled, store.Memory, context.Canceled},
		"a namespace that can't list": {t.Context(), tokenstore.Namespace(struct{ tokenstore.TokenStore }{store}, "a"), errors.ErrUnsupported},
	} {
		var errs []error
		for grant, err := range newGrants(t, c.store).All(c.ctx) {
			if errs = append(errs, err); grant != nil {
				t.Errorf("%s: All yields %v", name, grant)
			}
		}
		if len(errs) != 1 || !errors.Is(errs[0], c.want) {
			t.Errorf("%s: All yields %v; want %v once", name, errs, c.want)
		}
	}
}
