package authflow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
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
	attempts       = 3 // at the provider, a refresh
)

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
	for poll := firstPoll; ; {
		grant, err := f.grants.Get(ctx, userID)
		if err != nil {
			return nil, err
		}
		if err := f.usable(grant); err != nil {
			return nil, err
		}
		if want.met(grant, f.now()) {
			return grant, nil
		}
		if held := grant.Lease; held != nil && held.Holder != holder && !watch.lasted(grant, held.Duration, f.elapsed()) {
			if err := sleep(ctx, poll/2+mathrand.N(poll)); err != nil {
				return nil, fmt.Errorf("another process is refreshing: %w", err)
			}
			poll = min(poll*3/2, longestPoll)
			continue
		}
		renewed, err := f.claimAndRefresh(ctx, grant, holder)
		if errors.Is(err, tokenstore.ErrConflict) || errors.Is(err, errSuperseded) {
			continue
		}
		return renewed, err
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
	if held := grant.Lease; held == nil || held.Holder != holder {
		claimed.Lease = &tokenstore.Lease{Holder: holder, Duration: leaseDuration, TakenAt: f.now()}
		if err := f.grants.Put(ctx, claimed); err != nil {
			return nil, err
		}
	}
	token, err := f.refresh(ctx, claimed.RefreshToken)
	// What the provider said is written down even if the time is up.
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	var answer *ProviderError
	switch {
	case err == nil:
		return f.storeRefreshed(ctx, claimed, token)
	case errors.As(err, &answer) && answer.grantEnded():
		return nil, f.storeEnded(ctx, claimed, answer)
	}
	released := claimed.Clone()
	released.Lease, released.LastError, released.UpdatedAt = nil, err.Error(), f.now()
	if perr := f.grants.Put(ctx, released); perr != nil && !errors.Is(perr, tokenstore.ErrConflict) {
		f.log.Warn("mailgrant: the lease of a failed refresh could not be given back; it runs out by itself",
			"user", grant.UserID, "error", perr)
	}
	return nil, err
}

// refresh asks the provider for an access token. It asks for no scope: one that was not granted would be refused. A failure
// that says nothing about the grant is tried again, after a pause, while there is time.
func (f *Flow) refresh(ctx context.Context, refreshToken string) (*oauth2.Token, error) {
	pause := 250 * time.Millisecond
	for attempt := 1; ; attempt++ {
		token, err := f.oauth.TokenSource(f.withClient(ctx), &oauth2.Token{RefreshToken: refreshToken}).Token()
		token, err = f.checkToken(token, err, refreshToken)
		if err == nil {
			return token, nil
		}
		var answer *ProviderError
		if errors.As(err, &answer) && (!answer.temporary() || answer.RetryAfter > pause) || attempt == attempts {
			return nil, err
		}
		if serr := sleep(ctx, pause/2+mathrand.N(pause)); serr != nil {
			return nil, err
		}
		pause *= 4
	}
}

// storeRefreshed stores a new access token. A consent or deletion that came meanwhile wins.
func (f *Flow) storeRefreshed(ctx context.Context, claimed *tokenstore.Grant, token *oauth2.Token) (*tokenstore.Grant, error) {
	next := claimed.Clone()
	for {
		now := f.now()
		next.Lease, next.LastError = nil, ""
		next.AccessToken, next.Expiry = token.AccessToken, token.Expiry
		next.LastRefresh, next.UpdatedAt = now, now
		if token.RefreshToken != claimed.RefreshToken {
			next.RefreshToken = token.RefreshToken
		}
		if expiry := f.refreshTokenExpiry(token); !expiry.IsZero() {
			next.RefreshTokenExpiry = expiry
		}
		next.Scopes = grantedScopes(token, next.Scopes)
		err := f.grants.Put(ctx, next)
		if err == nil {
			return next, nil
		}
		if !errors.Is(err, tokenstore.ErrConflict) {
			f.storeLater(next.Clone())
			return next, nil
		}
		stored, err := f.grants.Get(ctx, claimed.UserID)
		switch {
		case err != nil:
			return nil, err
		case stored.AccessToken == token.AccessToken:
			return stored, nil // an earlier write took effect after all
		case stored.ID != claimed.ID || stored.RefreshToken != claimed.RefreshToken || stored.Status.Revoked:
			return nil, errSuperseded
		}
		next = stored
	}
}

// storeEnded marks the grant revoked, if its refresh token is still the one that the provider refused.
func (f *Flow) storeEnded(ctx context.Context, claimed *tokenstore.Grant, answer *ProviderError) error {
	for {
		stored, err := f.grants.Get(ctx, claimed.UserID)
		if err != nil {
			return err
		}
		if stored.ID != claimed.ID || stored.RefreshToken != claimed.RefreshToken || stored.Status.Revoked {
			return errSuperseded
		}
		now := f.now()
		stored.Status = tokenstore.Status{Revoked: true, Reason: endReason(stored, answer, now), At: now}
		stored.Lease, stored.LastError, stored.UpdatedAt = nil, answer.Error(), now
		stored.AccessToken, stored.Expiry = "", time.Time{}
		err = f.grants.Put(ctx, stored)
		if errors.Is(err, tokenstore.ErrConflict) {
			continue
		}
		if err != nil {
			f.log.Warn("mailgrant: the end of a grant could not be stored; the next refresh finds it again",
				"user", claimed.UserID, "error", err)
		}
		return f.reauthorization(stored, answer)
	}
}

func endReason(g *tokenstore.Grant, answer *ProviderError, now time.Time) tokenstore.Reason {
	switch {
	case answer.Subtype == subtypeRAPT:
		return tokenstore.ReasonPolicy
	case !g.RefreshTokenExpiry.IsZero() && now.After(g.RefreshTokenExpiry):
		return tokenstore.ReasonExpired
	}
	return tokenstore.ReasonInvalidGrant
}

// storeLater keeps trying to store a refreshed grant whose token is being served already, until it is stored or
// something newer is.
func (f *Flow) storeLater(grant *tokenstore.Grant) {
	f.log.Warn("mailgrant: a refreshed token could not be stored; it is served, and stored later", "user", grant.UserID)
	f.goBackground(func(ctx context.Context) {
		for pause := firstPause; ; pause = min(2*pause, longestPause) {
			if sleep(ctx, pause/2+mathrand.N(pause)) != nil {
				return
			}
			err := f.grants.Put(ctx, grant)
			if err == nil || errors.Is(err, tokenstore.ErrConflict) {
				return
			}
		}
	})
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
