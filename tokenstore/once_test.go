package tokenstore_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

func newOnce(t testing.TB, store tokenstore.TokenStore) *tokenstore.Once {
	t.Helper()
	return onceAt(t, store, testRing(t, 1), nil)
}

func onceAt(t testing.TB, store tokenstore.TokenStore, aead tokenstore.AEAD, now func() time.Time) *tokenstore.Once {
	t.Helper()
	once, err := tokenstore.NewOnce(store, aead, now)
	if err != nil {
		t.Fatal(err)
	}
	return once
}

// claimed claims id and returns whether it was the first to.
func claimed(t testing.TB, once *tokenstore.Once, id string, until time.Time) bool {
	t.Helper()
	mark, err := once.Claim(t.Context(), id, until)
	if err != nil {
		t.Fatal(err)
	}
	return mark == nil
}

func soon() time.Time { return time.Now().Add(10 * time.Minute) }

func TestNewOnceRefusesToWorkWithoutAStoreOrKeys(t *testing.T) {
	t.Parallel()
	if once, err := tokenstore.NewOnce(nil, testRing(t, 1), nil); once != nil || err == nil {
		t.Errorf("without a store: %v, %v", once, err)
	}
	for name, aead := range map[string]tokenstore.AEAD{"nil": nil, "an empty keyring": new(tokenstore.Keyring)} {
		once, err := tokenstore.NewOnce(tokenstore.NewMemory(), aead, nil)
		if _, ok := errors.AsType[*tokenstore.KeyError](err); once != nil || !ok {
			t.Errorf("with %s: %v, %v", name, once, err)
		}
	}
}

func TestTheFirstClaimWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := tokenstore.NewMemory()
		here, there := newOnce(t, store), newOnce(t, store)
		begin, until := time.Now(), soon()
		if mark, err := here.Claim(t.Context(), "a state", until); mark != nil || err != nil {
			t.Fatalf("the first claim: %v, %v", mark, err)
		}
		<-time.After(time.Minute)
		for name, once := range map[string]*tokenstore.Once{"here": here, "there": there} {
			for range 2 {
				mark, err := once.Claim(t.Context(), "a state", soon().Add(time.Hour))
				if err != nil || mark == nil || !mark.At.Equal(begin) || !mark.Until.Equal(until) || mark.Note != nil {
					t.Errorf("a later claim %s: %+v, %v", name, mark, err)
				}
			}
			mark, err := once.Look(t.Context(), "a state")
			if err != nil || !mark.At.Equal(begin) || !mark.Until.Equal(until) || mark.Note != nil {
				t.Errorf("Look %s: %+v, %v", name, mark, err)
			}
		}
		for _, other := range []string{"a stat", "a state ", "A state", "", "\x00", strings.Repeat("x", 1<<20), "\xff"} {
			if !claimed(t, there, other, until) {
				t.Errorf("%.20q is taken for claimed", other)
			}
			if claimed(t, here, other, until) {
				t.Errorf("%.20q is claimed twice", other)
			}
		}
	})
}

func TestSettleLeavesANoteForTheOthers(t *testing.T) {
	t.Parallel()
	store := tokenstore.NewMemory()
	here, there := newOnce(t, store), newOnce(t, store)
	claimed(t, here, "a state", soon())
	for _, note := range []string{"connected", "connected after all", ""} {
		if err := there.Settle(t.Context(), "a state", []byte(note)); err != nil {
			t.Fatal(err)
		}
		mark, err := here.Look(t.Context(), "a state")
		if err != nil || string(mark.Note) != note {
			t.Errorf("Look: %+v, %v; want %q", mark, err, note)
		}
		if mark, err = here.Claim(t.Context(), "a state", soon()); err != nil || mark == nil || string(mark.Note) != note {
			t.Errorf("Claim: %+v, %v; want %q", mark, err, note)
		}
	}
}

func TestWhatIsNotClaimedCannotBeSettledOrSeen(t *testing.T) {
	t.Parallel()
	store := tokenstore.NewMemory()
	once := newOnce(t, store)
	for _, name := range []string{"in an empty store", "beside other marks"} {
		if err := once.Settle(t.Context(), "unknown", []byte("note")); !errors.Is(err, tokenstore.ErrNotFound) {
			t.Errorf("%s, Settle: %v", name, err)
		}
		if mark, err := once.Look(t.Context(), "unknown"); mark != nil || !errors.Is(err, tokenstore.ErrNotFound) {
			t.Errorf("%s, Look: %v, %v", name, mark, err)
		}
		for _, id := range oneRecords(20) {
			claimed(t, once, id, soon())
		}
	}
	if !claimed(t, once, "unknown", soon()) {
		t.Error("asking has claimed it")
	}
}

