package integration_test

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A judge counts, as Google would, what processes spend, and rejects what is above a limit in the minute that
// ends with the call.
type judge struct {
	address string
	limit   int // for each user; "project" is a user, too, whom everything counts for
	project int
	minute  time.Duration

	mu          sync.Mutex
	spent       map[string][]spending
	first, last time.Time // calls
	units       int       // let through
	rejected    int
}

type spending struct {
	at    time.Time
	units int
}

// newJudge returns a judge that listens until the test ends.
func newJudge(t *testing.T, limit, project int, minute time.Duration) *judge {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	j := &judge{
		address: listener.Addr().String(), limit: limit, project: project, minute: minute,
		spent: make(map[string][]spending),
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			wg.Go(func() { j.serve(conn) })
		}
	})
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { listener.Close() })
	return j
}

// serve reads lines of a user and of units, and answers each.
func (j *judge) serve(conn net.Conn) {
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		user, text, _ := strings.Cut(lines.Text(), " ")
		units, err := strconv.Atoi(text)
		if err != nil {
			return
		}
		if _, err := fmt.Fprintln(conn, j.judge(user, units)); err != nil {
			return
		}
	}
}

func (j *judge) judge(user string, units int) (allowed bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	if j.within(user, now)+units > j.limit || j.within("project", now)+units > j.project {
		j.rejected++
		return false
	}
	if j.units == 0 {
		j.first = now
	}
	j.last = now
	j.units += units
	for _, name := range []string{user, "project"} {
		j.spent[name] = append(j.spent[name], spending{now, units})
	}
	return true
}

// within returns what was spent in the minute that ends now.
func (j *judge) within(user string, now time.Time) int {
	of := j.spent[user]
	for len(of) > 0 && now.Sub(of[0].at) >= j.minute {
		of = of[1:]
	}
	j.spent[user] = of
	sum := 0
	for _, s := range of {
		sum += s.units
	}
	return sum
}

// verdict returns what part was used of what the project had between the first call and the last, and how many
// calls were rejected.
func (j *judge) verdict() (used float64, rejected int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	minutes := float64(j.last.Sub(j.first)) / float64(j.minute)
	return float64(j.units) / (minutes * float64(j.project)), j.rejected
}

// A suitor makes calls to a judge.
type suitor struct {
	conn    net.Conn
	answers *bufio.Reader
}

func newSuitor(address string) (*suitor, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &suitor{conn, bufio.NewReader(conn)}, nil
}

func (s *suitor) spend(user string, units int) (allowed bool, err error) {
	if _, err := fmt.Fprintln(s.conn, user, units); err != nil {
		return false, err
	}
	answer, err := s.answers.ReadString('\n')
	return answer == "true\n", err
}
