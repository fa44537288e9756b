package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

func canceledGet(p probe) {
	p.created("user", "data")
	ctx, cancel := context.WithCancel(p.Context())
	cancel()
	for _, key := range []string{"user", "missing"} {
		if _, err := p.store.Get(ctx, key); !errors.Is(err, context.Canceled) {
			p.Errorf("Get(%q) with a canceled context: %v, want context.Canceled", key, err)
		}
	}
}

func canceledSwap(p probe) {
	ctx, cancel := context.WithCancel(p.Context())
	cancel()
	p.endedSwap(ctx, context.Canceled)
}

func lateSwap(p probe) {
	ctx, cancel := context.WithDeadline(p.Context(), time.Unix(0, 0))
	defer cancel()
	p.endedSwap(ctx, context.DeadlineExceeded)
}

// endedSwap creates, replaces and deletes under a context that has ended.
func (p probe) endedSwap(ctx context.Context, want error) {
	p.Helper()
	r := p.created("user", "data")
	for _, swap := range []struct {
		key, oldVersion string
		next            tokenstore.Record
	}{
		{"missing", "", newRecord("created")},
		{"user", r.Version, newRecord("replaced")},
		{"user", r.Version, tokenstore.Record{}},
	} {
		if err := p.store.Swap(ctx, swap.key, swap.oldVersion, swap.next); !errors.Is(err, want) {
			p.Errorf("Swap(%q, %q) with an ended context: %v, want %v", swap.key, swap.oldVersion, err, want)
		}
	}
	p.lacks("missing")
	p.holds("user", r)
}