func TestOneOf64ClaimersWins(t *testing.T) {
	t.Parallel()
	for name, ids := range map[string][]string{"of one ID": {"a"}, "of each of 20 IDs of one record": oneRecords(20)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := tokenstore.NewMemory()
				var mu sync.Mutex
				wins, losses := make(map[string]int), make(map[string]int)
				var claimers sync.WaitGroup
				for range 64 {
					once := newOnce(t, store)
					claimers.Go(func() {
						for _, id := range ids {
							mark, err := once.Claim(t.Context(), id, soon())
							mu.Lock()
							switch {
							case err != nil:
								t.Errorf("%s: %v", id, err)
							case mark == nil:
								wins[id]++
							default:
								losses[id]++
							}
							mu.Unlock()
						}
					})
				}
				claimers.Wait()
				for _, id := range ids {
					if wins[id] != 1 || losses[id] != 63 {
						t.Errorf("%s: %d won, and %d lost", id, wins[id], losses[id])
					}
				}
			})
		})
	}
}

// A store may carry a write out and lose its answer, or answer with an error and not have carried it out.
func TestALostAnswerLetsNobodyWinTwice(t *testing.T) {
	t.Parallel()
	errLost := errors.New("connection lost")
	lost := func(w write, _ func() error) error { return errors.Join(errLost, w.commit()) }
	for name, c := range map[string]struct {
		swap   func(w write, other func() error) error
		unread bool // the store can't be read afterwards
		err    error
		first  bool // what the claim says, where there is no error
		again  bool // whether the next claim is the first
	}{
		"carried out, answer lost":       {lost, false, nil, true, false},
		"carried out, and nothing heard": {lost, true, errLost, false, false},
		"not carried out":                {func(write, func() error) error { return errLost }, false, errLost, false, true},
		"carried out, tried once more": {
			func(w write, _ func() error) error { return errors.Join(w.commit(), w.commit()) }, false, nil, true, false,
		},
		"carried out, tried once more, and others went on": {
			func(w write, other func() error) error { return errors.Join(w.commit(), other(), w.commit()) }, false, nil, true, false,
		},
		"carried out, answer lost, and others went on": {
			func(w write, other func() error) error { return errors.Join(errLost, w.commit(), other()) }, false, errLost, false, false,
		},
		"too late, for others came first": {
			func(w write, other func() error) error { return errors.Join(other(), w.commit()) }, false, nil, true, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &swapper{Memory: tokenstore.NewMemory()}
			others := newOnce(t, store.Memory)
			beside := oneRecords(1)[0]
			store.swap = func(w write) error {
				store.swap = func(w write) error { return w.commit() }
				err := c.swap(w, func() error { _, err := others.Claim(t.Context(), beside, soon()); return err })
				if c.unread {
					store.down = errLost
				}
				return err
			}
			mark, err := newOnce(t, store).Claim(t.Context(), "unknown", soon())
			if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) || (mark == nil) != (c.first || err != nil) {
				t.Errorf("Claim: %+v, %v", mark, err)
			}
			if got := claimed(t, others, "unknown", soon()); got != c.again {
				t.Errorf("the next claim is the first: %v", got)
			}
		})
	}
}

func TestAStoreThatIsNotWellFailsAClaim(t *testing.T) {
	t.Parallel()
	errDown := errors.New("the store is down")
	for name, c := range map[string]struct {
		store tokenstore.TokenStore
		want  error
	}{
		"since it can't be read":    {&swapper{Memory: tokenstore.NewMemory(), down: errDown}, errDown},
		"since it can't be written": {&swapper{Memory: tokenstore.NewMemory(), swap: func(write) error { return errDown }}, errDown},
		"since it never agrees": {
			&swapper{Memory: tokenstore.NewMemory(), swap: func(write) error { return tokenstore.ErrConflict }}, tokenstore.ErrConflict,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				once := newOnce(t, c.store)
				if mark, err := once.Claim(t.Context(), "a state", soon()); mark != nil || !errors.Is(err, c.want) {
					t.Errorf("Claim: %v, %v", mark, err)
				}
				if err := once.Settle(t.Context(), "a state", nil); err == nil {
					t.Error("Settle says nothing")
				}
				if mark, err := once.Look(t.Context(), "a state"); mark != nil || err == nil {
					t.Errorf("Look: %v, %v", mark, err)
				}
			})
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newOnce(t, tokenstore.NewMemory()).Claim(ctx, "a state", soon()); !errors.Is(err, context.Canceled) {
		t.Errorf("Claim of somebody who went away: %v", err)
	}
}

