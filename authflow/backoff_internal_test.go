package authflow

import (
	"testing"
	"time"
)

func TestPausesGrowAndAreJittered(t *testing.T) {
	t.Parallel()
	b := backoff{first: time.Second, longest: 30 * time.Second, growth: 2}
	for others, whole := range map[int]time.Duration{
		0: time.Second, 1: 2 * time.Second, 2: 4 * time.Second, 4: 16 * time.Second, 5: b.longest, 62: b.longest, 1 << 40: b.longest,
	} {
		seen := make(map[time.Duration]bool)
		for range 100 {
			p := b.pause(others)
			if p < whole/2 || p > whole {
				t.Fatalf("after %d others a pause is %v; want %v to %v", others, p, whole/2, whole)
			}
			seen[p] = true
		}
		if len(seen) < 50 {
			t.Errorf("of 100 pauses after %d others %d differ", others, len(seen))
		}
	}
}
