package gmailtest

import (
	"sync"
	"time"
)

// A meter counts what users ask of the Gmail API, and says when it is too much.
type meter struct {
	quota Quota
	now   func() time.Time

	mu      sync.Mutex // guards all below
	project account
	users   map[*Mailbox]*account
}

// An account is a user's, or the project's.
type account struct {
	Usage
	minute            minute
	inFlight, inBatch int // of the moment
	admitted, inside  int // of those, the ones that were not refused
}

func newMeter(q Quota, now func() time.Time) *meter {
	return &meter{quota: q, now: now, users: make(map[*Mailbox]*account)}
}

// account returns that of a user. The caller holds m.mu.
func (m *meter) account(user *Mailbox) *account {
	a := m.users[user]
	if a == nil {
		a = new(account)
		m.users[user] = a
	}
	return a
}

func (m *meter) usage(user *Mailbox) Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	if user == nil {
		return m.project.Usage
	}
	return m.account(user).Usage
}

// enter counts a call that begins, which may be one in a batch, and leave one that ends. Where ok is false
// there are too many.
func (m *meter) enter(user *Mailbox, batched bool) (ok bool, leave func()) {
	if user == nil {
		return true, func() {}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	a, limit := m.account(user), m.quota.ConcurrentPerUser
	admitted := &a.admitted
	if batched {
		admitted, limit = &a.inside, m.quota.ConcurrentInBatches
	}
	ok = limit == 0 || *admitted < limit
	if ok {
		*admitted++
	} else {
		a.Crowded++
		m.project.Crowded++
	}
	a.count(batched, 1)
	m.project.count(batched, 1)
	return ok, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if ok {
			*admitted--
		}
		a.count(batched, -1)
		m.project.count(batched, -1)
	}
}

func (a *account) count(batched bool, n int) {
	if batched {
		a.inBatch += n
		a.MostInBatches = max(a.MostInBatches, a.inBatch)
		return
	}
	a.inFlight += n
	a.MostInFlight = max(a.MostInFlight, a.inFlight)
}

// charge takes the units of a call, from the user and the project or from neither.
func (m *meter) charge(user *Mailbox, methodID string) *shortage {
	units := m.quota.Prices[methodID]
	m.mu.Lock()
	defer m.mu.Unlock()
	now, a := m.now(), m.account(user)
	if until, ok := a.minute.fits(now, units, m.quota.PerUserPerMinute); !ok {
		return m.reject(a, shortage{user: true, until: until})
	}
	if until, ok := m.project.minute.fits(now, units, m.quota.PerProjectPerMinute); !ok {
		return m.reject(a, shortage{until: until})
	}
	back := now.Truncate(time.Minute).Add(time.Minute)
	if m.quota.Sliding {
		back = now.Add(time.Minute)
	}
	for _, x := range []*account{a, &m.project} {
		x.Units += units
		x.minute.spend(units, back)
	}
	return nil
}

func (m *meter) reject(a *account, s shortage) *shortage {
	a.Rejected++
	m.project.Rejected++
	return &s
}

// A minute is what was spent and has not come back yet.
type minute struct {
	spent []spending // in the order in which it comes back
	units int        // their sum
}

type spending struct {
	units int
	back  time.Time
}

// fits reports whether units can be spent on top within the limit, or from when on they can.
func (m *minute) fits(now time.Time, units, limit int) (from time.Time, ok bool) {
	for len(m.spent) > 0 && !m.spent[0].back.After(now) {
		m.units -= m.spent[0].units
		m.spent = m.spent[1:]
	}
	if limit == 0 || m.units+units <= limit {
		return now, true
	}
	left := m.units
	for _, s := range m.spent {
		if left -= s.units; left+units <= limit {
			return s.back, false
		}
	}
	return now.Add(time.Minute), false // one call costs more than the limit
}

func (m *minute) spend(units int, back time.Time) {
	m.units += units
	if n := len(m.spent); n > 0 && m.spent[n-1].back.Equal(back) {
		m.spent[n-1].units += units
		return
	}
	m.spent = append(m.spent, spending{units, back})
}
