package authflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// KeepAliveOptions say which grants KeepAlive refreshes, and how fast.
type KeepAliveOptions struct {
	// Idle is how long a grant must not have been refreshed. 0: 30 days.
	Idle time.Duration
	// PerSecond bounds the refreshes a second, up to 1,000. At most 8 are under way at a time, which bounds them too. 0: 5.
	PerSecond float64
}

const (
	maxPerSecond = 1000
	keptAtATime  = 8
)

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
	if opts.Idle < 0 || !(opts.PerSecond >= 0 && opts.PerSecond <= maxPerSecond) {
		return KeepAliveReport{}, fmt.Errorf("authflow: keep alive: Idle %v must not be negative, and PerSecond %v within 0 and %d",
			opts.Idle, opts.PerSecond, maxPerSecond)
	}
	if opts.Idle == 0 {
		opts.Idle = 30 * 24 * time.Hour
	}
	if opts.PerSecond == 0 {
		opts.PerSecond = 5
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	k := &keeper{flow: f, stop: stop, room: make(slots, keptAtATime)}
	err := k.keepAll(ctx, opts)
	k.running.Wait()
	if err = cmp.Or(k.failed, err); err != nil {
		return k.report, fmt.Errorf("authflow: keep alive: %w", err)
	}
	return k.report, nil
}

// A keeper is one KeepAlive.
type keeper struct {
	flow    *Flow
	stop    context.CancelFunc
	room    slots
	running sync.WaitGroup

	mu     sync.Mutex
	report KeepAliveReport
	failed error // what ended it before all was done
}

func (k *keeper) keepAll(ctx context.Context, opts KeepAliveOptions) error {
	pace := time.NewTicker(time.Duration(float64(time.Second) / max(opts.PerSecond, 1e-6)))
	defer pace.Stop()
	for grant, err := range k.flow.grants.All(ctx) {
		_, unreadable := errors.AsType[*tokenstore.UnsealError](err)
		if err != nil && !unreadable {
			return err
		}
		k.count(KeepAliveReport{Seen: 1})
		if unreadable {
			k.count(KeepAliveReport{Failed: 1})
			continue
		}
		if k.flow.usable(grant) != nil || k.flow.now().Sub(grant.LastRefresh) < opts.Idle {
			continue
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := k.room.acquire(ctx); err != nil {
			return err
		}
		k.running.Go(func() {
			defer k.room.release()
			k.keep(ctx, grant)
		})
	}
	return nil
}

// keep refreshes grant, and counts what came of it.
func (k *keeper) keep(ctx context.Context, grant *tokenstore.Grant) {
	err := k.flow.renewAndWait(ctx, grant.UserID, need{after: grant.Expiry})
	_, ended := errors.AsType[*ReauthorizationRequiredError](err)
	switch {
	case err == nil:
		k.count(KeepAliveReport{Refreshed: 1})
	case ended:
		k.count(KeepAliveReport{Ended: 1})
	case errors.Is(err, tokenstore.ErrNotFound): // deleted meanwhile
	case errors.Is(err, errClosed), ctx.Err() != nil:
		k.fail(err)
	default:
		k.count(KeepAliveReport{Failed: 1})
	}
}

func (k *keeper) count(more KeepAliveReport) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.report.Seen += more.Seen
	k.report.Refreshed += more.Refreshed
	k.report.Ended += more.Ended
	k.report.Failed += more.Failed
}

func (k *keeper) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failed = cmp.Or(k.failed, err)
	k.stop()
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
