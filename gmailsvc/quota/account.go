package quota

import (
	"math"
	"time"
)

// never is when room comes that only the end of a call in flight can make.
const never = time.Duration(math.MaxInt64)

// Times are counted from the Limiter's start, on the monotonic clock.

// A period is the minute and its parts.
type period struct {
	window time.Duration // the minute, and a little for clocks that run faster than Google's
	tick   time.Duration // units that are spent within a tick come back together, at the latest one's time
	second time.Duration // even spending may catch up this much
}

func periodOf(window time.Duration) period {
	return period{window: window + window/200, tick: window / 240, second: window / 60}
}

// An account is what was spent of a limit in the last minute.
type account struct {
	spent  []spending // the oldest first
	sum    int        // of spent, in units
	flying int        // units of calls under way, of which nobody knows yet when Google counts them
	people int        // those of class Interactive, of both

	// paid is until when the units taken so far last at an even pace.
	paid time.Duration
}

// A spending is what was spent in one tick.
type spending struct {
	tick   int32
	units  int32
	people int32 // of them, those of class Interactive
}

// background is the part of a limit that is left to background work while people could use up everything.
const background = 0.1

// forPeople returns the rest of it.
func forPeople(limit int) int { return limit - int(background*float64(limit)) }

// back is when the units come back.
func (p period) back(s spending) time.Duration { return time.Duration(s.tick)*p.tick + p.window }

// expire forgets what was spent more than a minute ago.
func (a *account) expire(p period, now time.Duration) {
	n := 0
	for n < len(a.spent) && p.back(a.spent[n]) <= now {
		a.sum -= int(a.spent[n].units)
		a.people -= int(a.spent[n].people)
		n++
	}
	switch n {
	case 0:
	case len(a.spent):
		a.spent = nil
	default:
		a.spent = a.spent[n:]
	}
}

// room returns how many units are left now.
func (a *account) room(p period, limit int, now time.Duration) int {
	a.expire(p, now)
	return limit - a.sum - a.flying
}

// roomAt returns when there is room for so many units, which is now at the earliest.
func (a *account) roomAt(p period, units, limit int, now time.Duration) time.Duration {
	room := a.room(p, limit, now)
	if room >= units {
		return now
	}
	for _, s := range a.spent {
		if room += int(s.units); room >= units {
			return p.back(s)
		}
	}
	return never
}

// peopleAt returns when people may have so many units more, if they leave background work its part.
func (a *account) peopleAt(p period, units, limit int, now time.Duration) time.Duration {
	if a.mayPeople(p, units, limit, now) {
		return now
	}
	people := a.people
	for _, s := range a.spent {
		if people -= int(s.people); people == 0 || people+units <= forPeople(limit) {
			return p.back(s)
		}
	}
	return never
}

// mayPeople reports whether that is now. The first request may be of any size.
func (a *account) mayPeople(p period, units, limit int, now time.Duration) bool {
	a.expire(p, now)
	return a.people == 0 || a.people+units <= forPeople(limit)
}

// cost is how long so many units last at an even pace.
func (p period) cost(units, limit int) time.Duration {
	return time.Duration(float64(p.window) * float64(units) / float64(limit))
}

// take takes units for a call that is about to start, and returns how long they last at an even pace.
func (a *account) take(p period, units int, class Class, limit int, now time.Duration) time.Duration {
	cost := p.cost(units, limit)
	a.flying += units
	a.people += int(class) * units
	a.paid = max(a.paid, now-p.second) + cost
	return cost
}

// giveBack undoes take for a call that did not start.
func (a *account) giveBack(units int, class Class, cost time.Duration) {
	a.flying -= units
	a.people -= int(class) * units
	a.paid -= cost
}

// settle says that a call has ended, so that Google has counted it by now.
func (a *account) settle(p period, units int, class Class, now time.Duration) {
	a.flying -= units
	if units == 0 {
		return
	}
	a.sum += units
	s := spending{tick: int32((now + p.tick - 1) / p.tick), units: int32(units), people: int32(int(class) * units)}
	if n := len(a.spent); n > 0 && a.spent[n-1].tick == s.tick && units <= math.MaxInt32-int(a.spent[n-1].units) {
		a.spent[n-1].units += s.units
		a.spent[n-1].people += s.people
		return
	}
	a.spent = append(a.spent, s)
}
