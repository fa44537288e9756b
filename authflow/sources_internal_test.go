package authflow

import (
	"strconv"
	"testing"
	"time"
)

func TestOnlySourcesThatAreIdleAreEvicted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sources int
		idle    time.Duration
		busy    bool
		want    int // that go
	}{
		"long idle":           {100, idleAfter + time.Second, false, sampled},
		"idle for a moment":   {100, time.Second, false, 0},
		"at work, for nobody": {100, idleAfter + time.Second, true, 0},
		"idle for a moment, where there is no room":  {maxSources, time.Second, false, 1},
		"at work, where there is no room":            {maxSources, time.Second, true, 0},
		"at work for nobody, where there is no room": {maxSources, idleAfter + time.Second, true, 0},
		"idle for a moment, where one has room":      {maxSources - 1, time.Second, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &Flow{clock: clock{start: time.Now().Add(-time.Hour)}, sources: make(map[string]*source, c.sources)}
			for i := range c.sources {
				s := &source{used: f.clock.elapsed() - c.idle}
				if c.busy {
					s.call = new(call)
				}
				f.sources[strconv.Itoa(i)] = s
			}
			f.evict()
			if gone := c.sources - len(f.sources); gone != c.want {
				t.Errorf("%d went, want %d", gone, c.want)
			}
		})
	}
}
