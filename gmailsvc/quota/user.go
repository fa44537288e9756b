package quota

import "time"

// A user is whom the Limiter knows: somebody with calls waiting, under way or not longer ago than a minute.
type user struct {
	name string
	budget
	grip   share    // of the calls in flight
	flight int      // weight of the calls in flight
	queue  *queue   // nil until somebody has waited
	shares *holding // of the Pool; nil without one
}

// sampled is how many users are looked at, whether they can be forgotten, for each one that is new. Two would
// do for the number of idle ones to stay in bounds.
const sampled = 8

// user returns the user of that name.
func (l *Limiter) user(name string, now time.Duration) *user {
	u := l.users[name]
	if u == nil {
		l.forget(now)
		u = l.stranger(name, now)
		l.users[name] = u
	}
	return u
}

// known returns the user of that name as well, and does not remember one who is new.
func (l *Limiter) known(name string, now time.Duration) *user {
	if u := l.users[name]; u != nil {
		return u
	}
	return l.stranger(name, now)
}

func (l *Limiter) stranger(name string, now time.Duration) *user {
	u := &user{name: name}
	u.paid = now - l.period.second
	if l.cfg.Pool != nil {
		u.shares = new(holding)
	}
	return u
}

// forget drops idle users among a few, in the map's random order, so that it shrinks without a list or a goroutine.
func (l *Limiter) forget(now time.Duration) {
	seen := 0
	for name, u := range l.users {
		if u.idle(l.period, now) {
			delete(l.users, name)
		}
		if seen++; seen == sampled {
			break
		}
	}
}

func (u *user) idle(p period, now time.Duration) bool {
	return u.flight == 0 && u.queue.empty() && u.budget.idle(p, now) && u.grip.value(p, now) == 1
}

// Calls in flight weigh as much of the capacity as they take of Concurrency or BatchSize, whichever lets fewer
// in: so a full batch fills it alone, and so do as many single calls as may be in flight.

func (l *Limiter) capacity() int { return l.cfg.Concurrency * l.cfg.BatchSize }

func (l *Limiter) weight(calls int) int {
	return min(max(l.cfg.BatchSize, calls*l.cfg.Concurrency), l.capacity())
}

// fits reports whether calls of that weight may be in flight beside the others.
func (l *Limiter) fits(u *user, weight int, now time.Duration) bool {
	return u.flight == 0 || u.flight+weight <= u.grip.of(l.period, l.capacity(), now)
}

// limit returns what of a budget this process may spend at present.
func (l *Limiter) limit(b *budget, limit int, now time.Duration) int {
	limit = b.share.of(l.period, limit, now)
	if now < l.outage {
		limit = int(float64(limit) * l.cfg.PoolShare)
	}
	return max(limit, 1)
}

func (l *Limiter) userLimit(u *user, now time.Duration) int {
	return l.limit(&u.budget, l.cfg.PerUser, now)
}

func (l *Limiter) projectLimit(now time.Duration) int {
	return l.limit(&l.project, l.cfg.PerProject, now)
}
