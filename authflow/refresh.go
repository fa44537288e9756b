package authflow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// A refresh is done by one process at a time, and by no lock service: whoever swaps a lease into the grant may call the
// provider. A holder that dies is noticed by its lease standing still, measured on the waiter's own monotonic
// clock, so that clocks of different machines are never compared.
const (
	leaseDuration  = time.Minute
	refreshTimeout = 30 * time.Second // from the lease to the stored result: well within the lease
	storeTimeout   = 5 * time.Second  // for what must be written even if all else ended
	renewTimeout   = leaseDuration + refreshTimeout + storeTimeout
	firstPoll      = 50 * time.Millisecond
	longestPoll    = time.Second
	attempts       = 3  // at the provider, a refresh
	maxRefreshes   = 64 // at a time: after an outage the provider is not stormed
)

var (
	polling  = backoff{first: firstPoll, longest: longestPoll, growth: 1.5}            // for what another process does
	retrying = backoff{first: 250 * time.Millisecond, longest: time.Second, growth: 4} // at the provider, within a refresh
)

// slots bound how many refreshes a Flow does at a time.
type slots chan struct{}

func (s slots) acquire(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slots) release() { <-s }

// A need says which token will do. The zero need is any live one.
type need struct {
	rejected string    // an access token that an API refused
	after    time.Time // when a token that is too old expires
}

func (n need) met(g *tokenstore.Grant, now time.Time) bool {
	return g.AccessToken != "" && g.AccessToken != n.rejected &&
		g.Expiry.After(now.Add(expiryMargin)) && g.Expiry.After(n.after)
}

// errSuperseded says that the grant changed hands during a refresh: it is read again.
var errSuperseded = errors.New("superseded")

// renew returns the stored grant of userID once its access token meets want, and refreshes it where nobody else does.
func (f *Flow) renew(ctx context.Context, userID string, want need) (*tokenstore.Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	holder := rand.Text()
	var watch stillness
	pauses, conflicts := 0, 0
	for {
		grant, err := f.grants.Get(ctx, userID)
		if mine := f.unsaved.of(userID); mine != nil {
			if grant, err = f.save(ctx, mine); superseded(err) {
				continue
			}
			if err != nil && want.met(mine.next, f.now()) {
				grant, err = mine.next, nil
			}
		}
		if err != nil {
			return nil, err
		}
		if err := f.usable(grant); err != nil {
			return nil, err
		}
		if want.met(grant, f.now()) {
			return grant, nil
		}
		if held := grant.Lease; held != nil && held.Holder != holder && !watch.lasted(grant, held.Duration, f.clock.elapsed()) {
			if err := polling.wait(ctx, pauses); err != nil {
				return nil, fmt.Errorf("another process is refreshing: %w", err)
			}
			pauses++
			continue
		}
		if err := f.slots.acquire(ctx); err != nil {
			return nil, fmt.Errorf("too many refreshes are waiting: %w", err)
		}
		renewed, err := f.claimAndRefresh(ctx, grant, holder)
		f.slots.release()
		if !errors.Is(err, tokenstore.ErrConflict) && !errors.Is(err, errSuperseded) {
			return renewed, err
		}
		// One conflict is news, many are a store that is not well.
		if conflicts++; conflicts > 1 {
			if serr := polling.wait(ctx, pauses); serr != nil {
				return nil, fmt.Errorf("the grant changes all the time: %w, after: %w", serr, err)
			}
			pauses++
		}
	}
}

// stillness watches how long a grant's version has stood still.
type stillness struct {
	version string
	since   time.Duration
}

func (w *stillness) lasted(g *tokenstore.Grant, d, now time.Duration) bool {
	if g.Version() != w.version {
		w.version, w.since = g.Version(), now
	}
	return now-w.since >= d
}

// claimAndRefresh swaps a lease in, calls the provider and stores what it says. The provider is never called without a
// lease, and once it was called nothing but the time interrupts: an answer that nobody reads may be a refresh token that
// nobody has. An error of tokenstore.ErrConflict or errSuperseded says that the grant must be read again.
func (f *Flow) claimAndRefresh(ctx context.Context, grant *tokenstore.Grant, holder string) (*tokenstore.Grant, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTimeout)
	defer cancel()
	claimed := grant.Clone()
	claimed.Lease = &tokenstore.Lease{Holder: holder, Duration: leaseDuration, TakenAt: f.now()}
	if err := f.grants.Put(ctx, claimed); err != nil {
		return nil, err
	}
	begin := f.clock.elapsed()
	token, err := f.refresh(ctx, claimed.RefreshToken)
	took := f.clock.elapsed() - begin
	// What the provider said is written down even if the time is up.
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	var answer *ProviderError
	switch {
	case err == nil:
		f.observe(Event{Kind: Refreshed, UserID: grant.UserID, GrantID: grant.ID, Took: took})
		return f.storeRefreshed(ctx, claimed, token)
	case errors.As(err, &answer) && answer.grantEnded():
		return nil, f.storeEnded(ctx, claimed, answer)
	}
	released := claimed.Clone()
	released.Lease, released.LastError, released.UpdatedAt = nil, err.Error(), f.now()
	if perr := f.grants.Put(ctx, released); perr != nil && !errors.Is(perr, tokenstore.ErrConflict) {
		f.observe(Event{Kind: StoreTrouble, UserID: grant.UserID, GrantID: grant.ID, Err: perr}) // the lease runs out by itself
	}
	f.observe(Event{Kind: RefreshFailed, UserID: grant.UserID, GrantID: grant.ID, Err: err, Took: took})
	return nil, err
}

