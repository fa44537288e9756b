package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
	"github.com/mailgrant/mailgrant/gmailsvc/quota/redisquota"
	"github.com/mailgrant/mailgrant/internal/integration/servers"
)

// spenderVariable holds what a re-executed test binary is to spend.
const spenderVariable = "MAILGRANT_TEST_SPENDER"

// A spender is a process that spends all the quota it can get, in five goroutines for each user.
type spender struct {
	Redis, Judge   string // addresses
	Users          []string
	Units          int // of a call
	Limit, Project int
	Minute         time.Duration
	Until          time.Time
}

// spend does what the spender is for. A rejection is an error.
func (s spender) spend(ctx context.Context) error {
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: s.Redis, ContextTimeoutEnabled: true})
	defer client.Close()
	pool, err := redisquota.New(client, redisquota.Config{Timeout: 10 * time.Second})
	if err != nil {
		return err
	}
	l, err := quota.New(quota.Config{PerUser: s.Limit, PerProject: s.Project, Pool: pool, PoolShare: -1, Window: s.Minute})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithDeadline(ctx, s.Until)
	defer cancel()
	var wg sync.WaitGroup
	errs := make(chan error, 5*len(s.Users))
	for _, user := range s.Users {
		for range 5 {
			wg.Go(func() { errs <- s.spendFor(ctx, l, user) })
		}
	}
	wg.Wait()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	return err
}

func (s spender) spendFor(ctx context.Context, l *quota.Limiter, user string) error {
	google, err := newSuitor(s.Judge)
	if err != nil {
		return err
	}
	defer google.conn.Close()
	for {
		p, err := l.Acquire(ctx, quota.Request{User: user, Units: s.Units})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if allowed, err := google.spend(user, s.Units); err != nil || !allowed {
			return fmt.Errorf("a call of %d units for %s: allowed %v, %w", s.Units, user, allowed, err)
		}
		p.Done(quota.Outcome{})
	}
}

// start starts a process that runs nothing but the named test, which finds the spender in its environment.
func (s spender) start(t *testing.T) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), spenderVariable+"="+string(text), "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// Four processes read for the same users as fast as they can: none is ever rejected, and little of the quota is
// left over. A machine that is busy with other things can't use up a minute of four seconds, so that there is
// more than one attempt at this.
func TestAFleetSharesTheQuotaThroughRedis(t *testing.T) {
	if text := os.Getenv(spenderVariable); text != "" {
		var s spender
		if err := errors.Join(json.Unmarshal([]byte(text), &s), s.spend(t.Context())); err != nil {
			t.Error(err)
		}
		return
	}
	t.Parallel()
	const attempts = 4
	used := 0.0
	for attempt := 0; attempt < attempts && used < 0.97; attempt++ {
		used = spendInAFleet(t)
		t.Logf("%.1f %% of the quota were used", 100*used)
	}
	if used < 0.97 {
		t.Error("that is less than 97 %")
	}
}

// spendInAFleet runs four processes for four minutes, and returns what part of the quota they use.
func spendInAFleet(t *testing.T) float64 {
	t.Helper()
	const processes, minute, minutes = 4, 4 * time.Second, 4
	s := spender{
		Redis: servers.StartRedis(t).Options().Addr, Users: []string{"ada", "bob"}, Units: 20,
		Limit: 6000, Project: 9000, Minute: minute, Until: time.Now().Add(minutes * minute),
	}
	j := newJudge(t, s.Limit, s.Project, s.Minute)
	s.Judge = j.address
	var fleet []*exec.Cmd
	for range processes {
		fleet = append(fleet, s.start(t))
	}
	for _, cmd := range fleet {
		if err := cmd.Wait(); err != nil {
			t.Errorf("a process ended with %v", err)
		}
	}
	used, rejected := j.verdict()
	if rejected > 0 {
		t.Errorf("%d calls were rejected", rejected)
	}
	return used
}
