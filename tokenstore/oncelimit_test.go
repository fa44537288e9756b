package tokenstore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// How much a Once remembers, and for how long.

// oneRecords returns n IDs that are kept in one record, as the hash of the ID says.
func oneRecords(n int) []string {
	want := sha256.Sum256([]byte("unknown"))
	var ids []string
	for i := 0; len(ids) < n; i++ {
		id := strconv.Itoa(i)
		if sum := sha256.Sum256([]byte(id)); sum[0] == want[0] {
			ids = append(ids, id)
		}
	}
	return ids
}

func TestAMarkIsRememberedAsLongAsClocksMayDiffer(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	until := begin.Add(time.Hour)
	const skew = 10 * time.Minute
	for name, c := range map[string]struct {
		at   time.Time
		want bool // the claim is a first one
	}{
		"a minute later":                         {begin.Add(time.Minute), false},
		"when it ends":                           {until, false},
		"when it ends on a machine that is slow": {until.Add(skew), false},
		"after that":                             {until.Add(skew + 1), true},
		"in the past":                            {begin.Add(-24 * time.Hour), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := tokenstore.NewMemory()
			now := begin
			once := onceAt(t, store, testRing(t, 1), func() time.Time { return now })
			claimed(t, once, "a state", until)
			now = c.at
			_, err := once.Look(t.Context(), "a state")
			if errors.Is(err, tokenstore.ErrNotFound) != c.want {
				t.Errorf("Look: %v", err)
			}
			if got := claimed(t, once, "a state", c.at.Add(time.Hour)); got != c.want {
				t.Errorf("the claim is the first: %v", got)
			}
		})
	}
}

func TestWhatIsPastIsCleanedUp(t *testing.T) {
	t.Parallel()
	store := tokenstore.NewMemory()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	once := onceAt(t, store, testRing(t, 1), func() time.Time { return now })
	hash := sha256.Sum256([]byte("unknown"))
	size := func() int { return len(records(t, store)["once/"+hex.EncodeToString(hash[:1])].Data) }
	claimed(t, once, "unknown", now.Add(time.Minute))
	alone := size()
	for _, id := range oneRecords(100) {
		claimed(t, once, id, now.Add(time.Minute))
	}
	if size() < 50*alone {
		t.Errorf("100 marks take %d bytes, and one %d", size(), alone)
	}
	now = now.Add(time.Hour)
	claimed(t, once, "unknown", now.Add(time.Minute))
	if size() > 2*alone {
		t.Errorf("an hour later one mark takes %d bytes, after %d", size(), alone)
	}
}

// A counting store counts what is asked of it.
type counting struct {
	tokenstore.TokenStore
	gets, swaps, bytes int
}

func (c *counting) Get(ctx context.Context, key string) (tokenstore.Record, error) {
	c.gets++
	return c.TokenStore.Get(ctx, key)
}

func (c *counting) Swap(ctx context.Context, key, old string, next tokenstore.Record) error {
	c.swaps++
	c.bytes = len(next.Data)
	return c.TokenStore.Swap(ctx, key, old, next)
}

// plain seals nothing.
type plain struct{}

func (plain) Encrypt(plaintext, _ []byte) ([]byte, error)  { return plaintext, nil }
func (plain) Decrypt(ciphertext, _ []byte) ([]byte, error) { return ciphertext, nil }

// crowded claims ids, which are of one record, and returns how long that is. Claimed one by one, each a little more than the one
// before, they would take seconds; so this puts together what was claimed in many stores.
func crowded(t *testing.T, store tokenstore.TokenStore, ids []string, until func(int) time.Time) int {
	t.Helper()
	var parts [][]byte
	var key string
	for i := 0; i < len(ids); i += 64 {
		part := tokenstore.NewMemory()
		once := onceAt(t, part, plain{}, nil)
		for j, id := range ids[i:min(i+64, len(ids))] {
			claimed(t, once, id, until(i+j))
		}
		for k, rec := range records(t, part) {
			key = k
			parts = append(parts, bytes.Trim(rec.Data, "[]"))
		}
	}
	all := append(append([]byte("["), bytes.Join(parts, []byte(","))...), ']')
	if err := store.Swap(t.Context(), key, "", tokenstore.Record{Version: "full", Data: all}); err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// A record that is full forgets first what would be forgotten soonest, but never the mark that is made. The cost of a claim does
// not grow with what was claimed before.
func TestAOnceIsBounded(t *testing.T) {
	t.Parallel()
	const most = 1024
	store := &counting{TokenStore: tokenstore.NewMemory()}
	once := onceAt(t, store, plain{}, nil)
	begin := time.Now()
	ids := oneRecords(most + 2)
	until := func(i int) time.Time { return begin.Add(time.Hour + time.Duration(i)*time.Second) }
	full := crowded(t, store, ids[:most], until)
	is := func(id string, want bool) {
		t.Helper()
		if _, err := once.Look(t.Context(), id); errors.Is(err, tokenstore.ErrNotFound) == want {
			t.Errorf("%s is remembered: %v (%v)", id, !want, err)
		}
	}
	for _, id := range []string{ids[0], ids[1], ids[most-1]} {
		is(id, true)
	}

	store.gets, store.swaps = 0, 0
	claimed(t, once, ids[most], begin.Add(24*time.Hour))
	if store.gets != 1 || store.swaps != 1 || store.bytes > full*101/100 || full > 256<<10 {
		t.Errorf("a claim reads %d times and writes %d times, at last %d bytes, after %d", store.gets, store.swaps, store.bytes, full)
	}
	is(ids[0], false)
	is(ids[1], true)
	is(ids[most], true)

	// What ends before all that is remembered, as the sign-in of a slow person does in a flood.
	if !claimed(t, once, ids[most+1], begin.Add(time.Minute)) || claimed(t, once, ids[most+1], begin.Add(time.Minute)) {
		t.Error("a full record forgets the very claim that it was filled with, so that two win")
	}
	is(ids[1], false)
	is(ids[2], true)
	if err := once.Settle(t.Context(), ids[most+1], []byte("note")); err != nil {
		t.Error(err)
	}
	is(ids[2], true)
}

func TestAOnceHas256Records(t *testing.T) {
	t.Parallel()
	store := tokenstore.NewMemory()
	once := newOnce(t, store)
	for i := range 3000 {
		claimed(t, once, "state "+strconv.Itoa(i), soon())
	}
	if n := len(records(t, store)); n > 256 || n < 250 {
		t.Errorf("it has %d records", n)
	}
}
