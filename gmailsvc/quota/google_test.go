package quota_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// A google counts units as Google may do, and rejects what is too much. It lives on the clock of a synctest bubble.
type google struct {
	minute  minute
	limit   int           // units a minute for each user; 0: none
	latency time.Duration // of a call on average; the real one varies between half of it and three halves
	most    int           // calls in flight for a user; 0: any number

	mu       sync.Mutex
	chance   *rand.Rand
	users    map[string]*counted
	rejected int
	units    int // of the calls that were let through
}

// A minute is a way to count one.
type minute interface {
	// spend reports whether units may be spent at a point in time, and counts them if so.
	spend(c *counted, at time.Duration, units, limit int) bool
}

// A counted is what was counted of a user.
type counted struct {
	spent    []charge
	level    float64 // of a bucket: what is missing
	at       time.Duration
	inFlight int
	peak     int
}

type charge struct {
	at    time.Duration
	units int
}

func newGoogle(m minute, latency time.Duration) *google {
	return &google{minute: m, limit: 6000, latency: latency, chance: rand.New(rand.NewPCG(1, 2)), users: make(map[string]*counted)}
}

// enter counts calls of the user that are in flight from now on.
func (g *google) enter(user string, calls int) *counted {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.users[user]
	if c == nil {
		c = new(counted)
		g.users[user] = c
	}
	c.inFlight += calls
	c.peak = max(c.peak, c.inFlight)
	return c
}

func (g *google) leave(c *counted, calls int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.inFlight -= calls
}

// pause lasts as long as one way of a call.
func (g *google) pause() {
	g.mu.Lock()
	way := time.Duration(float64(g.latency) * (0.25 + g.chance.Float64()/2))
	g.mu.Unlock()
	<-time.After(way)
}

// call makes calls of so many units altogether, and says what came of it.
func (g *google) call(user string, units, calls int) quota.Outcome {
	c := g.enter(user, calls)
	defer g.leave(c, calls)
	g.pause()
	outcome := g.count(c, units)
	g.pause()
	return outcome
}

// count does what Google does at one moment between a call and its answer.
func (g *google) count(c *counted, units int) quota.Outcome {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch at := time.Since(epoch); {
	case g.most > 0 && c.inFlight > g.most:
		g.rejected++
		return quota.Outcome{Rejected: quota.Concurrency}
	case g.limit > 0 && !g.minute.spend(c, at, units, g.limit):
		g.rejected++
		return quota.Outcome{Rejected: quota.UserRate}
	}
	g.units += units
	return quota.Outcome{}
}

// epoch is the time at which every synctest bubble begins.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// sliding looks back for a minute from every call.
type sliding struct{}

func (sliding) spend(c *counted, at time.Duration, units, limit int) bool {
	for len(c.spent) > 0 && c.spent[0].at <= at-time.Minute {
		c.spent = c.spent[1:]
	}
	return c.add(at, units, limit)
}

// fixed starts a minute at the given second of every one.
type fixed struct{ second int }

func (f fixed) spend(c *counted, at time.Duration, units, limit int) bool {
	begun := (at - time.Duration(f.second)*time.Second).Truncate(time.Minute) + time.Duration(f.second)*time.Second
	for len(c.spent) > 0 && c.spent[0].at < begun {
		c.spent = c.spent[1:]
	}
	return c.add(at, units, limit)
}

func (c *counted) add(at time.Duration, units, limit int) bool {
	sum := units
	for _, s := range c.spent {
		sum += s.units
	}
	if sum > limit {
		return false
	}
	c.spent = append(c.spent, charge{at, units})
	return true
}

// bucket holds a minute's units and is refilled all the time.
type bucket struct{}

func (bucket) spend(c *counted, at time.Duration, units, limit int) bool {
	c.level = max(0, c.level-float64(limit)*(at-c.at).Minutes())
	c.at = at
	if c.level+float64(units) > float64(limit) {
		return false
	}
	c.level += float64(units)
	return true
}

func newLimiter(t testing.TB, cfg quota.Config) *quota.Limiter {
	t.Helper()
	l, err := quota.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
