package quota

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// A CostError says that a request can never be let go, because it costs more than a whole minute has.
type CostError struct {
	Units int // of the request
	Limit int // the lower one of Config.PerUser and Config.PerProject
}

// Error names both figures.
func (e *CostError) Error() string {
	return fmt.Sprintf("quota: a request of %d units can't be made at %d units a minute; split it, or raise the limits in Config",
		e.Units, e.Limit)
}

// LogValue implements slog.LogValuer.
func (e *CostError) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("units", e.Units), slog.Int("limit", e.Limit))
}

// A PausedError says that Google has asked for quiet for longer than the caller's context lasts, so that
// Acquire has not even begun to wait. It unwraps to context.DeadlineExceeded.
type PausedError struct {
	User string
	For  time.Duration // from now on
}

// Error says for how long.
func (e *PausedError) Error() string {
	return fmt.Sprintf("quota: Google has rejected calls for user %q, and wants no more for %v, which is beyond the deadline; try again then",
		e.User, e.For.Round(time.Millisecond))
}

// Unwrap returns context.DeadlineExceeded.
func (e *PausedError) Unwrap() error { return context.DeadlineExceeded }

// LogValue implements slog.LogValuer.
func (e *PausedError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", e.User), slog.Duration("for", e.For))
}

// A PoolError says that the Pool could not be asked, and that Config.PoolShare permits nothing without it.
type PoolError struct {
	Err error
}

// Error names the cause.
func (e *PoolError) Error() string {
	return fmt.Sprintf("quota: ask the pool: %v; mend it, or let Config.PoolShare allow for its absence", e.Err)
}

// Unwrap returns the cause.
func (e *PoolError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *PoolError) LogValue() slog.Value { return slog.StringValue(e.Error()) }
