package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// createMany stores n records, by many writers at once, and returns them by their keys.
func (p probe) createMany(n int) map[string]tokenstore.Record {
	p.Helper()
	records := make(map[string]tokenstore.Record, n)
	for i := range n {
		records[fmt.Sprintf("user/%d", i)] = newRecord("data")
	}
	keys := make(chan string)
	go func() {
		defer close(keys)
		for key := range records {
			keys <- key
		}
	}()
	simultaneously(4*writers, func(int) {
		for key := range keys {
			if err := p.store.Swap(p.Context(), key, "", records[key]); err != nil {
				p.Errorf("Swap(%q) among others: %v, want no error", key, err)
			}
		}
	})
	return records
}

func listEvery(p probe) {
	records := p.createMany(10_000)
	listed := p.lists("")
	var missing []string
	for key := range records {
		if listed[key] == 0 {
			missing = append(missing, key)
		}
		delete(listed, key)
	}
	if len(missing) != 0 {
		p.Errorf("Keys doesn't list %d of %d keys, such as %q", len(missing), len(records), missing[0])
	}
	if len(listed) != 0 {
		p.Errorf("Keys lists what was never stored: %.200q", slices.Collect(maps.Keys(listed)))
	}
}

func listAnyBytes(p probe) {
	keys := []string{"\x00", "a\x00b", "\xff\xfe", "\xc3\x28", "e\u0301", "\u00e9", "a/../b", " a ", "A", "a", "%", "_",
		"a\r\n", strings.Repeat("😀", 1000), strings.Repeat("k", longest)}
	for _, key := range keys {
		p.created(key, "data")
	}
	p.listsExactly("", keys...)
}

func listPrefix(p probe) {
	all := []string{"a_b", "a_", "axb", "a%b", "a%", "ab", "A_B", "A_b", "a", "b", "ba_b", `a\_b`, `a\`, "a*b", "a*", "a?", "a[bc]",
		"a\x00b", "a\x00", "\u00e9t\u00e9", "e\u0301te\u0301", "\xff", "\xff\xffa", "a ", " a", "😀😀"}
	for _, key := range all {
		p.created(key, "data")
	}
	for _, prefix := range []string{"", "a", "A", "a_", "a%", "a*", "a?", "a[", `a\`, `a\_`, "%", "_", "*", "a\x00", "a ", " ",
		"\u00e9", "e", "\xff", "\xff\xff", "\xf0\x9f", "😀", "ab", "abc", strings.Repeat("a", tokenstore.MaxKeyBytes)} {
		var want []string
		for _, key := range all {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		p.listsExactly(prefix, want...)
	}
}

// listsExactly compares a listing with the wanted keys, each of which may come more than once.
func (p probe) listsExactly(prefix string, want ...string) {
	p.Helper()
	got := slices.Sorted(maps.Keys(p.lists(prefix)))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		p.Errorf("Keys(%.100q) lists %.400q, want %.400q", prefix, got, want)
	}
}

func listAfterRemove(p probe) {
	r := p.created("gone", "data")
	p.created("kept", "data")
	p.swaps("gone", r.Version, tokenstore.Record{})
	p.listsExactly("", "kept")
}

func listBreak(p probe) {
	records := p.createMany(300)
	for range 3 {
		n := 0
		for _, err := range tokenstore.List(p.Context(), p.store, "user/") {
			if err != nil {
				p.Fatalf("Keys: %v", err)
			}
			if n++; n == 5 {
				break
			}
		}
		if n != 5 {
			p.Fatalf("Keys lists %d keys, want %d", n, len(records))
		}
	}
	for key, r := range records { // nothing is held back by the listings that ended early
		p.swapsInTime(key, r.Version, newRecord("replaced"))
		break
	}
}

// patience is how long a Swap during a listing may take before it counts as hanging.
const patience = 5 * time.Second

func listWhileWriting(p probe) {
	records := p.createMany(300)
	listed := make(map[string]bool, len(records))
	for key, err := range tokenstore.List(p.Context(), p.store, "user/") {
		if err != nil {
			p.Fatalf("Keys while the store is written to: %v", err)
		}
		if listed[key] {
			continue
		}
		listed[key] = true
		n := len(listed)
		if n > 60 {
			continue
		}
		// Delete some of what has been listed, replace what has not, and add what may be listed or not.
		if r, ok := records[key]; ok && n%2 == 0 {
			p.swapsInTime(key, r.Version, tokenstore.Record{})
			delete(records, key)
		}
		other := fmt.Sprintf("user/%d", 5*n-1)
		if r, ok := records[other]; ok {
			next := newRecord("replaced")
			p.swapsInTime(other, r.Version, next)
			records[other] = next
		}
		p.swapsInTime(fmt.Sprintf("user/new/%d", n), "", newRecord("data"))
	}
	for key, r := range records {
		if !listed[key] {
			p.Errorf("Keys doesn't list %q, which was stored throughout", key)
		}
		p.holds(key, r)
	}
}

// swapsInTime makes a Swap that must succeed, and gives up on one that hangs whatever its context says.
func (p probe) swapsInTime(key, oldVersion string, next tokenstore.Record) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.store.Swap(ctx, key, oldVersion, next) }()
	select {
	case err := <-done:
		if err != nil {
			p.Fatalf("Swap(%q) during a listing: %v", key, err)
		}
	case <-time.After(patience + time.Second):
		p.Fatalf("Swap(%q) during a listing hangs", key)
	}
}

func listCancelled(p probe) {
	p.createMany(300)
	ctx, cancel := context.WithCancel(p.Context())
	cancel()
	var last error
	for key, err := range tokenstore.List(ctx, p.store, "") {
		if last != nil {
			p.Fatalf("Keys goes on after the error %v", last)
		}
		if last = err; err == nil {
			p.Errorf("Keys with a canceled context yields %q", key)
		}
	}
	if !errors.Is(last, context.Canceled) {
		p.Errorf("Keys with a canceled context ends with %v, want context.Canceled", last)
	}
}
