package authflow

import (
	"context"
	"math"
	"math/rand/v2"
	"time"
)

// A backoff is a rhythm of pauses that grow. They are jittered, so that those who failed together don't come back together.
type backoff struct {
	first, longest time.Duration
	growth         float64 // from one pause to the next
}

// pause returns the pause that follows so many others: at random between half of what it has grown to and all of it.
func (b backoff) pause(others int) time.Duration {
	p := time.Duration(min(float64(b.first)*math.Pow(b.growth, float64(others)), float64(b.longest)))
	return p/2 + rand.N(p/2+1)
}

// wait waits for the pause that follows so many others, or until ctx ends.
func (b backoff) wait(ctx context.Context, others int) error {
	return sleep(ctx, b.pause(others))
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
