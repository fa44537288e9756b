package quota_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// A ledger is a quota.Pool in memory: it keeps the promises of one, and no more. It does not spread background
// work.
type ledger struct {
	latency time.Duration // of a Reserve
	after   time.Duration // of every grant for background work

	mu     sync.Mutex
	down   bool
	grants map[string][]*entry // of users, and of the project as ""
	quiet  map[string]time.Duration
	last   int64
	asked  []quota.Reservation
}

type entry struct {
	id    int64
	units int
	from  time.Duration // its units come back a minute after that
}

func newLedger(latency time.Duration) *ledger {
	return &ledger{latency: latency, grants: make(map[string][]*entry), quiet: make(map[string]time.Duration)}
}

var errDown = errors.New("the pool is down")

func (p *ledger) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// reservations returns what was asked since it was called last.
func (p *ledger) reservations() []quota.Reservation {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := p.asked
	p.asked = nil
	return asked
}

func (p *ledger) Reserve(ctx context.Context, r quota.Reservation) (quota.Grant, error) {
	select {
	case <-time.After(p.latency):
	case <-ctx.Done():
		return quota.Grant{}, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return quota.Grant{}, errDown
	}
	p.asked = append(p.asked, r)
	now := time.Since(epoch)
	p.last++
	wait, units := time.Duration(0), r.Want
	for _, a := range []struct {
		name  string
		limit int
		quiet time.Duration
	}{{r.User, r.PerUser, r.QuietUser}, {"", r.PerProject, r.QuietProject}} {
		p.quiet[a.name] = max(p.quiet[a.name], now+a.quiet)
		sum, first := p.book(a.name, r, now)
		if sum+r.Need > max(a.limit, r.Need) {
			wait = max(wait, first-now)
		}
		wait = max(wait, p.quiet[a.name]-now)
		units = min(units, max(r.Need, a.limit-sum))
	}
	if wait > 0 {
		return quota.Grant{Retry: min(wait, 5*time.Second)}, nil
	}
	for _, name := range []string{r.User, ""} {
		p.grants[name] = append(p.grants[name], &entry{p.last, units, now + time.Second + 15*time.Second})
	}
	g := quota.Grant{ID: p.last, Units: units, For: time.Second}
	if r.Class == quota.Background {
		g.After, g.For = p.after, p.after+time.Second
	}
	return g, nil
}

// book carries out the reports in an account, and returns what is out of it, and when the first of that comes back.
func (p *ledger) book(name string, r quota.Reservation, now time.Duration) (sum int, first time.Duration) {
	for _, report := range r.Reports {
		for _, e := range p.grants[name] {
			if e.id == report.ID && e.from+minuteAndMargin > now {
				e.units -= report.Spent + report.Unused
				p.grants[name] = append(p.grants[name], &entry{0, report.Spent, now})
				break
			}
		}
	}
	p.grants[name] = append(p.grants[name], &entry{0, r.Unasked, now})
	var out []*entry
	first = now + time.Hour
	for _, e := range p.grants[name] {
		back := e.from + minuteAndMargin
		if e.units > 0 && back > now {
			out = append(out, e)
			sum += e.units
			first = min(first, back)
		}
	}
	p.grants[name] = out
	return sum, first
}
