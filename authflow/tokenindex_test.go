package authflow_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

func indexed(cfg *authflow.Config) { cfg.IndexRefreshTokens = true }

// indexKeys are the keys of the index, whatever else is stored.
func (x *fixture) indexKeys(t *testing.T) (keys []string) {
	t.Helper()
	for key, err := range tokenstore.List(t.Context(), x.store, "ns:mailgrant%20token%20index/") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

func TestTheIndexOfRefreshTokensFollowsTheGrant(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{RotateRefreshTokens: true})
	flow := x.flow(t, indexed)
	creds := x.connect(t, flow)
	check := func(after string, want int) {
		t.Helper()
		if got := len(x.indexKeys(t)); got != want {
			t.Errorf("after %s the index has %d entries, want %d", after, got, want)
		}
	}
	check("a consent", 2)
	if _, err := creds.Refresh(t.Context(), token(t, creds)); err != nil {
		t.Fatal(err)
	}
	check("a rotation", 2)
	x.connect(t, flow)
	check("another consent", 2)
	if err := flow.MarkRevoked(t.Context(), adaID, tokenstore.ReasonUser); err != nil {
		t.Fatal(err)
	}
	check("the grant's end", 0)
	x.connect(t, flow)
	check("a consent after that", 2)
	if err := flow.Forget(t.Context(), adaID); err != nil {
		t.Fatal(err)
	}
	check("Forget", 0)
}

func TestTheIndexShowsNothingOfATokenToWhoReadsTheStore(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	x.connect(t, x.flow(t, indexed))
	refresh := x.stored(t).RefreshToken
	keys := x.indexKeys(t)
	if len(keys) != 2 {
		t.Fatalf("the index has %d entries", len(keys))
	}
	for _, key := range keys {
		rec, err := x.store.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+8 <= len(refresh); i++ {
			if part := refresh[i : i+8]; strings.Contains(key+string(rec.Data), part) {
				t.Errorf("%q %q shows %q of the token", key, rec.Data, part)
			}
		}
	}
	// Under another session key the same token has another hash.
	other := x.flow(t, indexed, func(cfg *authflow.Config) { cfg.SessionKey = []byte(strings.Repeat("k", 32)) })
	if err := other.ReindexTokens(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(x.indexKeys(t)); n != 4 {
		t.Errorf("the index has %d entries under two keys", n)
	}
}

func TestAnIndexThatCannotBeWrittenStopsNobody(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	var d diary
	flow := x.flow(t, indexed, func(cfg *authflow.Config) {
		cfg.Store, cfg.Observer = &noIndex{x.store}, d.observe
	})
	x.connect(t, flow)
	if kinds := strings.Join(d.kinds(), " "); kinds != "store_trouble consented" {
		t.Errorf("observed %s", kinds)
	}
	hint := authflow.TokenHint{Prefix: x.stored(t).RefreshToken[:16]}
	if _, err := flow.MarkTokenRevoked(t.Context(), hint, tokenstore.ReasonSecurity); !errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("MarkTokenRevoked: %v", err)
	}
	healed := x.flow(t, indexed)
	if err := healed.ReindexTokens(t.Context()); err != nil {
		t.Fatal(err)
	}
	if userID, err := healed.MarkTokenRevoked(t.Context(), hint, tokenstore.ReasonSecurity); err != nil || userID != adaID {
		t.Errorf("MarkTokenRevoked: %q, %v", userID, err)
	}
}

// noIndex is a store that refuses the index.
type noIndex struct{ tokenstore.TokenStore }

func (s *noIndex) Unwrap() tokenstore.TokenStore { return s.TokenStore }

func (s *noIndex) Swap(ctx context.Context, key, old string, next tokenstore.Record) error {
	if strings.Contains(key, "token%20index") {
		return errStoreDown
	}
	return s.TokenStore.Swap(ctx, key, old, next)
}

func TestAnIndexEntryThatWasTamperedWithEndsNobodysGrant(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t, indexed)
	x.connect(t, flow)
	for _, key := range x.indexKeys(t) {
		rec, err := x.store.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		for _, data := range []string{`["somebody else","` + adaID + `"]`, `"`, `["somebody else"]`} {
			next := tokenstore.Record{Version: rec.Version + "x", Data: []byte(data)}
			if err := x.store.Swap(t.Context(), key, rec.Version, next); err != nil {
				t.Fatal(err)
			}
			rec = next
		}
	}
	hint := authflow.TokenHint{Prefix: x.stored(t).RefreshToken[:16]}
	if userID, err := flow.MarkTokenRevoked(t.Context(), hint, tokenstore.ReasonSecurity); !errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("MarkTokenRevoked: %q, %v", userID, err)
	}
}
