package gmailsvc

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// land gives to the loop what a flight brought, and sees to the parts that have to fly again.
func (p *pipeline) land(f *flight) {
	now := time.Now()
	switch {
	case f.fatal != nil:
		p.fail(f.fatal)
		return
	case f.unsupported:
		p.transport.builder.noBatch.Store(true)
		for _, part := range f.parts {
			p.repeat(part, now)
		}
		return
	}
	pause, ok := p.pause(f)
	succeeded := false
	for _, part := range f.parts {
		switch {
		case part.state == taken:
			succeeded = true
			p.settle(part, now)
		case part.state == refused && part.answer.status == http.StatusUnauthorized:
			p.unauthorized(part, now)
		case ok && p.passing(part):
			part.due = now.Add(pause)
			p.insert(part)
		default:
			p.giveUp(part, f)
		}
	}
	if succeeded {
		p.transport.builder.budget.earn()
	}
}

// passing reports whether another attempt may better what became of a part, and is left.
func (p *pipeline) passing(part *part) bool {
	if part.attempts >= p.transport.builder.cfg.Retry.Attempts {
		return false
	}
	return part.state == unanswered || part.state == refused && part.answer.passing()
}

// pause returns for how long to leave alone what has to be tried again, and whether it may be. All parts of a flight go together
// again: they are one request, and cost one retry.
func (p *pipeline) pause(f *flight) (time.Duration, bool) {
	var wish time.Duration
	attempts := 0
	for _, part := range f.parts {
		if p.passing(part) {
			attempts = max(attempts, part.attempts)
			wish = max(wish, part.answer.rejected.RetryAfter)
		}
	}
	if attempts == 0 {
		return 0, false
	}
	pause := max(p.transport.builder.cfg.Retry.pause(attempts), wish)
	if deadline, ok := p.ctx.Deadline(); ok && time.Until(deadline) < pause+f.took {
		return 0, false
	}
	return pause, p.transport.builder.budget.spend()
}

// repeat has a part fly again at once, without counting the attempt.
func (p *pipeline) repeat(part *part, now time.Time) {
	part.attempts--
	part.due = now
	p.insert(part)
}

// insert puts a part among those to be tried again.
func (p *pipeline) insert(x *part) {
	i, _ := slices.BinarySearchFunc(p.again, x, func(a, b *part) int { return cmp.Compare(a.position(0), b.position(0)) })
	p.again = slices.Insert(p.again, i, x)
}

func (p *part) position(i int) int { return p.group.Refs[i].position }

// unauthorized has a part fly again whose token has been replaced meanwhile, once.
func (p *pipeline) unauthorized(part *part, now time.Time) {
	_, ok := p.transport.creds.(Refresher)
	switch {
	case ok && !part.renewed:
		part.renewed = true
		p.repeat(part, now)
	case ok:
		path, _, _ := strings.Cut(string(p.appendPath(nil, part)), "?")
		p.fail(&UnauthorizedError{Method: http.MethodGet, Path: path, Err: part.answer.apiError()})
	default:
		p.fail(part.answer.apiError())
	}
}

// settle gives the loop what a part was answered with.
func (p *pipeline) settle(x *part, now time.Time) {
	for i, got := range x.got {
		if got.message == nil && got.thread == nil {
			// The thread has no such message (any more): its own get says what has become of it.
			units := p.transport.builder.cfg.Prices.Units("gmail.users.messages.get")
			p.insert(&part{group: quota.Group[wanted]{Refs: x.group.Refs[i : i+1], Units: units}, due: now})
			continue
		}
		p.fill(x, i, got)
	}
	x.got, x.one[0] = nil, fetched{}
}

// giveUp ends a part that no other attempt would better, or the whole where none would better anything.
func (p *pipeline) giveUp(part *part, f *flight) {
	err := part.err
	switch part.state {
	case unanswered:
		err = f.err
	case refused:
		if err = part.answer.err(part.method()); err == nil {
			err = part.answer.apiError()
		}
		if _, ok := errors.AsType[*InsufficientScopeError](err); ok {
			p.fail(err)
			return
		}
		if e, ok := errors.AsType[*RateLimitError](err); ok && e.Limit == quota.NotRejected {
			p.fail(err)
			return
		}
	}
	p.give(part, err)
}

// give gives the loop an error in place of all that a part was for.
func (p *pipeline) give(part *part, err error) {
	for i := range part.group.Refs {
		p.fill(part, i, fetched{err: err})
	}
}

// slot returns the place of the i-th ref of a part.
func (p *pipeline) slot(part *part, i int) *slot { return &p.slots[part.position(i)-p.next] }

// fill puts something into the place of the i-th ref of a part.
func (p *pipeline) fill(part *part, i int, got fetched) {
	s := p.slot(part, i)
	s.fetched, s.ready = got, true
	p.held++
	p.weight += got.size
	if got.size > 0 {
		p.usual += (got.size - p.usual) / 8
	}
}
