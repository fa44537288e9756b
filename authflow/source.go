package authflow

import (
	"context"
	"errors"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// The rhythm of a source. x/oauth2 takes a token for expired 10 s before its expiry, and so does a source.
const (
	expiryMargin  = 10 * time.Second
	rereadEvery   = time.Minute      // how soon it is seen here what another replica revoked or re-consented
	firstPause    = time.Second      // after a failure; doubled with each further one
	longestPause  = 30 * time.Second // between failures
	maxRetryAfter = 5 * time.Minute  // that a provider may ask for
	refreshFrom   = 0.75             // of the lifetime, in the background, jittered
	refreshWithin = 0.15
)

// failing is the rhythm of trying again what has failed, for as long as it takes.
var failing = backoff{first: firstPause, longest: longestPause, growth: 2}

// A source is what all Credentials of one user in one process share. While its token lives, Token is an atomic load
// and a look at the clock; all else, the re-reading of the store and the refreshing, happens in one
// goroutine at a time that no caller's context can end.
type source struct {
	flow   *Flow
	userID string
	live   atomic.Pointer[liveToken]

	mu    sync.Mutex
	call  *call         // under way, or nil
	used  time.Duration // when somebody last took the slow path: at least every rereadEvery while in use
	upset *setback      // nil where nothing has gone wrong
}

// A setback is what a source remembers of failures and of a grant that ended. It is immutable, and
// apart from the source because few of the many that are cached have one.
type setback struct {
	failures int           // in a row
	failed   error         // the last failure, answered to all who ask before retryAt
	retryAt  time.Duration // on the Flow's monotonic clock
	ended    consent       // its tokens are served no more
	why      error         // what is answered in their place
}

// A liveToken is a token and its times, on the Flow's monotonic clock. It is immutable. What it holds, and
// how, is most of what a cached user costs: BenchmarkCachedUser.
type liveToken struct {
	token   oauth2.Token
	quiet   time.Duration // until then there is nothing to do but to return token
	refresh time.Duration // from then on it is refreshed in the background
	expires time.Duration // from then on it is not served
	consent consent
	created int64 // when the user consented, in Unix microseconds
}

// A consent stands for a grant's ID in 8 bytes: its hash, which is compared with those of the same user only. Zero is none.
type consent uint64

func consentOf(grantID string) consent {
	h := fnv.New64a()
	_, _ = io.WriteString(h, grantID)
	return consent(h.Sum64())
}

// A call is one read or refresh, shared by all who wait for it.
type call struct {
	want  need
	done  chan struct{} // closed when the rest is set
	token *oauth2.Token
	err   error
}

func (s *source) token(ctx context.Context) (*oauth2.Token, error) {
	if l := s.live.Load(); l != nil && s.flow.clock.reckon() < l.quiet {
		return &l.token, nil
	}
	return s.tokenSlowly(ctx)
}

func (s *source) tokenSlowly(ctx context.Context) (*oauth2.Token, error) {
	s.mu.Lock()
	now := s.flow.clock.elapsed()
	s.used = now
	l := s.live.Load()
	if l == nil || now >= l.expires {
		c := s.join(need{}, now)
		s.mu.Unlock()
		return c.wait(ctx)
	}
	defer s.mu.Unlock()
	if now >= l.quiet && s.call == nil {
		want := need{}
		if now >= l.refresh {
			want.after = l.token.Expiry
		}
		s.quieten(l, now+firstPause)
		s.begin(want)
	}
	return &l.token, nil
}

// replace returns a token other than rejected.
func (s *source) replace(ctx context.Context, rejected string) (*oauth2.Token, error) {
	for {
		s.mu.Lock()
		now := s.flow.clock.elapsed()
		s.used = now
		if l := s.live.Load(); l != nil && now < l.expires && l.token.AccessToken != rejected {
			s.mu.Unlock()
			return &l.token, nil
		}
		c := s.join(need{rejected: rejected}, now)
		s.mu.Unlock()
		token, err := c.wait(ctx)
		if err != nil || token.AccessToken != rejected {
			return token, err
		}
		if c.want.rejected == rejected {
			return nil, &RefreshError{UserID: s.userID, Err: errors.New("the provider insists on a token that was rejected")}
		}
		// The call had begun before anybody knew of the rejection.
	}
}

// join returns the call under way, the last failure while it is fresh, or a new call. s.mu is held.
func (s *source) join(want need, now time.Duration) *call {
	if s.call != nil {
		return s.call
	}
	if last := s.setback(); last.failed != nil && now < last.retryAt {
		c := &call{done: make(chan struct{}), err: last.failed}
		close(c.done)
		return c
	}
	return s.begin(want)
}

// begin starts a call. s.mu is held.
func (s *source) begin(want need) *call {
	c := &call{want: want, done: make(chan struct{})}
	s.call = c
	work := func(ctx context.Context) {
		grant, err := s.flow.renew(ctx, s.userID, want)
		s.finish(c, grant, err)
	}
	if !s.flow.goBackground(work) {
		s.call = nil
		c.err = &RefreshError{UserID: s.userID, Err: errClosed}
		close(c.done)
	}
	return c
}

func (s *source) finish(c *call, grant *tokenstore.Grant, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(c.done)
	s.call = nil
	now := s.flow.clock.elapsed()
	if last := s.setback(); err == nil && consentOf(grant.ID) == last.ended {
		err = last.why
	}
	if err == nil {
		s.set(grant, now)
		c.token = served(grant)
		return
	}
	next, live := s.setback(), s.live.Load()
	reauthorization, ended := errors.AsType[*ReauthorizationRequiredError](err)
	if !ended {
		err = &RefreshError{UserID: s.userID, Err: err}
	}
	c.err = err
	next.failed, next.retryAt = err, now+pause(next.failures, err)
	next.failures++
	switch {
	case ended:
		next.ended, next.why = consentOf(reauthorization.grantID), err
		s.live.Store(nil)
	case errors.Is(err, tokenstore.ErrNotFound): // which a store that is not well may say, too
		s.live.Store(nil)
	case live != nil:
		s.quieten(live, next.retryAt)
	}
	s.upset = &next
}

// setback returns what went wrong, which may be nothing. s.mu is held.
func (s *source) setback() setback {
	if s.upset == nil {
		return setback{}
	}
	return *s.upset
}

// pause says how long err is answered to all who ask, so that a storm of callers makes one request.
func pause(failures int, err error) time.Duration {
	p := failing.pause(failures)
	if answer, ok := errors.AsType[*ProviderError](err); ok {
		p = max(p, min(answer.RetryAfter, maxRetryAfter))
	}
	return p
}

// quieten lets callers take the short path until then, or until the token expires. s.mu is held.
func (s *source) quieten(l *liveToken, until time.Duration) {
	next := *l
	next.quiet = min(until, l.expires)
	s.live.Store(&next)
}

// adopt takes over what a grant that was just read or written says, unless more is known here.
func (s *source) adopt(grant *tokenstore.Grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.live.Load(); l != nil {
		sameConsent := consentOf(grant.ID) == l.consent
		if sameConsent && !grant.Expiry.After(l.token.Expiry) || !sameConsent && grant.CreatedAt.UnixMicro() < l.created {
			return
		}
	}
	// A grant without a live token is no news: what failed is not forgotten for it.
	if (need{}).met(grant, s.flow.now()) {
		s.set(grant, s.flow.clock.elapsed())
	}
}

// served returns the token of grant as callers get it: without the refresh token.
func served(grant *tokenstore.Grant) *oauth2.Token {
	return &oauth2.Token{AccessToken: grant.AccessToken, TokenType: "Bearer", Expiry: grant.Expiry}
}

// drop forgets the token of a grant that has ended, and of which an older reading may still be on its way here. Without
// a grantID, what ended before has ended still.
func (s *source) drop(grantID string, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.setback()
	s.upset = &setback{ended: last.ended, why: last.why}
	if grantID != "" {
		s.upset.ended, s.upset.why = consentOf(grantID), why
	}
	s.live.Store(nil)
}

// set makes grant's token the live one. s.mu is held.
func (s *source) set(grant *tokenstore.Grant, now time.Duration) {
	last := s.setback()
	s.upset = nil
	if last.ended != 0 {
		s.upset = &setback{ended: last.ended, why: last.why}
	}
	left := grant.Expiry.Sub(s.flow.now()) - expiryMargin
	if grant.AccessToken == "" || left <= 0 || consentOf(grant.ID) == last.ended {
		s.live.Store(nil)
		return
	}
	lifetime := max(grant.Expiry.Sub(grant.LastRefresh), left)
	early := time.Duration((1 - refreshFrom - refreshWithin*rand.Float64()) * float64(lifetime))
	next := &liveToken{
		token:   *served(grant),
		expires: now + left,
		refresh: now + max(left-early, 0),
		consent: consentOf(grant.ID),
		created: grant.CreatedAt.UnixMicro(),
	}
	reread := rereadEvery - rereadEvery/10 + rand.N(rereadEvery/5)
	next.quiet = min(next.refresh, next.expires, now+reread)
	s.live.Store(next)
}

func (c *call) wait(ctx context.Context) (*oauth2.Token, error) {
	select {
	case <-c.done:
		return c.token, c.err
	default:
	}
	select {
	case <-c.done:
		return c.token, c.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
