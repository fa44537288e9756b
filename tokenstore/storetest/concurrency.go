package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mailgrant/mailgrant/tokenstore"
)

const writers = 16

// simultaneously runs n goroutines that start together, and waits for them.
func simultaneously(n int, run func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			run(i)
		})
	}
	close(start)
	wg.Wait()
}

// wins makes a Swap that may conflict, and reports whether it took effect.
func (p probe) wins(key, oldVersion string, next tokenstore.Record) bool {
	err := p.store.Swap(p.Context(), key, oldVersion, next)
	if err != nil && !errors.Is(err, tokenstore.ErrConflict) {
		p.Errorf("Swap(%q, %q) among others: %v, want success or ErrConflict", key, oldVersion, err)
	}
	return err == nil
}

func simultaneousCreates(p probe) {
	for round := range 20 {
		key := fmt.Sprint("user ", round)
		records := make([]tokenstore.Record, writers)
		won := make([]bool, writers)
		simultaneously(writers, func(i int) {
			records[i] = newRecord(fmt.Sprint("of writer ", i))
			won[i] = p.wins(key, "", records[i])
		})
		winners := 0
		for i, record := range records {
			if won[i] {
				winners++
				p.holds(key, record)
			}
		}
		if winners != 1 {
			p.Fatalf("%d of %d simultaneous creates won, want 1", winners, writers)
		}
	}
}

func simultaneousReplaceAndRemove(p probe) {
	for round := range 20 {
		key := fmt.Sprint("user ", round)
		old := p.created(key, "data")
		records := make([]tokenstore.Record, writers) // the zero Record for every other writer
		won := make([]bool, writers)
		simultaneously(writers, func(i int) {
			if i%2 == 0 {
				records[i] = newRecord("replaced")
			}
			won[i] = p.wins(key, old.Version, records[i])
		})
		winners := 0
		for i, record := range records {
			switch {
			case !won[i]:
				continue
			case record.Version == "":
				p.lacks(key)
			default:
				p.holds(key, record)
			}
			winners++
		}
		if winners != 1 {
			p.Fatalf("%d of %d replaces and deletes of one version won, want 1", winners, writers)
		}
	}
}

// simultaneousUpdates counts in a record, as every writer of grants does: read, change, swap, and once more on a conflict.
func simultaneousUpdates(p probe) {
	const each = 10
	p.created("counter", "0")
	simultaneously(writers, func(int) {
		for done := 0; done < each && !p.Failed(); {
			r, err := p.store.Get(p.Context(), "counter")
			if err != nil {
				p.Errorf("Get among writers: %v", err)
				return
			}
			n, err := strconv.Atoi(string(r.Data))
			if err != nil {
				p.Errorf("Get among writers: data %.100q, want a number", r.Data)
				return
			}
			runtime.Gosched() // let others come between the Get and the Swap
			if p.wins("counter", r.Version, newRecord(strconv.Itoa(n+1))) {
				done++
			}
		}
	})
	r, err := p.store.Get(p.Context(), "counter")
	if err != nil {
		p.Fatal(err)
	}
	if got, want := string(r.Data), strconv.Itoa(writers*each); got != want {
		p.Errorf("%s updates counted, want %s: some were lost", got, want)
	}
}

// readersAndWriter stores data made of the version, so that a mixture of two records shows.
func readersAndWriter(p probe) {
	record := func(i int) tokenstore.Record {
		r := newRecord("")
		r.Data = []byte(strings.Repeat(r.Version, 1+i%7*50))
		return r
	}
	r := record(0)
	p.swaps("user", "", r)
	var written atomic.Bool
	simultaneously(4, func(i int) {
		if i == 0 {
			defer written.Store(true)
			for n := 1; n <= 100; n++ {
				next := record(n)
				if !p.wins("user", r.Version, next) {
					p.Error("Swap by the only writer: ErrConflict")
					return
				}
				r = next
			}
			return
		}
		for !written.Load() {
			got, err := p.store.Get(p.Context(), "user")
			if err != nil {
				p.Errorf("Get beside a writer: %v", err)
				return
			}
			if len(bytes.ReplaceAll(got.Data, []byte(got.Version), nil)) != 0 || len(got.Data) == 0 {
				p.Errorf("Get beside a writer: version %q with data of another: %.100q", got.Version, got.Data)
				return
			}
			runtime.Gosched() // a fast store's readers would starve the writer
		}
	})
	p.holds("user", r)
}
