package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// maxGroup is how many writes share a transaction at most, so that the first don't wait for ever longer ones.
const maxGroup = 128

// A group commits the writes of concurrent callers together. One of the callers leads: it commits its own
// write and all that wait. The others, and who comes meanwhile, wait for their outcome or for the turn to lead.
// A Swap of one caller alone is one statement, as if there were no group.
type group struct {
	store *Store
	turn  chan struct{} // full while somebody leads; who waits for it longest gets it next

	mu      sync.Mutex
	waiting []*member
}

// A member is a write on its way.
type member struct {
	*write
	done chan error // gets the outcome, once
	gone bool       // its caller doesn't wait any more; guarded by group.mu
	err  error      // the outcome if the transaction commits; the leader's
}

func newGroup(s *Store) *group { return &group{store: s, turn: make(chan struct{}, 1)} }

// do makes the write.
func (g *group) do(ctx context.Context, w *write) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m := g.join(w)
	for {
		select {
		case err := <-m.done:
			return err
		case <-ctx.Done():
			return g.leave(ctx, m)
		case g.turn <- struct{}{}:
			g.lead(ctx, m)
		}
	}
}

// join lets the write wait. It gets a copy of the data: its caller may be gone when that is read.
func (g *group) join(w *write) *member {
	args := slices.Clone(w.args)
	for i, arg := range args {
		args[i] = bytes.Clone(arg.([]byte))
	}
	m := &member{write: &write{w.statement, args}, done: make(chan error, 1)}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, m)
	return m
}

// leave returns the outcome for a caller whose context has ended. A write that still waits is not made.
func (g *group) leave(ctx context.Context, m *member) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	m.gone = true
	g.waiting = slices.DeleteFunc(g.waiting, func(other *member) bool { return other == m })
	select {
	case err := <-m.done:
		return err
	default:
		return ctx.Err()
	}
}

// lead makes the writes that wait, and gives the turn away. Those that the end of its caller's context leaves
// unmade wait again.
func (g *group) lead(ctx context.Context, leader *member) {
	defer func() { <-g.turn }()
	g.mu.Lock()
	n := min(len(g.waiting), maxGroup)
	batch := slices.Clone(g.waiting[:n])
	g.waiting = slices.Delete(g.waiting, 0, n)
	g.mu.Unlock()

	switch {
	case n == 0: // all were made while this caller waited for its turn
	case n == 1 && batch[0] == leader:
		leader.done <- g.store.retry(ctx, func() error { return leader.apply(ctx, nil) })
	case !g.commit(ctx, batch):
		// One of the writes was refused, but not for its version. It must not fail the others.
		for i := range batch {
			g.commit(ctx, batch[i:i+1])
		}
	}
}

// commit makes the writes in one transaction and tells their callers. It reports false where nothing was
// written and nobody told, because one of several was refused.
func (g *group) commit(ctx context.Context, batch []*member) bool {
	err := g.store.retry(ctx, func() error { return g.transact(ctx, batch) })
	_, unsure := errors.AsType[*commitError](err)
	switch {
	case err == nil:
		for _, m := range batch {
			m.done <- m.err
		}
	case ctx.Err() != nil && !unsure:
		g.wait(batch)
	case unsure || len(batch) == 1 || g.store.dialect.undone(err):
		for _, m := range batch {
			m.done <- err
		}
	default:
		return false
	}
	return true
}

// wait lets the members whose callers are still there wait again, before those that came later.
func (g *group) wait(batch []*member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = slices.Concat(batch, g.waiting)
	g.waiting = slices.DeleteFunc(g.waiting, func(m *member) bool { return m.gone })
}

// A commitError is that of a COMMIT, after which it is not certain whether anything was written.
type commitError struct{ error }

// Unwrap returns the driver's error.
func (e *commitError) Unwrap() error { return e.error }

// transact makes the writes in one transaction. Any other error than a *commitError has undone them all.
func (g *group) transact(ctx context.Context, batch []*member) error {
	tx, err := g.store.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	for _, m := range batch {
		m.err = m.apply(ctx, tx)
		if m.err != nil && !errors.Is(m.err, tokenstore.ErrConflict) {
			return m.err
		}
	}
	err = tx.Commit()
	switch {
	case err == nil || g.store.dialect.undone(err):
		return err
	case ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, sql.ErrTxDone)):
		return err // database/sql has rolled back instead
	}
	return &commitError{err}
}
