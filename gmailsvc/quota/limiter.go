package quota

import (
	"context"
	"sync"
	"time"
)

// A Limiter lets calls to the Gmail API go when Google's limits have room for them: for one project, and all
// its users. It keeps to the units a minute of each user and of the project, and to the calls in flight for
// each user. Where Google rejects a call all the same, it leaves the user alone for as long as Google wishes,
// or for a second that doubles with every rejection up to a minute, then spends less (four fifths of the units,
// half of the calls in flight), and tries a tenth more with every quiet minute.
//
// It is safe for concurrent use. It starts no goroutine, need not be closed, remembers a user for about a
// minute after the last call, and takes some 200 bytes for each, up to 4 KB for one that is busy all the time.
type Limiter struct {
	cfg    Config
	period period
	start  time.Time

	mu      sync.Mutex
	users   map[string]*user
	project budget
	order   uint64 // of the waiter that came last

	// Of those who wait: users whose first waiter may go later, and those whose first may go as soon as the
	// project has room, by the class of that waiter.
	delayed pile
	ready   [classes]pile
	waiting [classes]int // units of all waiters

	timer  *time.Timer
	armed  time.Duration // when the timer fires; never: it does not
	outage time.Duration // until then the Pool is not asked
}

// New returns the Limiter that cfg describes.
//
// Errors: *ConfigError.
func New(cfg Config) (*Limiter, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	l := &Limiter{
		cfg:    cfg,
		period: periodOf(cfg.Window),
		start:  time.Now(),
		users:  make(map[string]*user),
		armed:  never,
	}
	l.project.paid = -l.period.second
	return l, nil
}

// now returns the time since the Limiter's start.
func (l *Limiter) now() time.Duration { return time.Since(l.start) }

// Acquire waits until r may be made, and returns the permit for it, which must come to its end by Done or
// Cancel. When ctx ends first, Acquire gives back what it had reserved and returns ctx's error. Within a class
// a user's requests go in the order in which they came.
//
// Errors: *CostError; *PausedError, without waiting; with a Pool also *PoolError; and ctx's.
func (l *Limiter) Acquire(ctx context.Context, r Request) (*Permit, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r = r.normal()
	if limit := min(l.cfg.PerUser, l.cfg.PerProject); r.Units > limit {
		return nil, &CostError{Units: r.Units, Limit: limit}
	}
	l.mu.Lock()
	now := l.now()
	u := l.user(r.User, now)
	if p := l.admitAtOnce(u, r, now); p != nil {
		l.mu.Unlock()
		return p, nil
	}
	if err := l.paused(ctx, u, now); err != nil {
		l.mu.Unlock()
		return nil, err
	}
	w := l.enqueue(u, r)
	l.place(u.queue, now)
	l.dispatch(now)
	l.mu.Unlock()
	return l.wait(ctx, w)
}

// wait waits until w has its permit or ctx ends.
func (l *Limiter) wait(ctx context.Context, w *waiter) (*Permit, error) {
	for {
		select {
		case s := <-w.wake:
			if s == granted {
				return w.permit, nil
			}
			if err := l.ask(ctx, w); err != nil {
				l.abandon(w)
				return nil, err
			}
		case <-ctx.Done():
			l.abandon(w)
			return nil, ctx.Err()
		}
	}
}

// abandon takes w, whose caller goes away, out of its queue, or gives back the permit that it has just been given.
func (l *Limiter) abandon(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if w.permit != nil {
		w.permit.end(now, true)
	} else {
		w.queue.remove(w)
		l.waiting[w.class] -= w.units
		if s := w.queue.user.shares; s != nil && s.asker == w {
			s.asker = nil
		}
		l.place(w.queue, now)
	}
	l.dispatch(now)
}

// paused returns an error where waiting is in vain because Google's pause outlasts ctx.
func (l *Limiter) paused(ctx context.Context, u *user, now time.Duration) error {
	deadline, ok := ctx.Deadline()
	quiet := max(u.quiet, l.project.quiet)
	if !ok || quiet <= now || !deadline.Before(l.start.Add(quiet)) {
		return nil
	}
	return &PausedError{User: u.name, For: quiet - now}
}

// Estimate returns in how much time, from now on, r will have been let go, if what is waiting already goes
// before it and nothing else comes meanwhile. Units may be those of a whole job, a hundred thousand say: then
// it is when the last call of the job goes, if they follow one another without a gap. With a Pool, it is the
// least that it can be, as if no other process spent anything.
func (l *Limiter) Estimate(r Request) time.Duration {
	r = r.normal()
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	inUser, inProject := r.Units, r.Units
	u := l.known(r.User, now)
	for c := r.Class; c < classes; c++ { // the class itself and those that overtake it
		if u.queue != nil {
			inUser += u.queue.lines[c].units
		}
		inProject += l.waiting[c]
	}
	even := r.Class == Background
	done := max(
		u.done(l.period, inUser, l.userLimit(u, now), even, now),
		l.project.done(l.period, inProject, l.projectLimit(now), even, now),
	)
	return done - now
}

// BatchSize returns how many calls like r, of r.Units each, should travel in one batch at present, at least
// one: as many as may be in flight and can be let go within a second. Larger batches would wait for their last
// part's units, and leave a part of the minute unused.
func (l *Limiter) BatchSize(r Request) int {
	r = r.normal()
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	soon := func(b *budget, limit int) int {
		return max(limit/60, b.spendable(l.period, limit, r.Class == Background, now))
	}
	u := l.known(r.User, now)
	inFlight := u.grip.of(l.period, l.cfg.BatchSize, now)
	units := min(soon(&u.budget, l.userLimit(u, now)), soon(&l.project, l.projectLimit(now)))
	return max(1, min(inFlight, units/max(r.Units, 1)))
}

// normal returns r with values that mean something.
func (r Request) normal() Request {
	r.Units, r.Calls = max(r.Units, 0), max(r.Calls, 1)
	if r.Class != Interactive {
		r.Class = Background
	}
	return r
}
