package gmailtest

import (
	"maps"
	"path"
	"sync"
)

// counters count operations by name.
type counters struct {
	mu sync.Mutex
	by map[string]int
}

func (c *counters) add(op string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = make(map[string]int)
	}
	c.by[op]++
}

// Count returns how often an operation was called, failed calls included. Operations are named "auth",
// "consent", "token.exchange", "token.refresh", "token.invalid" (no grant type that the server knows),
// "revoke", "userinfo", "certs", "discovery", "batch" (each call in it counts on its own too), "upload" (the
// pieces of a resumable upload, whose beginning is the call), and for Gmail by Google's method IDs, such as
// "gmail.users.messages.list". A pattern as path.Match knows it adds up all that match: "token.*" or
// "gmail.*".
func (s *Server) Count(op string) int {
	s.counters.mu.Lock()
	defer s.counters.mu.Unlock()
	n := 0
	for name, calls := range s.counters.by {
		if matched, err := path.Match(op, name); err == nil && matched {
			n += calls
		}
	}
	return n
}

// Counts returns how often each operation was called, without those that never were. The map is the caller's.
func (s *Server) Counts() map[string]int {
	s.counters.mu.Lock()
	defer s.counters.mu.Unlock()
	return maps.Clone(s.counters.by)
}
