package sqlstore

import (
	"context"
	"math/rand/v2"
	"time"
)

// How often and how long a statement that the database has taken back is tried again. A winner is never
// taken back, so some writer gets on with every round; the rest is for the crowd to disperse.
const (
	maxTries   = 16
	maxTrying  = 10 * time.Second
	firstPause = time.Millisecond
	maxPause   = 250 * time.Millisecond
)

// retry calls try until the database doesn't take it back any more, or the patience or ctx ends.
func (s *Store) retry(ctx context.Context, try func() error) error {
	start := time.Now()
	pause := firstPause
	for tries := 1; ; tries++ {
		err := try()
		if err == nil || !s.dialect.undone(err) || tries == maxTries || time.Since(start) > maxTrying {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(rand.N(pause) + 1):
			pause = min(2*pause, maxPause)
		}
	}
}
