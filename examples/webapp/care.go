package main

import (
	"context"
	"errors"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
)

// care does until ctx ends what nobody asks for: it tells Google of the disconnections that it could not be told of at the
// time, drops the sessions that are over, and refreshes grants before they die of not being used.
func (a *app) care(ctx context.Context) {
	often, daily := time.NewTicker(10*time.Minute), time.NewTicker(24*time.Hour)
	defer often.Stop()
	defer daily.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-often.C:
			_, err = a.flow.RetryRevocations(ctx)
			err = errors.Join(err, a.store.clean(ctx))
		case <-daily.C:
			_, err = a.flow.KeepAlive(ctx, authflow.KeepAliveOptions{})
		}
		if err != nil {
			a.log.WarnContext(ctx, "care", "error", err)
		}
	}
}
