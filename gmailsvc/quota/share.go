package quota

import "time"

// A share is the part of a limit that is used: all of it, until Google rejects a call. Somebody else may spend
// of the same quota, or the true limit may be lower than the published one.
type share struct {
	loss float64       // at the last rejection
	at   time.Duration // of the last rejection
}

const (
	// recovery is how much of the limit is tried again with every minute that sees no rejection.
	recovery = 0.1
	// leastShare is what remains after any number of rejections.
	leastShare = 0.05
)

func (s share) value(p period, now time.Duration) float64 {
	if s.loss == 0 {
		return 1
	}
	return 1 - max(0, s.loss-recovery*float64(now-s.at)/float64(p.window))
}

// cut leaves so much of the share.
func (s *share) cut(p period, rest float64, now time.Duration) {
	s.loss = 1 - max(leastShare, s.value(p, now)*rest)
	s.at = now
}

// of returns the share of limit, at least 1.
func (s share) of(p period, limit int, now time.Duration) int {
	if s.loss == 0 {
		return limit
	}
	return max(1, int(float64(limit)*s.value(p, now)))
}
