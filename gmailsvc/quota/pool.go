package quota

import (
	"context"
	"errors"
	"time"
)

// A Pool is where several Limiters, in different processes say, find the units that they share: see package
// redisquota. It has to be safe for concurrent use.
type Pool interface {
	// Reserve grants units of a user's and of the project's minute, so that what all grants of any 60 seconds
	// amount to does not exceed the limits. Granted units count from now on, and until a minute after they are
	// reported as spent; where no report comes, until a minute after the last time at which they could have
	// been spent.
	Reserve(ctx context.Context, r Reservation) (Grant, error)
}

// A Reservation asks a Pool for units, and reports what has come of earlier ones.
type Reservation struct {
	User  string
	Class Class // Background is to be spread evenly over the minute
	// Need is how many units have to be granted if any are; Want, which is not less, how many could be used at
	// once.
	Need, Want int
	// PerUser and PerProject are the limits, and Window the minute for which they hold.
	PerUser, PerProject int
	Window              time.Duration

	Reports []Report
	// Unasked is how many units were spent in the last minute without a grant, while the Pool could not be asked.
	Unasked int
	// QuietUser and QuietProject are for how long from now on Google wants no calls for the user, or for
	// anybody. 0: no such wish.
	QuietUser, QuietProject time.Duration
}

// A Report says what has come of a grant since the last report.
type Report struct {
	ID            int64 // of the grant
	Spent, Unused int   // units
}

// A Grant is a Pool's answer.
type Grant struct {
	ID    int64         // for reports
	Units int           // 0: none now
	After time.Duration // they may be spent after that time, counted from the return of Reserve
	For   time.Duration // and within that one, counted from the call of Reserve
	Retry time.Duration // without Units: when to ask again, counted from the return of Reserve
}

// A holding is what a user's requests have of the Pool.
type holding struct {
	grants  []*grant // that are not reported in full; the last is the one to spend
	asker   *waiter  // who asks for more; nil: nobody
	askAt   time.Duration
	denied  Class // to whom it was said to ask then
	unasked int
}

// A grant is one that was received.
type grant struct {
	id     int64
	units  int
	class  Class         // for which it was asked
	from   time.Duration // when it may be spent
	until  time.Duration
	left   int // not taken yet
	flying int // of calls under way
	spent  int // of calls that have ended, unreported
}

func (g *grant) take(units int) {
	g.left -= units
	g.flying += units
}

// covering returns the grant that has so many units now; nil: none.
func (h *holding) covering(units int, now time.Duration) *grant {
	if g := h.last(); g != nil && g.left >= units && g.from <= now && now < g.until {
		return g
	}
	return nil
}

// last returns the grant to spend; nil: none.
func (h *holding) last() *grant {
	if n := len(h.grants); n > 0 {
		return h.grants[n-1]
	}
	return nil
}

// end takes note of the end of a call.
func (h *holding) end(p *Permit, unsent bool) {
	switch g := p.grant; {
	case g == nil && !unsent:
		h.unasked += p.units
	case g == nil:
	case unsent:
		g.flying -= p.units
		g.left += p.units
	default:
		g.flying -= p.units
		g.spent += p.units
	}
}

// reports returns what there is to report and forgets grants that have come to their end. The last grant is
// closed by it.
func (h *holding) reports() []Report {
	var all []Report
	open := h.grants[:0]
	for _, g := range h.grants {
		if g.spent+g.left > 0 {
			all = append(all, Report{ID: g.id, Spent: g.spent, Unused: g.left})
		}
		g.spent, g.left, g.until = 0, 0, 0
		if g.flying > 0 {
			open = append(open, g)
		}
	}
	clear(h.grants[len(open):])
	h.grants = open
	return all
}

// appetite returns how much to ask for beyond what is needed: twice the last grant if that was used up in its
// time, else as much as was used of it. So it grows with a steady stream of calls, and wastes little on a user
// with a single one.
func (h *holding) appetite(now time.Duration) int {
	g := h.last()
	switch {
	case g == nil:
		return 0
	case now < g.until:
		return 2 * g.units
	}
	return g.units - g.left
}

// pooled reports whether so many units have to come from the Pool.
func (l *Limiter) pooled(units int, now time.Duration) bool {
	return l.cfg.Pool != nil && units > 0 && now >= l.outage
}

// covered returns when w, the first to go of those who wait for u, has units of the Pool, or may ask for some:
// never, where somebody is asking on behalf of all.
func (l *Limiter) covered(u *user, w *waiter, now time.Duration) time.Duration {
	h := u.shares
	g := h.last()
	switch {
	// A person does not wait for what was promised to background work.
	case g != nil && g.left >= w.units && now < g.until && (g.from <= now || w.class <= g.class):
		return max(now, g.from)
	case h.asker == nil && h.askAt > now && w.class <= h.denied:
		return h.askAt
	}
	l.sendToAsk(u, w)
	return never
}

// sendToAsk has w ask the Pool, unless somebody does already.
func (l *Limiter) sendToAsk(u *user, w *waiter) {
	if u.shares.asker == nil {
		u.shares.asker = w
		w.wake <- mayAsk
	}
}

// ask asks the Pool on behalf of all who wait for w's user.
func (l *Limiter) ask(ctx context.Context, w *waiter) error {
	l.mu.Lock()
	u := w.queue.user
	asked := l.now()
	first, _ := l.first(w.queue, asked)
	if w.permit != nil { // units that were given back have served it meanwhile
		u.shares.asker = nil
		l.place(w.queue, asked)
		l.dispatch(asked)
		l.mu.Unlock()
		return nil
	}
	r := l.reservation(u, first, asked)
	l.mu.Unlock()

	g, err := l.cfg.Pool.Reserve(ctx, r)

	l.mu.Lock()
	defer l.mu.Unlock()
	now, h := l.now(), u.shares
	h.asker = nil
	if err == nil && g.Units > 0 && now+g.After >= asked+g.For {
		err = errors.New("the grant came too late to be used")
	}
	if err == nil {
		h.askAt, h.denied = now+max(g.Retry, time.Millisecond), r.Class // a Pool that errs must not be asked without end
		if g.Units > 0 {
			h.askAt = now
			h.grants = append(h.grants, &grant{
				id: g.ID, units: g.Units, left: g.Units, class: r.Class, from: now + g.After, until: asked + g.For,
			})
		}
	} else {
		// What was reported may have arrived or not. Reported again, it could count twice; not reported, it
		// only counts longer.
		h.unasked += r.Unasked
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if l.cfg.PoolShare == 0 {
			return &PoolError{Err: err}
		}
		l.outage = now + l.period.second
	}
	l.place(w.queue, now)
	l.dispatch(now)
	return nil
}

// reservation returns what w is to ask the Pool for, and to tell it.
func (l *Limiter) reservation(u *user, w *waiter, now time.Duration) Reservation {
	h := u.shares
	r := Reservation{
		User: u.name, Class: w.class, Need: w.units, Want: max(w.units, h.appetite(now)),
		PerUser: l.userLimit(u, now), PerProject: l.projectLimit(now), Window: l.cfg.Window,
		Reports: h.reports(), Unasked: min(h.unasked, u.sum+u.flying),
		QuietUser: max(u.quiet-now, 0), QuietProject: max(l.project.quiet-now, 0),
	}
	h.unasked = 0
	u.untold, l.project.untold = false, false
	room, units := u.grip.of(l.period, l.capacity(), now)-u.flight, 0
	for next := w; next != nil && next.weight <= room; next = next.after {
		room -= next.weight
		units += next.units
	}
	r.Want = max(r.Want, units)
	return r
}
