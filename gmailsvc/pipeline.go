package gmailsvc

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// A pipeline fetches ahead of the loop that reads it. It belongs to the goroutine of that loop, which plans, sends off and
// delivers whenever it comes back for more; others only read refs and carry flights.
type pipeline struct {
	ctx       context.Context
	cancel    context.CancelFunc
	service   *Service
	transport *userTransport
	limiter   *quota.Limiter
	user      string // at the limiter
	doing     string // for errors
	opts      fetchOptions
	whole     bool // threads are wanted, not messages

	messageQuery, threadQuery string

	running sync.WaitGroup
	source  chan sourced
	events  chan event
	timer   *time.Timer

	chunk    []wanted            // refs that are not planned yet
	threads  map[string]struct{} // of the chunk
	oldest   time.Time           // when the first of them came, since there were none
	latest   time.Time           // when the last one came
	dry      bool                // the source had nothing at hand when last asked
	ended    bool                // the source is at its end
	endedBy  error
	fatal    error
	queue    []*part // in order
	again    []*part // to be tried again, in order of their positions
	slots    []slot  // what the loop gets next, and all after it that has come in
	next     int     // position of the first slot
	flights  int
	boarding bool // a flight waits for the quota
	aloft    int  // messages under way
	held     int  // messages that wait for the loop
	weight   int  // of them, in bytes
	usual    int  // bytes of a message, as a running average
}

// A slot is the place of one ref.
type slot struct {
	ref MessageRef
	fetched
	planned, ready bool
}

// A sourced is what refs yields, or what they panicked with.
type sourced struct {
	ref   MessageRef
	err   error
	panic any
}

const (
	planWindow = 500 // a page of a listing
	heldBytes  = 32 << 20
	mostFlying = 100

	// How long refs are waited for that could be planned together: since the last, and since the first.
	linger     = 5 * time.Millisecond
	longLinger = 50 * time.Millisecond
)

func newPipeline(ctx context.Context, s *Service, doing string, opts []FetchOption) (*pipeline, error) {
	o, err := fetchOptionsOf(opts)
	if err != nil {
		return nil, fmt.Errorf("gmailsvc: %s: %w", doing, err)
	}
	t := s.client.Transport.(*userTransport)
	p := &pipeline{
		service: s, transport: t, doing: doing, opts: o, user: t.user, limiter: t.builder.cfg.Limiter,
		messageQuery: o.query(false), threadQuery: o.query(true),
		source: make(chan sourced, 64), events: make(chan event, 2*mostFlying), timer: time.NewTimer(time.Hour),
	}
	p.ctx, p.cancel = context.WithCancel(ctx)
	if p.limiter == nil {
		p.limiter = t.builder.bound()
		if p.user == "" {
			p.user = fmt.Sprintf("service %p", t)
		}
	}
	return p, nil
}

// close ends everything that the pipeline has begun.
func (p *pipeline) close() {
	p.cancel()
	p.timer.Stop()
	p.running.Wait()
}

// run fetches what refs name, until yield has enough.
func (p *pipeline) run(refs iter.Seq2[MessageRef, error], yield func(fetched) bool) {
	p.running.Go(func() { p.read(refs) })
	for {
		p.look()
		p.dispatch()
		if err := p.ctx.Err(); err != nil {
			p.fatal = err
		}
		switch ready := len(p.slots) > 0 && p.slots[0].ready; {
		case p.fatal != nil && (!ready || p.ctx.Err() != nil):
			yield(fetched{err: fmt.Errorf("gmailsvc: %s: %w", p.doing, p.fatal)})
			return
		case ready:
			if !yield(p.deliver()) {
				return
			}
		case len(p.slots) == 0 && p.ended:
			if p.endedBy != nil {
				yield(fetched{err: p.endedBy})
			}
			return
		default:
			p.wait()
		}
	}
}

// read reads refs, in a goroutine of its own.
func (p *pipeline) read(refs iter.Seq2[MessageRef, error]) {
	defer close(p.source)
	defer func() {
		if v := recover(); v != nil {
			p.pass(sourced{panic: v})
		}
	}()
	for ref, err := range refs {
		if !p.pass(sourced{ref: ref, err: err}) || err != nil {
			return
		}
	}
}

func (p *pipeline) pass(s sourced) bool {
	select {
	case p.source <- s:
		return true
	case <-p.ctx.Done():
		return false
	}
}

// deliver returns what the loop gets next.
func (p *pipeline) deliver() fetched {
	s := p.slots[0]
	p.slots[0] = slot{}
	p.slots = p.slots[1:]
	p.next++
	p.held--
	p.weight -= s.size
	if s.err != nil {
		s.err = &FetchError{ID: s.ref.ID, ThreadID: s.ref.ThreadID, Err: s.err}
	}
	return s.fetched
}

// look takes what has come in meanwhile, and waits for nothing.
func (p *pipeline) look() {
	for {
		select {
		case e := <-p.events:
			p.hear(e)
			continue
		default:
		}
		break
	}
	p.dry = false
	for p.wantsRefs() && !p.dry {
		select {
		case s, ok := <-p.source:
			p.take(s, ok)
		default:
			p.dry = true
		}
	}
	if len(p.chunk) > 0 && p.short() && (p.ended || len(p.chunk) >= p.chunkSize() || p.dry && !time.Now().Before(p.lingered())) {
		p.plan()
	}
}

// wait waits until something comes in.
func (p *pipeline) wait() {
	var source chan sourced
	if p.wantsRefs() {
		source = p.source
	}
	var due <-chan time.Time
	if at := p.wakeAt(); !at.IsZero() {
		p.timer.Reset(time.Until(at))
		due = p.timer.C
	}
	select {
	case e := <-p.events:
		p.hear(e)
	case s, ok := <-source:
		p.take(s, ok)
	case <-due:
	case <-p.ctx.Done():
	}
}

// wakeAt returns when there is something to do though nothing comes in; the zero Time: never.
func (p *pipeline) wakeAt() time.Time {
	var at time.Time
	if len(p.chunk) > 0 && p.short() {
		at = p.lingered()
	}
	if p.boarding || p.flights == mostFlying {
		return at
	}
	for _, part := range p.again {
		if at.IsZero() || part.due.Before(at) {
			at = part.due
		}
	}
	return at
}

func (p *pipeline) lingered() time.Time {
	at := p.latest.Add(linger)
	if last := p.oldest.Add(longLinger); last.Before(at) {
		return last
	}
	return at
}

// short reports whether there is not enough planned for any batch.
func (p *pipeline) short() bool { return len(p.queue) < maxBatch }

func (p *pipeline) wantsRefs() bool {
	return !p.ended && p.fatal == nil && p.short() && len(p.chunk) < p.chunkSize()
}

func (p *pipeline) take(s sourced, ok bool) {
	switch {
	case !ok:
		p.ended = true
	case s.panic != nil:
		panic(s.panic)
	case s.err != nil:
		p.ended, p.endedBy = true, s.err
	default:
		p.latest = time.Now()
		if len(p.chunk) == 0 {
			p.oldest = p.latest
		}
		p.chunk = append(p.chunk, wanted{s.ref, p.next + len(p.slots)})
		p.slots = append(p.slots, slot{ref: s.ref})
	}
}

func (p *pipeline) fail(err error) {
	if p.fatal == nil {
		p.fatal = err
	}
}
