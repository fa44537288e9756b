package quota

import "time"

// A budget is a limit, of a user or of the project, with what was spent of it and what Google has said about it.
type budget struct {
	account
	share   share
	quiet   time.Duration // until then Google wants to be left alone
	strikes uint8         // rejections in a row
	untold  bool          // the Pool does not know of quiet yet
}

const (
	// afterRate and afterConcurrency are what a rejection leaves of a share. The units a minute are published,
	// so that little is to be learnt; the calls in flight are not.
	afterRate        = 0.8
	afterConcurrency = 0.5
)

// reject learns from the rejection of a call that started at the given time. It cuts s, one of the shares, once
// for all calls that were under way together.
func (b *budget) reject(p period, s *share, rest float64, started, retryAfter, now time.Duration) {
	if s.loss == 0 || started > s.at {
		s.cut(p, rest, now)
		b.strikes = min(b.strikes+1, 7) // 2^6 seconds are more than a minute
	}
	if retryAfter == 0 {
		retryAfter = min(p.second<<(max(b.strikes, 1)-1), 60*p.second)
	}
	if until := now + retryAfter; until > b.quiet {
		b.quiet, b.untold = until, true
	}
}

// accepted says that a call that started at the given time was not rejected.
func (b *budget) accepted(started time.Duration) {
	if started > b.quiet {
		b.strikes = 0
	}
}

// idle reports whether there is nothing to remember.
func (b *budget) idle(p period, now time.Duration) bool {
	b.expire(p, now)
	return b.sum == 0 && b.flying == 0 && b.quiet <= now && b.paid <= now && b.share.value(p, now) == 1
}

// when returns when so many units may be spent: evenly, or as soon as there is room.
func (b *budget) when(p period, units, limit int, even bool, now time.Duration) time.Duration {
	if limit >= unlimited {
		return max(b.quiet, now)
	}
	// A limit that was cut must still let the dearest request go, when nothing else is under way.
	at := max(b.roomAt(p, units, max(limit, units), now), b.quiet)
	if even {
		at = max(at, b.paid)
	}
	return max(at, now)
}

// spendable returns how many units may be spent now.
func (b *budget) spendable(p period, limit int, even bool, now time.Duration) int {
	if b.quiet > now {
		return 0
	}
	room := b.room(p, limit, now)
	if even {
		due := now - max(b.paid, now-p.second)
		room = min(room, int(float64(limit)*float64(due)/float64(p.window)))
	}
	return room
}

// done returns when so many units will have been spent, beside what is under way.
func (b *budget) done(p period, units, limit int, even bool, now time.Duration) time.Duration {
	at := max(now, b.quiet)
	if even {
		at = max(at, max(b.paid, at-p.second)+p.cost(units, limit))
	}
	if units == 0 {
		return at
	}
	// Past what is left of this minute, every full limit takes another one.
	minutes := (units - 1) / limit
	room := b.roomAt(p, units-minutes*limit, limit, now)
	if room == never {
		room = now + p.window // what is under way comes back a minute after it has ended
	}
	return max(at, room+time.Duration(minutes)*p.window)
}
