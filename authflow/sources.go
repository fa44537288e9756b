package authflow

import "time"

// How many users a Flow keeps a source for, and for how long nobody needs to ask for it to go. An evicted source keeps
// working for the Credentials that hold it.
const (
	maxSources = 100_000
	idleAfter  = 10 * time.Minute
	sampled    = 8
)

// source returns the source of userID.
func (f *Flow) source(userID string) *source {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sources[userID]
	if s == nil {
		f.evict()
		s = &source{flow: f, userID: userID, used: f.clock.elapsed()}
		f.sources[userID] = s
	}
	return s
}

// evict looks at a few sources, in the map's random order, and drops the idle ones; where the cache is full it
// drops the one that was idle longest. So the cache shrinks as it is used, without a list or a goroutine. f.mu is held.
func (f *Flow) evict() {
	now := f.clock.elapsed()
	var oldest string
	longest := time.Duration(-1)
	seen := 0
	for userID, s := range f.sources {
		idle, busy := s.idle(now)
		if !busy && idle > idleAfter {
			delete(f.sources, userID)
		} else if !busy && idle > longest {
			oldest, longest = userID, idle
		}
		if seen++; seen == sampled {
			break
		}
	}
	if len(f.sources) >= maxSources && longest >= 0 {
		delete(f.sources, oldest)
	}
}

// idle returns how long nobody has asked s for anything, and whether it is at work. It does not wait for s.mu, whose holder may
// be waiting for f.mu.
func (s *source) idle(now time.Duration) (time.Duration, bool) {
	if !s.mu.TryLock() {
		return 0, true
	}
	defer s.mu.Unlock()
	return now - s.used, s.call != nil
}
