package authflow

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// revocations is the namespace, in the Flow's own store, of the grants that the provider is still to be told of.
const revocations = "mailgrant revocations"

// noteKey is under what the pending revocation of grant is kept. Every consent has its own: what is pending for an older one
// must not replace what is pending for a newer one.
func noteKey(grant *tokenstore.Grant) string { return grant.UserID + " " + grant.ID }

// notedUser returns whose grant is noted under key.
func notedUser(key string) string {
	return key[:max(strings.LastIndexByte(key, ' '), 0)]
}

// noteRevocation keeps what the provider must be told.
func (f *Flow) noteRevocation(ctx context.Context, grant *tokenstore.Grant) error {
	if grant.RefreshToken == "" && grant.AccessToken == "" {
		return nil // whatever is pending is noted already
	}
	_, err := f.revocations.Update(ctx, noteKey(grant), func(note *tokenstore.Grant) error {
		note.ID, note.ClientID, note.Scopes = grant.ID, grant.ClientID, grant.Scopes
		note.RefreshToken, note.AccessToken = grant.RefreshToken, grant.AccessToken
		note.CreatedAt, note.UpdatedAt = grant.CreatedAt, f.now()
		return nil
	})
	return err
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
// would end the new grant, too.
//
// Errors: *RevocationPendingError for each that is still pending, joined; errors.ErrUnsupported, wrapped, if the store
// can't list.
func (f *Flow) RetryRevocations(ctx context.Context) (int, error) {
	var told int
	var failed []error
	for note, err := range f.revocations.All(ctx) {
		if unreadable, ok := errors.AsType[*tokenstore.UnsealError](err); ok {
			failed = append(failed, &RevocationPendingError{UserID: notedUser(unreadable.UserID), Err: err})
			continue
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("authflow: retry revocations: %w", err))
			break
		}
		done, err := f.retryRevocation(ctx, note)
		if err != nil {
			failed = append(failed, &RevocationPendingError{UserID: notedUser(note.UserID), Err: err})
		} else if done {
			told++
		}
	}
	return told, errors.Join(failed...)
}

// retryRevocation marks the noted grant, where a crash came before that, and tells the provider.
func (f *Flow) retryRevocation(ctx context.Context, note *tokenstore.Grant) (bool, error) {
	userID := notedUser(note.UserID)
	_, err := f.markRevoked(ctx, userID, tokenstore.ReasonApplication, func(ctx context.Context, grant *tokenstore.Grant) error {
		if grant.ID != note.ID || grant.Status.Revoked {
			return errSuperseded
		}
		return f.noteRevocation(ctx, grant) // a refresh may have rotated the token since
	})
	if err != nil && !superseded(err) {
		return false, err
	}
	return f.tellRevocation(ctx, note.UserID)
}

// tellRevocation tells the provider of the revocation that is pending under key, if there is one that no new consent has
// superseded, and removes it. It reports whether the provider was told.
func (f *Flow) tellRevocation(ctx context.Context, key string) (bool, error) {
	note, err := f.revocations.Get(ctx, key)
	if errors.Is(err, tokenstore.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	grant, err := f.grants.Get(ctx, notedUser(key))
	if err != nil && !errors.Is(err, tokenstore.ErrNotFound) {
		return false, err
	}
	tell := err != nil || grant.ID == note.ID || grant.Status.Revoked
	if tell {
		if err := f.callRevoke(ctx, note); err != nil {
			return false, err
		}
	}
	// A conflict means that the token was noted anew, which is another's to tell.
	if err := f.revocations.Remove(ctx, note); err != nil && !errors.Is(err, tokenstore.ErrConflict) {
		return false, err
	}
	return tell, nil
}
