package authflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// revocations is the namespace, in the Flow's own store, of the grants that the provider is still to be told of.
const revocations = "mailgrant revocations"

// noteKey is under what the pending revocation of grant is kept. Every consent has its own: what is pending for an older one
// must not replace what is pending for a newer one.
func noteKey(grant *tokenstore.Grant) string { return grant.UserID + " " + grant.ID }

// noted returns whose grant is noted under key, and which of them.
func noted(key string) (userID, grantID string) {
	at := max(strings.LastIndexByte(key, ' '), 0)
	return key[:at], strings.TrimPrefix(key[at:], " ")
}

// noteRevocation keeps what the provider must be told. A note that can't be read is replaced: what it held is in grant.
func (f *Flow) noteRevocation(ctx context.Context, grant *tokenstore.Grant) error {
	if !hasToken(grant) {
		return nil // whatever is pending is noted already
	}
	write := func(note *tokenstore.Grant) error {
		note.ID, note.ClientID, note.Scopes = grant.ID, grant.ClientID, grant.Scopes
		note.RefreshToken, note.AccessToken = grant.RefreshToken, grant.AccessToken
		note.CreatedAt, note.UpdatedAt = grant.CreatedAt, f.now()
		return nil
	}
	_, err := f.revocations.Update(ctx, noteKey(grant), write)
	if unreadable, ok := errors.AsType[*tokenstore.UnsealError](err); ok {
		note := unreadable.Replacement()
		_ = write(note)
		err = f.revocations.Put(ctx, note)
	}
	return err
}

func hasToken(grant *tokenstore.Grant) bool {
	return grant.RefreshToken != "" || grant.AccessToken != ""
}

// revokeSuccessor tells the provider of a refresh token that it issued in place of the one that Revoke told it of meanwhile.
func (f *Flow) revokeSuccessor(ctx context.Context, stored *tokenstore.Grant, token *oauth2.Token) {
	if !stored.Status.Revoked || stored.Status.Reason != tokenstore.ReasonApplication {
		return
	}
	successor := stored.Clone()
	successor.RefreshToken, successor.AccessToken = token.RefreshToken, token.AccessToken
	err := f.noteRevocation(ctx, successor)
	if err == nil {
		_, err = f.tellRevocation(ctx, noteKey(successor))
	}
	if err != nil {
		f.observe(Event{Kind: StoreTrouble, UserID: stored.UserID, GrantID: stored.ID, Err: err})
	}
}

// RetryRevocations tells the provider of the grants that Revoke could not tell it of, and returns how many it
// told. Call it now and then, from any process. One that a new consent has superseded is dropped: telling the provider
// would end the new grant, too. So is one that is damaged, where the grant is not there any more with the token, which
// would do as well.
//
// Errors: *RevocationPendingError for each that is still pending, and *RevocationLostError for each that was dropped because
// it is damaged, joined; errors.ErrUnsupported, wrapped, if the store can't list.
func (f *Flow) RetryRevocations(ctx context.Context) (int, error) {
	var told int
	var failed []error
	for note, err := range f.revocations.All(ctx) {
		unreadable, ok := errors.AsType[*tokenstore.UnsealError](err)
		if err != nil && !ok {
			failed = append(failed, fmt.Errorf("authflow: retry revocations: %w", err))
			break
		}
		if ok {
			note = unreadable.Replacement()
		}
		done, err := f.retryRevocation(ctx, note.UserID)
		if err != nil {
			failed = append(failed, f.stillPending(ctx, note.UserID, err))
		} else if done {
			told++
		}
	}
	return told, errors.Join(failed...)
}

// retryRevocation marks the grant that is noted under key, where a crash came before that, and tells the provider.
func (f *Flow) retryRevocation(ctx context.Context, key string) (bool, error) {
	userID, grantID := noted(key)
	_, err := f.markRevoked(ctx, userID, tokenstore.ReasonApplication, func(ctx context.Context, grant *tokenstore.Grant) error {
		if grant.ID != grantID || grant.Status.Revoked && !hasToken(grant) {
			return errSuperseded
		}
		return f.noteRevocation(ctx, grant) // a refresh may have rotated the token since, or the note be damaged
	})
	if err != nil && !superseded(err) {
		return false, err
	}
	return f.tellRevocation(ctx, key)
}

// tellRevocation tells the provider of the revocation that is pending under key, if there is one that no new consent has
// superseded, and removes it. It reports whether the provider was told.
func (f *Flow) tellRevocation(ctx context.Context, key string) (bool, error) {
	note, err := f.revocations.Get(ctx, key)
	if errors.Is(err, tokenstore.ErrNotFound) {
		return false, nil
	}
	unreadable, ok := errors.AsType[*tokenstore.UnsealError](err)
	if err != nil && !ok {
		return false, err
	}
	userID, grantID := noted(key)
	grant, err := f.grants.Get(ctx, userID)
	if err != nil && !errors.Is(err, tokenstore.ErrNotFound) {
		return false, err
	}
	tell := err != nil || grant.ID == grantID || grant.Status.Revoked
	switch {
	case tell && unreadable != nil:
		return false, unreadable
	case tell:
		if err := f.callRevoke(ctx, note); err != nil {
			return false, err
		}
	case unreadable != nil:
		note = unreadable.Replacement()
	}
	// A conflict means that the token was noted anew, which is another's to tell.
	if err := f.revocations.Remove(ctx, note); err != nil && !errors.Is(err, tokenstore.ErrConflict) {
		return false, err
	}
	return tell, nil
}

// stillPending says why the revocation under key is pending still. One that nobody can tell any more it removes.
func (f *Flow) stillPending(ctx context.Context, key string, err error) error {
	userID, _ := noted(key)
	if unreadable, ok := errors.AsType[*tokenstore.UnsealError](err); ok && unreadable.UserID == key && f.isDamage(unreadable) {
		if rerr := f.revocations.Remove(ctx, unreadable.Replacement()); rerr == nil {
			return &RevocationLostError{UserID: userID, Err: err}
		}
	}
	return &RevocationPendingError{UserID: userID, Err: err}
}

// isDamage reports whether what can't be read stays so. A key that is missing may come back, and a key management service.
func (f *Flow) isDamage(unreadable *tokenstore.UnsealError) bool {
	_, ring := f.cfg.Keys.(*tokenstore.Keyring)
	_, missing := errors.AsType[*tokenstore.UnknownKeyError](unreadable)
	return ring && !missing
}

// A RevocationLostError says that a grant has ended here, that the provider was not told, and that nothing is left to tell
// it with: what was noted is damaged, and the grant is not there with its token. It is reported once.
// The user can still end the grant, at Google on https://myaccount.google.com/connections.
type RevocationLostError struct {
	UserID string
	Err    error `json:"-"` // a *tokenstore.UnsealError
}

func (e *RevocationLostError) Error() string {
	return fmt.Sprintf("authflow: the grant of user %q has ended here, but the provider was not told and can't be told any more: "+
		"what was noted of it is damaged; the user can end the grant in the provider's account settings", e.UserID)
}

// Unwrap returns the cause.
func (e *RevocationLostError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *RevocationLostError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", e.UserID), slog.String("error", e.Error()))
}
