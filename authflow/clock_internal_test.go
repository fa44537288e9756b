package authflow

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// withClock runs test with a clock that has run for a while, in a bubble.
func withClock(t *testing.T, test func(t *testing.T, c *clock)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &clock{start: time.Now()}
		<-time.After(time.Hour)
		test(t, c)
	})
}

// ask reads c so often, all at the same time.
func ask(c *clock, calls int) {
	for range calls {
		c.reckon()
	}
}

// running reports whether c's timer was still to fire, and stops it.
func (c *clock) running() bool { return c.timer != nil && c.timer.Stop() }

func TestOnlyACrowdSharesAReading(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		calls int
		every time.Duration
		want  bool
	}{
		"one caller":                   {1, 0, false},
		"a few callers":                {crowd - 1, 0, false},
		"a crowd":                      {crowd, 0, true},
		"a crowd that comes in a tick": {crowd, tick / (2 * crowd), true},
		"as many one after another":    {10 * crowd, 2 * tick / crowd, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withClock(t, func(t *testing.T, clock *clock) {
				for range c.calls {
					clock.reckon()
					if c.every > 0 {
						<-time.After(c.every)
					}
				}
				if shared := clock.shared.Load() != 0; shared != c.want || clock.running() != c.want {
					t.Errorf("a reading is shared: %v", shared)
				}
			})
		})
	}
}

func TestASharedReadingIsAheadByATickAtMost(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, c *clock) {
		for range 10_000 {
			if ahead := c.reckon() - c.elapsed(); ahead < 0 || ahead > tick {
				t.Fatalf("it is ahead by %v", ahead)
			}
			if rand.N(200) == 0 {
				<-time.After(rand.N(2 * tick))
			}
		}
	})
}

func TestNoTimerOutlivesTheCrowd(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, c *clock) {
		for range 3 {
			ask(c, 5*crowd)
			<-time.After(tick)
			synctest.Wait()
			if c.shared.Load() != 0 || c.running() {
				t.Error("a tick later a reading is shared, or a timer runs")
			}
		}
	})
}

func TestNoTimerOutlivesClose(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, c *clock) {
		ask(c, crowd)
		c.close()
		for range 2 {
			if c.shared.Load() != 0 || c.running() {
				t.Error("a reading is shared, or a timer runs")
			}
			ask(c, 5*crowd)
		}
		c.close()
	})
}

func TestNoTimerOutlivesAFlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys, err := tokenstore.ParseKeyring(tokenstore.GenerateKey())
		if err != nil {
			t.Fatal(err)
		}
		flow, err := New(Config{
			ClientID: "client", ClientSecret: "secret", RedirectURL: "https://app.example/callback", Scopes: []string{"mail"},
			Store: tokenstore.NewMemory(), Keys: keys,
		})
		if err != nil {
			t.Fatal(err)
		}
		ask(&flow.clock, crowd)
		if err := flow.Close(); err != nil || flow.clock.running() {
			t.Errorf("a timer runs: %v", err)
		}
	})
}

func TestAReadingFromBeforeAPauseIsNotShared(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, c *clock) {
		for _, pause := range []time.Duration{tick / 2, tick - 1, tick, time.Minute} { // of the goroutine, or of the process
			ask(c, crowd-1)
			before := c.elapsed()
			<-time.After(pause)
			c.count(before)
			if shared := c.shared.Load() != 0; shared != (pause < tick) {
				t.Errorf("after %v it is shared: %v", pause, shared)
			}
			<-time.After(tick / 2)
			synctest.Wait()
			if c.shared.Load() != 0 {
				t.Errorf("after %v a reading is shared that is behind by %v", pause, c.elapsed()-c.reckon())
			}
			<-time.After(tick)
		}
	})
}
