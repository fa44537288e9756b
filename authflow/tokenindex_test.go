package authflow_test

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

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
		if strings.Contains(string(rec.Data), adaID) {
			t.Errorf("%q shows whose the token is", rec.Data)
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
	for name, heal := range map[string]func(*testing.T, *authflow.Flow){
		"by ReindexTokens": func(t *testing.T, flow *authflow.Flow) {
			t.Helper()
			if err := flow.ReindexTokens(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
		"by the next refresh": func(t *testing.T, flow *authflow.Flow) {
			t.Helper()
			creds := credentials(t, flow)
			if _, err := creds.Refresh(t.Context(), token(t, creds)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run("healed "+name, func(t *testing.T) {
			// Each has an index of its own, under its session key.
			healed := x.flow(t, indexed, func(cfg *authflow.Config) { cfg.SessionKey = []byte(strings.Repeat(name, 9)) })
			if _, err := healed.TokenOwner(t.Context(), hint); !errors.Is(err, tokenstore.ErrNotFound) {
				t.Errorf("before: %v", err)
			}
			heal(t, healed)
			for _, h := range []authflow.TokenHint{hint, {DoubleSHA512: doubleHash(x.stored(t).RefreshToken)}} {
				if userID, err := healed.TokenOwner(t.Context(), h); err != nil || userID != adaID {
					t.Errorf("%+v is found to be %q's, %v", h, userID, err)
				}
			}
		})
	}
}

func TestARefreshOnlyReadsAnIndexThatHasTheToken(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	x.connect(t, x.flow(t)) // without an index
	index := &counted{TokenStore: x.store}
	creds := credentials(t, x.flow(t, indexed, func(cfg *authflow.Config) { cfg.Store = index }))
	for range 3 {
		if _, err := creds.Refresh(t.Context(), token(t, creds)); err != nil {
			t.Fatal(err)
		}
	}
	if index.written != 2 || index.read != 5 { // the first finds nothing, and reads what it is to change
		t.Errorf("three refreshes of one token read %d entries and wrote %d", index.read, index.written)
	}
}

// counted is a store that counts what is read and written of the index, for one who asks at a time.
type counted struct {
	tokenstore.TokenStore
	read, written int
}

func (s *counted) Unwrap() tokenstore.TokenStore { return s.TokenStore }

func (s *counted) Swap(ctx context.Context, key, old string, next tokenstore.Record) error {
	if strings.Contains(key, "token%20index") {
		s.written++
	}
	return s.TokenStore.Swap(ctx, key, old, next)
}

func (s *counted) Get(ctx context.Context, key string) (tokenstore.Record, error) {
	if strings.Contains(key, "token%20index") {
		s.read++
	}
	return s.TokenStore.Get(ctx, key)
}

func doubleHash(token string) string {
	once := sha512.Sum512([]byte(token))
	twice := sha512.Sum512(once[:])
	return base64.StdEncoding.EncodeToString(twice[:])
}

func TestAHashNamesATokenInAnyAlphabetOfBase64(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t, indexed)
	x.connect(t, flow)
	// A token whose hash tells the alphabets apart.
	refresh := "1//0-a-token-"
	for !strings.Contains(doubleHash(refresh), "+") || !strings.Contains(doubleHash(refresh), "/") {
		refresh += "x"
	}
	x.change(t, func(g *tokenstore.Grant) { g.RefreshToken = refresh })
	if err := flow.ReindexTokens(t.Context()); err != nil {
		t.Fatal(err)
	}
	sum, err := base64.StdEncoding.DecodeString(doubleHash(refresh))
	if err != nil {
		t.Fatal(err)
	}
	for _, alphabet := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		hint := authflow.TokenHint{DoubleSHA512: alphabet.EncodeToString(sum)}
		if userID, err := flow.TokenOwner(t.Context(), hint); err != nil || userID != adaID {
			t.Errorf("%s: %q, %v", hint.DoubleSHA512, userID, err)
		}
		hint.DoubleSHA512 = alphabet.EncodeToString(append([]byte{sum[0] ^ 1}, sum[1:]...))
		if _, err := flow.TokenOwner(t.Context(), hint); !errors.Is(err, tokenstore.ErrNotFound) {
			t.Errorf("another hash: %v", err)
		}
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
	hint := authflow.TokenHint{Prefix: x.stored(t).RefreshToken[:16]}
	keys := x.indexKeys(t)
	for i, key := range keys {
		rec, err := x.store.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		other, err := x.store.Get(t.Context(), keys[1-i])
		if err != nil {
			t.Fatal(err)
		}
		for _, data := range [][]byte{[]byte(`["somebody else"]`), {}, rec.Data[:len(rec.Data)-1], other.Data} {
			next := tokenstore.Record{Version: rec.Version + "x", Data: data}
			if err := x.store.Swap(t.Context(), key, rec.Version, next); err != nil {
				t.Fatal(err)
			}
			rec = next
			if _, err := flow.TokenOwner(t.Context(), hint); err != nil && !errors.Is(err, tokenstore.ErrNotFound) {
				t.Errorf("with %q: %v", data, err)
			}
		}
	}
	if userID, err := flow.MarkTokenRevoked(t.Context(), hint, tokenstore.ReasonSecurity); !errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("MarkTokenRevoked: %q, %v", userID, err)
	}
	if err := flow.ReindexTokens(t.Context()); err != nil {
		t.Fatal(err)
	}
	if userID, err := flow.MarkTokenRevoked(t.Context(), hint, tokenstore.ReasonSecurity); err != nil || userID != adaID {
		t.Errorf("after ReindexTokens: %q, %v", userID, err)
	}
}

// Whatever the index says, it is the stored token that counts.
func TestAnIndexEntryThatIsStaleEndsNobodysGrant(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t, indexed)
	x.connect(t, flow)
	refresh := x.stored(t).RefreshToken
	for name, stale := range map[string]func(*authflow.Flow) *authflow.Flow{
		"of another token": func(flow *authflow.Flow) *authflow.Flow {
			x.change(t, func(g *tokenstore.Grant) { g.RefreshToken = "1//0-another-refresh-token" })
			return flow
		},
		"of an index that is off": func(*authflow.Flow) *authflow.Flow {
			x.change(t, func(g *tokenstore.Grant) { g.RefreshToken = refresh })
			return x.flow(t)
		},
	} {
		flow := stale(flow)
		for _, hint := range []authflow.TokenHint{{Prefix: refresh[:16]}, {DoubleSHA512: doubleHash(refresh)}} {
			if userID, err := flow.TokenOwner(t.Context(), hint); !errors.Is(err, tokenstore.ErrNotFound) {
				t.Errorf("%s: the owner is %q, %v", name, userID, err)
			}
			if userID, err := flow.MarkTokenRevoked(t.Context(), hint, tokenstore.ReasonSecurity); !errors.Is(err, tokenstore.ErrNotFound) {
				t.Errorf("%s: %q is marked, %v", name, userID, err)
			}
		}
	}
	if x.stored(t).Status.Revoked {
		t.Error("the grant has ended")
	}
}

func TestTheIndexSurvivesARotationOfKeys(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	older, newer := tokenstore.GenerateKey(), tokenstore.GenerateKey()
	both, err := tokenstore.ParseKeyring(newer + " " + older)
	if err != nil {
		t.Fatal(err)
	}
	if x.keys, err = tokenstore.ParseKeyring(older); err != nil {
		t.Fatal(err)
	}
	x.connect(t, x.flow(t, indexed))
	hint := authflow.TokenHint{Prefix: x.stored(t).RefreshToken[:16]}
	if _, err := tokenstore.Reencrypt(t.Context(), x.store, both, nil); err != nil {
		t.Fatal(err)
	}
	flow := x.flow(t, indexed, func(cfg *authflow.Config) {
		if cfg.Keys, err = tokenstore.ParseKeyring(newer); err != nil {
			t.Fatal(err)
		}
	})
	if userID, err := flow.TokenOwner(t.Context(), hint); err != nil || userID != adaID {
		t.Errorf("under the new key alone: %q, %v", userID, err)
	}
}

func TestAnEventEndsNoConsentThatIsNewer(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		after time.Duration // the consent
		ends  bool
	}{
		"a minute later":            {time.Minute, true},
		"within what clocks differ": {-4 * time.Second, true},
		"earlier":                   {-6 * time.Second, false},
		"a day earlier":             {-24 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			flow := x.flow(t, func(cfg *authflow.Config) { cfg.Now = func() time.Time { return now } })
			x.connect(t, flow)
			for range 2 {
				ended, err := flow.MarkRevokedBefore(t.Context(), adaID, tokenstore.ReasonSecurity, now.Add(c.after))
				if err != nil || ended != c.ends {
					t.Errorf("reports %t, %v", ended, err)
				}
			}
			if _, err := flow.GetStoredCredentials(t.Context(), adaID); (err != nil) != c.ends {
				t.Errorf("the grant: %v", err)
			}
			_, err := flow.MarkRevokedBefore(t.Context(), "nobody", tokenstore.ReasonSecurity, now)
			if !errors.Is(err, tokenstore.ErrNotFound) {
				t.Errorf("nobody's grant: %v", err)
			}
		})
	}
}
