package gmailsvc

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// grouped reports whether messages of one thread may be got together.
func (p *pipeline) grouped() bool {
	return !p.whole && !p.opts.single && p.opts.format != FormatRaw
}

func (p *pipeline) chunkSize() int {
	if p.grouped() {
		return planWindow
	}
	return maxBatch
}

// plan makes parts of refs that have come in. While more are to come it leaves half of many: what comes may belong to
// threads of theirs.
func (p *pipeline) plan() {
	most := len(p.chunk)
	if !p.ended && p.grouped() && most > maxBatch {
		most /= 2
	}
	parts := make([]part, 0, most)
	for g := range p.groups() {
		if most <= 0 {
			break
		}
		most -= len(g.Refs)
		parts = append(parts, part{group: g, whole: p.whole})
		part := &parts[len(parts)-1]
		for i := range g.Refs {
			p.slot(part, i).planned = true
		}
		if id := cmp.Or(g.Thread, g.Refs[0].ID); isID(id) {
			p.queue = append(p.queue, part)
		} else {
			p.give(part, fmt.Errorf("%q is no ID", id))
		}
	}
	p.chunk = slices.DeleteFunc(p.chunk, func(w wanted) bool { return p.slots[w.position-p.next].planned })
}

// groups divides the refs that have come in into calls.
func (p *pipeline) groups() iter.Seq[quota.Group[wanted]] {
	prices := p.transport.builder.cfg.Prices
	return func(yield func(quota.Group[wanted]) bool) {
		if p.sharing() {
			for g, err := range quota.Plan(quota.Planner{Prices: prices, Window: len(p.chunk)}, p.unplanned, wanted.thread) {
				if err != nil || !yield(g) {
					return
				}
			}
			return
		}
		// What Plan would say as well, with less memory.
		refs := slices.Clone(p.chunk)
		units := prices.Units("gmail.users.messages.get")
		if p.whole {
			units = prices.Units("gmail.users.threads.get")
		}
		for i := range refs {
			g := quota.Group[wanted]{Refs: refs[i : i+1 : i+1], Units: units}
			if p.whole {
				g.Thread = refs[i].ThreadID
			}
			if !yield(g) {
				return
			}
		}
	}
}

func (p *pipeline) unplanned(yield func(wanted, error) bool) {
	for _, w := range p.chunk {
		if !yield(w, nil) {
			return
		}
	}
}

// sharing reports whether there are messages that one call could get together.
func (p *pipeline) sharing() bool {
	if !p.grouped() {
		return false
	}
	if p.threads == nil {
		p.threads = make(map[string]struct{}, planWindow)
	}
	clear(p.threads)
	n := 0
	for _, w := range p.chunk {
		if thread := w.thread(); thread != "" {
			p.threads[thread] = struct{}{}
			n++
		}
	}
	return len(p.threads) < n
}

// A wanted is a ref with its place among all.
type wanted struct {
	MessageRef
	position int
}

// thread returns the thread by which the message may be got, or "".
func (w wanted) thread() string {
	if !isID(w.ThreadID) || !isID(w.ID) {
		return ""
	}
	return w.ThreadID
}

// dispatch sends off what may be sent.
func (p *pipeline) dispatch() {
	for p.fatal == nil && !p.boarding && p.flights < mostFlying {
		parts := p.board(time.Now())
		if len(parts) == 0 {
			return
		}
		f := &flight{parts: parts}
		for _, part := range parts {
			part.begin()
			f.units += part.group.Units
			p.aloft += len(part.group.Refs)
		}
		p.flights++
		p.boarding = true
		p.running.Go(func() { p.fly(f) })
	}
}

// board returns the parts that go next, none if none may: first what is to be tried again, then what is next in order.
func (p *pipeline) board(now time.Time) []*part {
	late := slices.IndexFunc(p.again, func(part *part) bool { return !part.due.After(now) })
	if late < 0 && len(p.queue) == 0 {
		return nil
	}
	var like int // units
	if late >= 0 {
		like = p.again[late].group.Units
	} else {
		like = p.queue[0].group.Units
	}
	size := p.limiter.BatchSize(quota.Request{User: p.user, Units: like, Class: p.transport.class})
	most := min(size, maxBatch)
	if p.transport.builder.noBatch.Load() {
		most = 1
	}
	if late < 0 && (p.full(size) || len(p.queue) < most && p.filling()) {
		return nil
	}
	parts := make([]*part, 0, min(most, len(p.again)+len(p.queue)))
	units := 0
	fits := func(part *part) bool {
		if len(parts) == most || units > 0 && units+part.group.Units > size*like {
			return false
		}
		parts = append(parts, part)
		units += part.group.Units
		return true
	}
	if late >= 0 {
		p.again = slices.DeleteFunc(p.again, func(part *part) bool { return !part.due.After(now) && fits(part) })
	}
	for len(p.queue) > 0 && fits(p.queue[0]) {
		p.queue[0] = nil
		p.queue = p.queue[1:]
	}
	return parts
}

// full reports whether the loop has enough to read for the time being. What is to be tried again is not concerned: it has its
// place already.
func (p *pipeline) full(size int) bool {
	if p.flights == 0 && len(p.again) == 0 && !p.slots[0].ready {
		return false
	}
	return p.held+p.aloft >= 2*size || p.weight+p.aloft*p.usual >= heldBytes
}

// filling reports whether more parts are likely to be there in a moment.
func (p *pipeline) filling() bool {
	return p.wantsRefs() && (len(p.chunk) > 0 || !p.dry)
}

// hear takes what a flight tells.
func (p *pipeline) hear(e event) {
	if !e.landed {
		p.boarding = false
		return
	}
	p.flights--
	for _, part := range e.flight.parts {
		p.aloft -= len(part.group.Refs)
	}
	p.land(e.flight)
}
