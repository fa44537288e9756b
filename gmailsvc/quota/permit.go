package quota

import "time"

// A Permit is for one call, or one batch of calls. It is safe for concurrent use.
type Permit struct {
	limiter *Limiter
	user    *user
	grant   *grant // of the Pool's that it spends; nil: none
	units   int
	class   Class
	weight  int
	started time.Duration

	userCost, projectCost time.Duration
	over                  bool
}

// Done says that the call is over, and with which outcome, or outcomes if it was a batch; none, if there was no
// answer to learn from. Call it when the answer has been read: from then on the units count for a minute, and
// another call may be in flight. Only the first call of Done or Cancel has an effect.
func (p *Permit) Done(outcomes ...Outcome) {
	l := p.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.over {
		return
	}
	now := l.now()
	rejected := false
	for _, o := range outcomes {
		rejected = rejected || o.Rejected != NotRejected
		l.learn(p, o, now)
	}
	if !rejected && len(outcomes) > 0 {
		p.user.accepted(p.started)
		l.project.accepted(p.started)
	}
	p.end(now, false)
	l.dispatch(now)
}

// Cancel says that the call was never sent, and gives back what the permit took. After Done it has no effect,
// so that it can be deferred.
func (p *Permit) Cancel() {
	l := p.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.over {
		return
	}
	now := l.now()
	p.end(now, true)
	l.dispatch(now)
}

// end ends the permit. l.mu is held, and dispatch has to follow.
func (p *Permit) end(now time.Duration, unsent bool) {
	p.over = true
	l, u := p.limiter, p.user
	u.flight -= p.weight
	if unsent {
		u.giveBack(p.units, p.class, p.userCost)
		l.project.giveBack(p.units, p.class, p.projectCost)
	} else {
		u.settle(l.period, p.units, p.class, now)
		l.project.settle(l.period, p.units, p.class, now)
	}
	if l.cfg.Pool != nil {
		u.shares.end(p, unsent)
	}
	if !u.queue.empty() {
		l.place(u.queue, now)
	}
}

// learn adapts the shares to an outcome.
func (l *Limiter) learn(p *Permit, o Outcome, now time.Duration) {
	u := p.user
	switch o.Rejected {
	case NotRejected:
	case UserRate:
		u.reject(l.period, &u.share, afterRate, p.started, o.RetryAfter, now)
	case Concurrency:
		u.reject(l.period, &u.grip, afterConcurrency, p.started, o.RetryAfter, now)
	case ProjectRate:
		l.project.reject(l.period, &l.project.share, afterRate, p.started, o.RetryAfter, now)
	}
}
