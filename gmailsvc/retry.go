package gmailsvc

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// A RetryPolicy says how often a call that failed for a passing reason is tried again: rejected over a rate, answered with
// 500, 502, 503 or 504, or not answered. A call that changes something and is not sure to have been left undone is not tried
// again; nor is one whose next attempt could not end before its context's deadline. The zero value is a good policy.
type RetryPolicy struct {
	// Attempts is how often a call is made at most. 0: 5. 1: once.
	Attempts int

	// FirstPause and LongestPause bound the pauses: each is at random between nothing and a bound that doubles from one to the
	// other, as Google asks for. A longer wish of Gmail's (Retry-After) is respected. 0: 1 s and 32 s.
	// https://developers.google.com/workspace/gmail/api/guides/handle-errors
	FirstPause, LongestPause time.Duration

	// Budget bounds all retries of a Builder's services together, as a part of their calls: in an outage they don't multiply
	// the load. 0: 0.2, and a reserve of 50 that calls which succeed fill up. Negative: no bound.
	Budget float64
}

func (p RetryPolicy) withDefaults() RetryPolicy {
	p.Attempts = cmp.Or(p.Attempts, 5)
	p.FirstPause = cmp.Or(p.FirstPause, time.Second)
	p.LongestPause = max(cmp.Or(p.LongestPause, 32*time.Second), p.FirstPause)
	p.Budget = cmp.Or(p.Budget, 0.2)
	return p
}

// pause returns the pause after so many attempts.
func (p RetryPolicy) pause(attempts int) time.Duration {
	bound := min(p.FirstPause<<min(attempts-1, 20), p.LongestPause)
	return rand.N(bound + 1)
}

// A retryBudget is what is left of a Builder's retries.
type retryBudget struct {
	share int // of a retry that a call earns, in thousandths; negative: there is no bound

	mu   sync.Mutex
	left int // in thousandths of a retry
}

const (
	oneRetry     = 1000
	retryReserve = 50 * oneRetry
)

func newRetryBudget(share float64) *retryBudget {
	return &retryBudget{share: int(math.Round(share * oneRetry)), left: retryReserve}
}

// earn adds what a call that succeeded is worth.
func (b *retryBudget) earn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = min(b.left+b.share, retryReserve)
}

// spend reports whether a retry may be made.
func (b *retryBudget) spend() bool {
	if b.share < 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < oneRetry {
		return false
	}
	b.left -= oneRetry
	return true
}

// A retrier is an http.RoundTripper that tries calls again, and makes typed errors of Gmail's refusals.
type retrier struct {
	policy RetryPolicy
	budget *retryBudget
	next   http.RoundTripper
}

func (r *retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	method := quota.MethodOf(req)
	req, err := rereadable(req)
	if err != nil {
		return nil, err
	}
	for n := 1; ; n++ {
		began := time.Now()
		a := r.attempt(req, n)
		if a.fate == settled {
			if a.err == nil && a.status < 400 {
				r.budget.earn()
			}
			return a.result(method)
		}
		if a.fate == unknown && !repeatable(req.Method, method) {
			if sendsMail(method) {
				return nil, &SendUncertainError{Err: a.cause(method)}
			}
			return a.result(method)
		}
		again, ok := rewind(req)
		if !ok || n >= r.policy.Attempts || !r.wait(req.Context(), n, a.rejected.RetryAfter, time.Since(began)) {
			return a.result(method)
		}
		req = again
	}
}

// wait waits until the attempt after the n-th may begin, and reports whether it may.
func (r *retrier) wait(ctx context.Context, n int, wish, took time.Duration) bool {
	pause := max(r.policy.pause(n), wish)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < pause+took {
		return false
	}
	return r.budget.spend() && sleep(ctx, pause) == nil
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// An attempt is what became of one try of a call.
type attempt struct {
	answer
	resp *http.Response // nil where there is none
	err  error
	fate fate
}

// A fate says what is known of a call that was tried.
type fate int

const (
	settled fate = iota // it was done, or will never be
	undone              // it was not done, and may be if it is tried again
	unknown             // it may have been done
)

func (r *retrier) attempt(req *http.Request, n int) attempt {
	var connecting, connected atomic.Bool
	ctx := httptrace.WithClientTrace(withAttempt(req.Context(), n), &httptrace.ClientTrace{
		GetConn: func(string) { connecting.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	resp, err := r.next.RoundTrip(req.WithContext(ctx))
	if final, ok := errors.AsType[*finalError](err); ok {
		return attempt{err: final.err}
	}
	if err != nil {
		a := attempt{err: err, fate: unknown}
		switch {
		// Another transport than net/http's does not say when it connects: then nothing is known.
		case connecting.Load() && !connected.Load():
			a.fate = undone
		case req.Context().Err() != nil && !sendsMail(quota.MethodOf(req)):
			a.fate = settled
		}
		return a
	}
	a := attempt{answer: answerOf(resp), resp: resp}
	switch {
	case a.rejected.Rejected != quota.NotRejected:
		a.fate = undone
	case mayBeDone(a.status):
		a.fate = unknown
	}
	return a
}

// result returns what the caller gets.
func (a attempt) result(method string) (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	if err := a.answer.err(method); err != nil {
		return nil, err
	}
	return a.resp, nil
}

// cause returns why nobody knows what became of the call.
func (a attempt) cause(method string) error {
	if a.err != nil {
		return a.err
	}
	if err := a.answer.err(method); err != nil {
		return err
	}
	return a.apiError()
}

// repeatable reports whether a call that may have been done can be done again without doing more than once.
func repeatable(verb, method string) bool {
	switch verb {
	case "", http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return true
	}
	_, name, _ := strings.Cut(method, "gmail.users.")
	switch name[strings.LastIndexByte(name, '.')+1:] {
	case "modify", "batchModify", "batchDelete", "trash", "untrash", "watch", "stop", "setDefault", "enable", "disable":
		return true
	}
	return false
}

func sendsMail(method string) bool {
	return method == "gmail.users.messages.send" || method == "gmail.users.drafts.send"
}

// A finalError is one that trying again does not mend: of the credentials, or of the quota. It never leaves the package.
type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }
func (e *finalError) Unwrap() error { return e.err }