// refresh asks the provider for an access token. It asks for no scope: one that was not granted would be refused. A failure
// that says nothing about the grant is tried again, after a pause, while there is time.
func (f *Flow) refresh(ctx context.Context, refreshToken string) (*oauth2.Token, error) {
	for attempt := 1; ; attempt++ {
		token, err := f.oauth.TokenSource(f.withClient(ctx), &oauth2.Token{RefreshToken: refreshToken}).Token()
		token, err = f.checkToken(token, err, refreshToken)
		if err == nil {
			return token, nil
		}
		pause := retrying.pause(attempt - 1)
		var answer *ProviderError
		if errors.As(err, &answer) && (!answer.temporary() || answer.RetryAfter > pause) || attempt == attempts {
			return nil, err
		}
		if serr := sleep(ctx, pause); serr != nil {
			return nil, err
		}
	}
}

// storeRefreshed stores a new access token, later if need be. A consent or deletion that came meanwhile wins.
func (f *Flow) storeRefreshed(ctx context.Context, claimed *tokenstore.Grant, token *oauth2.Token) (*tokenstore.Grant, error) {
	next, err := f.merge(ctx, claimed, claimed.Clone(), token)
	if err == nil || superseded(err) {
		return next, err
	}
	f.observe(Event{Kind: StoreTrouble, UserID: claimed.UserID, GrantID: claimed.ID, Err: err})
	f.saveLater(&unsavedToken{claimed: claimed, next: next.Clone(), token: token})
	return next, nil
}

// merge writes token into next and stores it. Where something else is stored by now, token goes into that, unless it is
// another consent or holds another refresh token than the one that was used.
func (f *Flow) merge(ctx context.Context, claimed, next *tokenstore.Grant, token *oauth2.Token) (*tokenstore.Grant, error) {
	f.write(next, token)
	err := f.grants.Put(ctx, next)
	if err == nil {
		f.reindex(ctx, claimed.UserID, claimed.RefreshToken, token.RefreshToken)
	}
	if !errors.Is(err, tokenstore.ErrConflict) {
		return next, err
	}
	stored, err := f.grants.Update(ctx, claimed.UserID, func(stored *tokenstore.Grant) error {
		if err := unchanged(stored, claimed); err != nil {
			return err
		}
		if stored.Expiry.After(token.Expiry) { // this token was not to be stored for long, and others refreshed since
			return errSuperseded
		}
		f.write(stored, token)
		return nil
	})
	switch {
	case err == nil:
		f.reindex(ctx, claimed.UserID, claimed.RefreshToken, token.RefreshToken)
		return stored, nil
	case errors.Is(err, errSuperseded) && token.RefreshToken != claimed.RefreshToken:
		f.revokeSuccessor(ctx, stored, token)
	}
	if superseded(err) {
		return nil, err
	}
	return next, err
}

// unchanged returns nil if stored is still the consent and refresh token of claimed, and alive, so that what the provider said
// of claimed holds for it; else tokenstore.ErrNotFound or errSuperseded.
func unchanged(stored, claimed *tokenstore.Grant) error {
	switch {
	case stored.Version() == "":
		return tokenstore.ErrNotFound
	case stored.ID != claimed.ID || stored.RefreshToken != claimed.RefreshToken || stored.Status.Revoked:
		return errSuperseded
	}
	return nil
}

// write makes token the access token of next.
func (f *Flow) write(next *tokenstore.Grant, token *oauth2.Token) {
	next.Lease, next.LastError = nil, ""
	next.AccessToken, next.Expiry = token.AccessToken, token.Expiry
	next.LastRefresh, next.UpdatedAt = token.Expiry.Add(-lifetime(token)), f.now()
	next.RefreshToken = token.RefreshToken
	if expiry := f.refreshTokenExpiry(token); !expiry.IsZero() {
		next.RefreshTokenExpiry = expiry
	}
	next.Scopes = grantedScopes(token, next.Scopes)
}

// storeEnded marks the grant revoked, if its refresh token is still the one that the provider refused. The token is kept: should
// the provider turn out to have erred, no grant is lost.
func (f *Flow) storeEnded(ctx context.Context, claimed *tokenstore.Grant, answer *ProviderError) error {
	current := false // as far as could be read
	ended, err := f.grants.Update(ctx, claimed.UserID, func(stored *tokenstore.Grant) error {
		if err := unchanged(stored, claimed); err != nil {
			return err
		}
		current = true
		f.end(stored, f.endReason(stored, answer), answer.Error())
		return nil
	})
	if superseded(err) {
		return err
	}
	if err != nil {
		f.observe(Event{Kind: StoreTrouble, UserID: claimed.UserID, GrantID: claimed.ID, Err: err})
		if !current {
			return fmt.Errorf("%w; whether the grant has changed hands since, the store does not tell: %w", answer, err)
		}
		ended = claimed.Clone()
		f.end(ended, f.endReason(ended, answer), answer.Error())
	}
	why := f.reauthorization(ended, answer)
	f.source(ended.UserID).drop(ended.ID, why)
	f.observe(Event{Kind: Revoked, UserID: ended.UserID, GrantID: ended.ID, Reason: ended.Status.Reason, Err: answer})
	return why
}

func (f *Flow) endReason(g *tokenstore.Grant, answer *ProviderError) tokenstore.Reason {
	switch {
	case answer.Subtype == subtypeRAPT:
		return tokenstore.ReasonPolicy
	case !g.RefreshTokenExpiry.IsZero() && f.now().After(g.RefreshTokenExpiry):
		return tokenstore.ReasonExpired
	}
	return tokenstore.ReasonInvalidGrant
}
