package authflow

import (
	"sync"
	"sync/atomic"
	"time"
)

// A clock is the monotonic clock of a Flow. To read the system's is nearly all that Token on a live token would take, so
// where it is read many times in a moment, all who come until the tick ends share one reading: reckon.
//
// A shared reading is ahead, by a tick at most. It ends by a timer that nobody sets again before the next crowd, so an idle
// Flow has none. Where that timer is late, the clock is behind: by some 30 ms in a process whose goroutines never wait, which
// the expiry margin hides, and by any time where the process stood still, but then the timer fires within milliseconds once it
// goes on. In these a crowd that was there before can be served what has expired, as can whoever asked just before. A
// process that is frozen between requests, as serverless platforms do, has no crowd, and reads the system's clock.
type clock struct {
	start  time.Time    // its zero
	shared atomic.Int64 // the reading that holds until the tick ends; 0: none

	mu     sync.Mutex
	since  time.Duration // when the moment began in which calls are counted
	calls  int
	timer  *time.Timer // nil until the first crowd
	closed bool
}

const (
	tick  = 10 * time.Millisecond
	crowd = 100 // calls within a tick
)

// elapsed returns the time since the clock started, from the system.
func (c *clock) elapsed() time.Duration { return time.Since(c.start) }

// reckon returns what elapsed does, or up to a tick more, in a tenth of the time where many ask.
func (c *clock) reckon() time.Duration {
	if now := c.shared.Load(); now != 0 {
		return time.Duration(now)
	}
	return c.readAndCount()
}

func (c *clock) readAndCount() time.Duration {
	now := c.elapsed()
	if c.mu.TryLock() { // who meets others counts without being counted
		c.count(now)
		c.mu.Unlock()
	}
	return now
}

// count shares the reading now if it is the last of a crowd. c.mu is held.
func (c *clock) count(now time.Duration) {
	if now-c.since >= tick {
		c.since, c.calls = now, 0
	}
	if c.calls++; c.calls < crowd || c.closed {
		return
	}
	c.calls = 0
	left := now + tick - c.elapsed()
	if left <= 0 { // now was read before a pause
		return
	}
	c.shared.Store(int64(now + tick))
	if c.timer == nil {
		c.timer = time.AfterFunc(left, c.end)
	} else {
		c.timer.Reset(left)
	}
}

// end ends the reading that is shared.
func (c *clock) end() { c.shared.Store(0) }

// close makes everybody read the system's clock from now on. No timer is left.
func (c *clock) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.end()
}
