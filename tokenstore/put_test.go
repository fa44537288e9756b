package tokenstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// A swapper is a Memory whose writes go through swap, and whose reads fail with down unless that is nil.
type swapper struct {
	*tokenstore.Memory
	swap func(write) error
	down error
}

// A write is a Swap on its way to the inner store; commit carries it out.
type write struct{ commit func() error }

func (s *swapper) Swap(ctx context.Context, key, old string, next tokenstore.Record) error {
	return s.swap(write{func() error { return s.Memory.Swap(ctx, key, old, next) }})
}

func (s *swapper) Get(ctx context.Context, key string) (tokenstore.Record, error) {
	if s.down != nil {
		return tokenstore.Record{}, s.down
	}
	return s.Memory.Get(ctx, key)
}

// others are the other processes on the store.
type others struct {
	ctx    context.Context
	grants *tokenstore.Grants
}

func (o others) put() error {
	grant, err := o.grants.Get(o.ctx, "1122")
	if errors.Is(err, tokenstore.ErrNotFound) {
		grant, err = fullGrant("1122"), nil
	}
	if err != nil {
		return err
	}
	grant.AccessToken = "someone else's"
	return o.grants.Put(o.ctx, grant)
}

func (o others) remove() error { return o.grants.Delete(o.ctx, "1122") }

func TestPutFindsOutWhatBecameOfALostAnswer(t *testing.T) {
	t.Parallel()
	errLost := errors.New("connection lost")
	for name, c := range map[string]struct {
		// swap is the store's; others writes or deletes in between, as other processes would.
		swap   func(w write, others others) error
		fresh  bool   // the grant never was stored
		unread bool   // the store can't be read either
		want   error  // of Put
		stored string // the access token that is there in the end; "" for no grant
	}{
		"written, answer lost": {
			swap: func(w write, _ others) error { return errors.Join(errLost, w.commit()) }, want: nil, stored: "mine",
		},
		"written, and the store's second try met the first": {
			swap: func(w write, _ others) error { return errors.Join(w.commit(), w.commit()) }, want: nil, stored: "mine",
		},
		"written, answer lost, and the store stays away": {
			swap:   func(w write, _ others) error { return errors.Join(errLost, w.commit()) },
			unread: true, want: errLost, stored: "mine",
		},
		"created, answer lost": {
			swap:  func(w write, _ others) error { return errors.Join(errLost, w.commit()) },
			fresh: true, want: nil, stored: "mine",
		},
		"not written": {
			swap: func(write, others) error { return errLost }, want: errLost, stored: "before",
		},
		"not created": {
			swap: func(write, others) error { return errLost }, fresh: true, want: errLost, stored: "",
		},
		"not created, and someone else created": {
			swap:  func(_ write, o others) error { return errors.Join(errLost, o.put()) },
			fresh: true, want: tokenstore.ErrConflict, stored: "someone else's",
		},
		"not written, and someone else wrote": {
			swap: func(_ write, o others) error { return errors.Join(errLost, o.put()) },
			want: tokenstore.ErrConflict, stored: "someone else's",
		},
		"not written, and someone else deleted": {
			swap: func(_ write, o others) error { return errors.Join(errLost, o.remove()) },
			want: tokenstore.ErrConflict, stored: "",
		},
		"written, and someone else went on from there": {
			swap: func(w write, o others) error { return errors.Join(errLost, w.commit(), o.put()) },
			want: tokenstore.ErrConflict, stored: "someone else's",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &swapper{Memory: tokenstore.NewMemory()}
			grants, plain := newGrants(t, store), newGrants(t, store.Memory)
			store.swap = func(w write) error { return c.swap(w, others{t.Context(), plain}) }
			grant := fullGrant("1122")
			if grant.AccessToken = "before"; !c.fresh {
				mustPut(t, plain, grant)
			}
			if c.unread {
				store.down = errLost
			}
			grant.AccessToken = "mine"
			before := grant.Version()
			err := grants.Put(t.Context(), grant)
			if !errors.Is(err, c.want) || errors.Is(err, tokenstore.ErrConflict) != errors.Is(c.want, tokenstore.ErrConflict) {
				t.Errorf("Put = %v; want %v", err, c.want)
			}
			got, getErr := plain.Get(t.Context(), "1122")
			switch {
			case c.stored == "" && !errors.Is(getErr, tokenstore.ErrNotFound):
				t.Errorf("%v is stored, %v; want nothing", got, getErr)
			case c.stored != "" && (getErr != nil || got.AccessToken != c.stored):
				t.Fatalf("%v is stored, %v; want %q", got, getErr, c.stored)
			}
			if err == nil {
				mustPut(t, plain, grant) // goes on from what was written
			} else if grant.Version() != before {
				t.Error("Put failed and moved the grant to another version")
			}
		})
	}
}