func TestARecordThatCannotBeOpenedIsForgotten(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, rec *tokenstore.Record){
		"since a bit is another":   func(_ *testing.T, rec *tokenstore.Record) { rec.Data[len(rec.Data)/2] ^= 1 },
		"since its end is gone":    func(_ *testing.T, rec *tokenstore.Record) { rec.Data = rec.Data[:len(rec.Data)-1] },
		"since all of it is gone":  func(_ *testing.T, rec *tokenstore.Record) { rec.Data = nil },
		"since it is another's":    func(_ *testing.T, rec *tokenstore.Record) { rec.Data = []byte(`[{"id":"x"}]`) },
		"since its version is new": func(_ *testing.T, rec *tokenstore.Record) { rec.Version += "x" },
		"since its key is gone": func(t *testing.T, rec *tokenstore.Record) {
			t.Helper()
			rec.Data = mustEncrypt(t, testRing(t, 2), "[]", "whatever")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := tokenstore.NewMemory()
			once := newOnce(t, store)
			claimed(t, once, "a state", soon())
			for key, rec := range records(t, store) {
				old := rec.Version
				rec.Data = bytes.Clone(rec.Data)
				spoil(t, &rec)
				if err := store.Swap(t.Context(), key, old, rec); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := once.Look(t.Context(), "a state"); !errors.Is(err, tokenstore.ErrNotFound) {
				t.Errorf("Look: %v", err)
			}
			if !claimed(t, once, "a state", soon()) || claimed(t, once, "a state", soon()) {
				t.Error("it can't be claimed anew, once")
			}
		})
	}
}

func TestKeysOfAOnceAreRotated(t *testing.T) {
	t.Parallel()
	store := tokenstore.NewMemory()
	claimed(t, onceAt(t, store, testRing(t, 1), nil), "a state", soon())
	if claimed(t, onceAt(t, store, testRing(t, 2, 1), nil), "a state", soon()) {
		t.Error("what an older key sealed is forgotten")
	}
	if !claimed(t, onceAt(t, store, testRing(t, 2), nil), "a state", soon()) {
		t.Error("what a dropped key sealed stands in the way")
	}
}

func TestNothingOfAOnceShowsInTheStore(t *testing.T) {
	t.Parallel()
	store := tokenstore.NewMemory()
	once := newOnce(t, store)
	secrets := []string{"a state that nobody may see", "a note that nobody may see"}
	claimed(t, once, secrets[0], soon())
	if err := once.Settle(t.Context(), secrets[0], []byte(secrets[1])); err != nil {
		t.Fatal(err)
	}
	for key, rec := range records(t, store) {
		if len(key) != len("once/00") || !strings.HasPrefix(key, "once/") {
			t.Errorf("the key %q shows more than a byte of a hash", key)
		}
		for _, secret := range append(secrets, `"id"`, time.Now().Format("2006-01-02T15")) {
			for _, text := range []string{key, rec.Version, string(rec.Data)} {
				if strings.Contains(text, secret) {
					t.Errorf("the store shows %q", secret)
				}
			}
		}
	}
}

func TestNamespacesKeepTheirMarksApart(t *testing.T) {
	t.Parallel()
	store := tokenstore.NewMemory()
	spaces := slices.Collect(func(yield func(*tokenstore.Once) bool) {
		for _, s := range []tokenstore.TokenStore{
			store, tokenstore.Namespace(store, "acme"), tokenstore.Namespace(store, "emca"),
			tokenstore.Namespace(tokenstore.Namespace(store, "acme"), "sign-ins"),
		} {
			if !yield(newOnce(t, s)) {
				return
			}
		}
	})
	for i, once := range spaces {
		if !claimed(t, once, "a state", soon()) || claimed(t, once, "a state", soon()) {
			t.Errorf("space %d takes another's marks for its own", i)
		}
	}
	all := records(t, store)
	if len(all) != len(spaces) {
		t.Fatalf("%d records are stored", len(all))
	}
	// A record of another namespace, put in the place of one, is not read there.
	var rec tokenstore.Record
	for key, r := range all {
		if strings.HasPrefix(key, "ns:emca/") {
			rec = r
		}
	}
	for key, r := range all {
		if strings.HasPrefix(key, "ns:acme/once") {
			if err := store.Swap(t.Context(), key, r.Version, rec); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := spaces[1].Look(t.Context(), "a state"); !errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("a record that was moved is read: %v", err)
	}
}
