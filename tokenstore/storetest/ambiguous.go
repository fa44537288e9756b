package storetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// repeatedSwap is what a client does that lost the answer to a Swap and sends it again.
func repeatedSwap(p probe) {
	created := p.created("user", "data")
	p.conflicts("user", "", created)
	p.holds("user", created)
	next := newRecord("next")
	p.swaps("user", created.Version, next)
	p.conflicts("user", created.Version, next)
	p.holds("user", next)
	p.swaps("user", next.Version, tokenstore.Record{})
	p.conflicts("user", next.Version, tokenstore.Record{})
	p.lacks("user")
}

// interruptedSwap cancels Swaps under way, so that nobody knows whether they took effect until somebody reads. Some
// backends carry one out even after its caller was told of the cancellation.
func interruptedSwap(p probe) {
	current := p.created("user", "round -1")
	for round := range 100 {
		next := newRecord(fmt.Sprint("round ", round))
		ctx, cancel := context.WithCancel(p.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range round * 50 {
				_ = ctx.Err() // passes time, a little more in each round
			}
			cancel()
		}()
		err := p.store.Swap(ctx, "user", current.Version, next)
		<-done
		if errors.Is(err, tokenstore.ErrConflict) {
			p.Fatalf("Swap from the stored version, canceled under way: %v", err)
		}
		if err == nil {
			p.holds("user", next)
			current = next
			continue
		}
		current = p.settle(current, next)
	}
}

// settle writes over whichever of two records is stored under "user", and returns what it wrote. The newer may still
// come to be stored while it does.
func (p probe) settle(older, newer tokenstore.Record) tokenstore.Record {
	p.Helper()
	for {
		stored, err := p.store.Get(p.Context(), "user")
		if err != nil {
			p.Fatalf("Get after a Swap was canceled under way: %v", err)
		}
		want := older
		if stored.Version == newer.Version {
			want = newer
		}
		if stored.Version != want.Version || string(stored.Data) != string(want.Data) {
			p.Fatalf("after a Swap was canceled under way, version %q with data %.100q is stored; want the old or the new record, whole",
				stored.Version, stored.Data)
		}
		settled := newRecord("settled")
		err = p.store.Swap(p.Context(), "user", stored.Version, settled)
		if err == nil {
			return settled
		}
		if !errors.Is(err, tokenstore.ErrConflict) || stored.Version == newer.Version {
			p.Fatalf("Swap from the version that was read: %v", err)
		}
	}
}
