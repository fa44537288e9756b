package quota

import "time"

// All methods here are called with l.mu held. What changes anything calls place for the user whom it concerns and
// dispatch afterwards.

// admitAtOnce returns a permit if nobody waits who would have to be asked first.
func (l *Limiter) admitAtOnce(u *user, r Request, now time.Duration) *Permit {
	weight := l.weight(r.Calls)
	if !u.queue.empty() || len(l.ready[Interactive])+len(l.ready[Background]) > 0 || !l.fits(u, weight, now) {
		return nil
	}
	even := r.Class == Background
	if u.when(l.period, r.Units, l.userLimit(u, now), even, now) > now ||
		l.projectWhen(r.Class, r.Units, even, now) > now {
		return nil
	}
	var g *grant
	if l.pooled(r.Units, now) {
		if g = u.shares.covering(r.Units, now); g == nil {
			return nil
		}
	}
	return l.admit(u, r.Class, r.Units, weight, g, now)
}

// admit takes what a call needs, and returns the permit for it.
func (l *Limiter) admit(u *user, c Class, units, weight int, g *grant, now time.Duration) *Permit {
	u.flight += weight
	if g != nil {
		g.take(units)
	}
	return &Permit{
		limiter: l, user: u, grant: g, units: units, class: c, weight: weight, started: now,
		userCost:    u.take(l.period, units, c, l.userLimit(u, now), now),
		projectCost: l.project.take(l.period, units, c, l.projectLimit(now), now),
	}
}

// enqueue puts a request behind those of its class.
func (l *Limiter) enqueue(u *user, r Request) *waiter {
	if u.queue == nil {
		u.queue = &queue{user: u}
	}
	l.order++
	w := &waiter{
		queue: u.queue, class: r.Class, units: r.Units, weight: l.weight(r.Calls),
		order: l.order, wake: make(chan signal, 2),
	}
	u.queue.push(w)
	l.waiting[w.class] += w.units
	return w
}

// place puts q into the pile where its first waiter belongs: into none where only the end of a call in flight,
// or the answer of the Pool, can help.
func (l *Limiter) place(q *queue, now time.Duration) {
	q.leave()
	w, even := l.first(q, now)
	if w == nil {
		return
	}
	u := q.user
	if l.cfg.Pool != nil && (u.untold || l.project.untold) && now >= l.outage {
		l.sendToAsk(u, w) // that Google wants quiet, others should know at once
		return
	}
	if !l.fits(u, w.weight, now) {
		return
	}
	at := u.when(l.period, w.units, l.userLimit(u, now), even, now)
	if at == now && l.pooled(w.units, now) {
		at = l.covered(u, w, now)
	}
	if now < l.outage {
		at = min(at, l.outage) // the limits will be others then
	}
	switch at {
	case never:
	case now:
		l.ready[w.class].put(q, int64(w.order))
	default:
		l.delayed.put(q, int64(at))
	}
}

// dispatch lets everybody go whose time has come, and sees that it is called again when that of the next one comes.
func (l *Limiter) dispatch(now time.Duration) {
	for q := l.delayed.top(); q != nil && time.Duration(q.at) <= now; q = l.delayed.top() {
		l.place(q, now)
	}
	next := never
	for {
		q, even := l.pick(now)
		if q == nil {
			break
		}
		w, evenly := l.first(q, now)
		at := l.projectWhen(w.class, w.units, even && evenly, now)
		if at > now {
			next = at
			break
		}
		l.letGo(w, now)
		l.place(q, now)
	}
	if q := l.delayed.top(); q != nil {
		next = min(next, time.Duration(q.at))
	}
	l.arm(next, now)
}

// first returns who of a queue is the next to go, and whether it has to keep to the even pace. Background work
// that gets its part while people wait does not: their haste would hold it up for ever.
func (l *Limiter) first(q *queue, now time.Duration) (w *waiter, even bool) {
	background, interactive := q.lines[Background].head, q.lines[Interactive].head
	switch {
	case interactive == nil:
		return background, true
	case background != nil && !q.user.mayPeople(l.period, interactive.units, l.userLimit(q.user, now), now):
		return background, false
	}
	return interactive, false
}

// pick returns, of the queues that only wait for the project, the one whose first is the next to go, likewise.
func (l *Limiter) pick(now time.Duration) (q *queue, even bool) {
	background, interactive := l.ready[Background].top(), l.ready[Interactive].top()
	switch {
	case interactive == nil:
		return background, true
	case background != nil:
		if w, _ := l.first(interactive, now); !l.project.mayPeople(l.period, w.units, l.projectLimit(now), now) {
			return background, false
		}
	}
	return interactive, false
}

// projectWhen returns when the project has room for a request, where people leave waiting background work its part.
func (l *Limiter) projectWhen(c Class, units int, even bool, now time.Duration) time.Duration {
	limit := l.projectLimit(now)
	at := l.project.when(l.period, units, limit, even, now)
	if c == Interactive && l.waiting[Background] > 0 {
		at = max(at, l.project.peopleAt(l.period, units, limit, now))
	}
	return at
}

// letGo gives the first waiter of a ready queue its permit.
func (l *Limiter) letGo(w *waiter, now time.Duration) {
	q, u := w.queue, w.queue.user
	var g *grant
	if l.pooled(w.units, now) {
		if g = u.shares.covering(w.units, now); g == nil {
			return // it ran out while the project had no room; place asks for another
		}
	}
	q.remove(w)
	l.waiting[w.class] -= w.units
	w.permit = l.admit(u, w.class, w.units, w.weight, g, now)
	w.wake <- granted
}

// arm sets the timer.
func (l *Limiter) arm(at, now time.Duration) {
	if at == l.armed {
		return
	}
	l.armed = at
	switch {
	case at == never:
		l.timer.Stop()
	case l.timer == nil:
		l.timer = time.AfterFunc(at-now, l.ring)
	default:
		l.timer.Reset(at - now)
	}
}

// ring is what the timer calls.
func (l *Limiter) ring() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = never
	l.dispatch(l.now())
}
