package redisquota

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

//go:embed reserve.lua
var reserveScript string

// A Pool is a quota.Pool in Redis. It is safe for concurrent use, and any number of Pools, in this process or
// others, may be about the same project.
type Pool struct {
	client  redis.UniversalClient
	keys    string // what all of the project's begin with
	timeout time.Duration
	reserve *redis.Script
}

var _ quota.Pool = (*Pool)(nil)

// New returns the Pool that cfg describes, over client, a *redis.Client or *redis.ClusterClient with
// ContextTimeoutEnabled. The client remains the caller's, who closes it. New does not talk to the server.
//
// Errors: *ConfigError.
func New(client redis.UniversalClient, cfg Config) (*Pool, error) {
	if err := checkClient(client); err != nil {
		return nil, err
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	return &Pool{
		client:  client,
		keys:    cfg.Prefix + "{" + cfg.Project + "}:",
		timeout: cfg.Timeout,
		reserve: redis.NewScript(reserveScript),
	}, nil
}

// Parts of a window.
const (
	ticksPerWindow = 240 // as fine as a Limiter counts
	second         = 60  // of these parts one is the most that a grant is of, and that even spending may catch up
	patience       = 12  // of these parts at most one goes by until somebody who was denied units asks again
	delivery       = 4   // within one of these parts a call has reached Google, or never will
)

// Reserve implements quota.Pool.
//
// Errors: those of the client, wrapped.
func (p *Pool) Reserve(ctx context.Context, r quota.Reservation) (quota.Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	part := r.Window / second
	lasts := p.timeout + part // there is some of it left, however late the answer comes
	// A block is no more than can be spent while it lasts.
	want := max(r.Need, min(r.Want, r.PerUser/second))
	args := make([]any, 0, 13+3*len(r.Reports))
	args = append(args,
		r.Need, want, int(r.Class),
		r.PerProject, r.PerUser,
		r.QuietProject.Microseconds(), r.QuietUser.Microseconds(),
		(r.Window + r.Window/200).Microseconds(), (r.Window / ticksPerWindow).Microseconds(), part.Microseconds(),
		(lasts + r.Window/delivery).Microseconds(), (r.Window / patience).Microseconds(),
		r.Unasked,
	)
	for _, report := range r.Reports {
		args = append(args, report.ID, report.Spent, report.Unused)
	}
	answer, err := p.reserve.Run(ctx, p.client, []string{p.keys + "project", p.keys + "user:" + r.User}, args...).Int64Slice()
	if err == nil && len(answer) != 3 {
		err = fmt.Errorf("the script has answered %v", answer)
	}
	if err != nil {
		return quota.Grant{}, fmt.Errorf("redisquota: reserve units for user %q: %w", r.User, err)
	}
	wait := time.Duration(answer[2]) * time.Microsecond
	if answer[0] == 0 {
		return quota.Grant{Retry: wait}, nil
	}
	return quota.Grant{ID: answer[1], Units: int(answer[0]), After: wait, For: wait + lasts}, nil
}
