package authflow_test

import (
	"context"
	"encoding/json"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

const modelKey = "grant/" + modelUser

// A ledger is the store that all processes share. It reads every grant that is written, and holds each
// change against what may follow what.
type ledger struct {
	w      *world
	mutant mutant

	mu      sync.Mutex
	records tokenstore.Memory
	stored  *tokenstore.Grant // nil: none
	retired map[string]bool   // IDs of grants that were replaced or deleted
}

func newLedger(w *world, m mutant) *ledger {
	return &ledger{w: w, mutant: m, retired: make(map[string]bool)}
}

// grant returns the grant that is stored now, or nil.
func (l *ledger) grant() *tokenstore.Grant {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stored
}

func (l *ledger) get(key string) (tokenstore.Record, *tokenstore.Grant, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rec, err := l.records.Get(context.Background(), key)
	if key != modelKey {
		return rec, nil, err
	}
	return rec, l.stored, err
}

// decode reads a record that nopAEAD sealed.
func (l *ledger) decode(rec tokenstore.Record) *tokenstore.Grant {
	if rec.Version == "" {
		return nil
	}
	var one tokenstore.Memory
	grants, err := tokenstore.NewGrants(&one, nopAEAD{})
	if err == nil {
		err = one.Swap(context.Background(), modelKey, "", rec)
	}
	if err != nil {
		l.w.wrong("decode: %v", err)
		return nil
	}
	grant, err := grants.Get(context.Background(), modelUser)
	if err != nil {
		l.w.wrong("a record is stored that can't be read: %v", err)
	}
	return grant
}

func (l *ledger) swap(p *process, key, oldVersion string, next tokenstore.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx := context.Background()
	if l.mutant == leaseless && len(next.Data) > 0 {
		var fields map[string]any
		if json.Unmarshal(next.Data, &fields) == nil {
			delete(fields, "lease")
			next.Data, _ = json.Marshal(fields)
		}
	}
	if l.mutant == blind {
		now, _ := l.records.Get(ctx, key) // or there is none
		oldVersion = now.Version
	}
	if err := l.records.Swap(ctx, key, oldVersion, next); err != nil {
		return err
	}
	if key == modelKey {
		grant := l.decode(next)
		l.check(p, l.stored, grant)
		l.stored = grant
	}
	return nil
}

// check holds a change by p against the rules.
func (l *ledger) check(p *process, prev, next *tokenstore.Grant) {
	w := l.w
	if next == nil {
		if prev != nil {
			w.tell("%s deletes %s", p.name, prev.ID)
			l.retired[prev.ID] = true
			p.learns(&p.did, prev.ID)
			if !p.doing("forget") {
				w.wrong("%s deletes %s without being asked to forget it", p.name, prev.ID)
			}
		}
		return
	}
	w.tell("%s stores %s: %s %s, lease %v, %v", p.name, next.ID, next.RefreshToken, next.AccessToken, next.Lease != nil, next.Status)
	w.provider.stored(next.ID, next.RefreshToken, next.AccessToken)
	if prev == nil || prev.ID != next.ID {
		if l.retired[next.ID] {
			w.wrong("%s, which was replaced or deleted, came back", next.ID)
		}
		if prev != nil {
			l.retired[prev.ID] = true
		}
		if !p.doing("consent") {
			w.wrong("%s stores a new grant without a consent", p.name)
		}
		return
	}
	switch {
	case next.Status.Revoked && !prev.Status.Revoked:
		p.learns(&p.did, next.ID)
		if next.Status.Reason == tokenstore.ReasonInvalidGrant && !w.provider.endedFamily(prev.RefreshToken) {
			w.wrong("%s is marked, and lives at the provider", next.ID)
		}
	case prev.Status.Revoked && !next.Status.Revoked:
		w.wrong("%s was revoked, and is active again without a consent", next.ID)
	case !next.Status.Revoked && next.RefreshToken != prev.RefreshToken && !w.provider.follows(next.RefreshToken, prev.RefreshToken):
		w.wrong("an older refresh token is stored: %s in place of %s", next.RefreshToken, prev.RefreshToken)
	}
}

// A handle is a process's connection to the ledger: slow, now and then broken, and cut when the process dies.
type handle struct{ p *process }

// latency is how long a message to the store or back takes: mostly not long, seldom longer than anybody waits.
func (w *world) latency(chance *rand.Rand) time.Duration {
	most := time.Duration(w.slowness.Load()) * time.Millisecond
	switch n := chance.IntN(200); {
	case n < 80:
		return 0
	case n < 199:
		return upTo(chance, most)
	}
	return upTo(chance, min(300*most, 8*time.Second))
}

func (h handle) Get(ctx context.Context, key string) (tokenstore.Record, error) {
	p := h.p
	chance := p.chance("get")
	there, back := p.w.latency(chance), p.w.latency(chance)
	if err := p.wait(ctx, there); err != nil {
		return tokenstore.Record{}, p.storeFault(err)
	}
	if p.isCut(readsFail) || chance.Int32N(100) < p.w.faults.Load() {
		return tokenstore.Record{}, p.storeFault(errBroken)
	}
	rec, grant, err := p.w.store.get(key)
	if werr := p.wait(ctx, back); werr != nil {
		return tokenstore.Record{}, p.storeFault(werr)
	}
	if grant != nil && grant.Status.Revoked {
		p.learns(&p.saw, grant.ID)
	}
	return rec, err
}

func (h handle) Swap(ctx context.Context, key, oldVersion string, next tokenstore.Record) error {
	p := h.p
	chance := p.chance("swap")
	there, back := p.w.latency(chance), p.w.latency(chance)
	fault, late := chance.Int32N(100), chance.IntN(2) == 0
	start := time.Now()
	if err := p.wait(ctx, there); err != nil {
		if late { // it is on the wire
			p.w.wire.Go(func() {
				<-time.After(there - time.Since(start))
				_ = p.w.store.swap(p, key, oldVersion, next)
			})
		}
		return p.storeFault(err)
	}
	if p.isCut(writesFail) || fault < p.w.faults.Load() {
		return p.storeFault(errBroken)
	}
	err := p.w.store.swap(p, key, oldVersion, next)
	if werr := p.wait(ctx, back); werr != nil {
		return p.storeFault(werr)
	}
	if fault >= 100-p.w.faults.Load() {
		return p.storeFault(errBroken)
	}
	return err
}

func (h handle) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	if h.p.isCut(readsFail) {
		return func(yield func(string, error) bool) { yield("", errBroken) }
	}
	return h.p.w.store.records.Keys(ctx, prefix)
}
