package gmailsvc

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A coalescer merges the pushes of an address that come while one of them is handled: they are handled together, once, by the
// one with the highest history ID. Addresses are handled side by side.
type coalescer struct {
	ctx    context.Context //nolint:containedctx // ends what is handled for several requests
	handle func(context.Context, Push) error

	mu      sync.Mutex
	running map[string]*pushRound // by address
}

// handleTime is how long handle may take: as long as Pub/Sub waits for an answer at most.
const handleTime = 10 * time.Minute

// A pushRound is one call of handle, and those who wait for it.
type pushRound struct {
	push Push
	next *pushRound // to follow, made up of what came meanwhile; or nil
	done chan struct{}
	err  error
}

// do handles p, alone or with others, and returns what handle said. If ctx ends first, handle still runs for the others, and
// p counts as not handled.
func (c *coalescer) do(ctx context.Context, p Push) error {
	round := c.join(p)
	select {
	case <-round.done:
		return round.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// join returns the round that will handle p.
func (c *coalescer) join(p Push) *pushRound {
	c.mu.Lock()
	defer c.mu.Unlock()
	current := c.running[p.EmailAddress]
	if current == nil {
		if c.running == nil {
			c.running = make(map[string]*pushRound)
		}
		first := &pushRound{push: p, done: make(chan struct{})}
		c.running[p.EmailAddress] = first
		go c.run(first)
		return first
	}
	// What is being handled may have read the history already: p needs a reading that begins after it came.
	if current.next == nil {
		current.next = &pushRound{push: p, done: make(chan struct{})}
	} else if p.HistoryID > current.next.push.HistoryID {
		current.next.push = p
	}
	return current.next
}

// run handles round, and the rounds that follow it.
func (c *coalescer) run(round *pushRound) {
	for round != nil {
		round.err = c.call(round.push)
		close(round.done)
		c.mu.Lock()
		next := round.next
		if next == nil {
			delete(c.running, round.push.EmailAddress)
		} else {
			c.running[round.push.EmailAddress] = next
		}
		c.mu.Unlock()
		round = next
	}
}

// call calls handle. A panic there is the failure of one Push, as it is of one request in net/http.
func (c *coalescer) call(p Push) (err error) {
	ctx, cancel := context.WithTimeout(c.ctx, handleTime)
	defer cancel()
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("gmailsvc: handling a push panicked: %v", reason)
		}
	}()
	return c.handle(ctx, p)
}
