package authflow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// KeepAliveOptions say which grants KeepAlive refreshes, and how fast.
type KeepAliveOptions struct {
	// Idle is how long a grant must not have been refreshed. 0: 30 days.
	Idle time.Duration
	// PerSecond bounds the refreshes a second, up to 1,000; they are made one after another, which bounds them too. 0: 5.
	PerSecond float64
}

const maxPerSecond = 1000

// A KeepAliveReport counts what KeepAlive found.
type KeepAliveReport struct {
	Seen      int // grants looked at
	Refreshed int // of them
	Ended     int // found to have ended, and marked
	Failed    int // could not be refreshed for now, or read
}

// KeepAlive refreshes the grants that nobody used for a long time: Google ends a refresh token that is not used for six
// months (https://developers.google.com/identity/protocols/oauth2#expiration), and without a refresh nobody notices that a user
// took a grant back. Call it once a day or so, from any process; several at once do no grant twice.
//
// Errors: the context's; errors.ErrUnsupported, wrapped, if the store can't list; what the store answers otherwise. A grant
// that can't be refreshed is counted, told to the Observer, and no error.
func (f *Flow) KeepAlive(ctx context.Context, opts KeepAliveOptions) (KeepAliveReport, error) {
	var report KeepAliveReport
	if opts.Idle < 0 || !(opts.PerSecond >= 0 && opts.PerSecond <= maxPerSecond) {
		return report, fmt.Errorf("authflow: keep alive: Idle %v must not be negative, and PerSecond %v within 0 and %d",
			opts.Idle, opts.PerSecond, maxPerSecond)
	}
	if opts.Idle == 0 {
		opts.Idle = 30 * 24 * time.Hour
	}
	if opts.PerSecond == 0 {
		opts.PerSecond = 5
	}
	pace := time.NewTicker(time.Duration(float64(time.Second) / max(opts.PerSecond, 1e-6)))
	defer pace.Stop()
	for grant, err := range f.grants.All(ctx) {
		report.Seen++
		if _, unreadable := errors.AsType[*tokenstore.UnsealError](err); unreadable {
			report.Failed++
			continue
		}
		if err != nil {
			return report, fmt.Errorf("authflow: keep alive: %w", err)
		}
		if f.usable(grant) != nil || f.now().Sub(grant.LastRefresh) < opts.Idle {
			continue
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return report, fmt.Errorf("authflow: keep alive: %w", ctx.Err())
		}
		err := f.renewAndWait(ctx, grant.UserID, need{after: grant.Expiry})
		_, ended := errors.AsType[*ReauthorizationRequiredError](err)
		switch {
		case err == nil:
			report.Refreshed++
		case ended:
			report.Ended++
		case errors.Is(err, tokenstore.ErrNotFound): // deleted meanwhile
		case errors.Is(err, errClosed):
			return report, fmt.Errorf("authflow: keep alive: %w", err)
		case ctx.Err() != nil:
			return report, fmt.Errorf("authflow: keep alive: %w", ctx.Err())
		default:
			report.Failed++
		}
	}
	return report, nil
}

// renewAndWait is renew in the background, where Close waits for it.
func (f *Flow) renewAndWait(ctx context.Context, userID string, want need) error {
	done := make(chan error, 1)
	if !f.goBackground(func(ctx context.Context) {
		_, err := f.renew(ctx, userID, want)
		done <- err
	}) {
		return errClosed
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
