package authflow

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// Forget deletes what is stored of a user's grant, whether it can be opened or not. The provider is not told, so the user
// still finds the application among those with access to their account, and other systems of the project keep
// their grants. It is no error if nothing is stored. A revocation that is pending stays so.
func (f *Flow) Forget(ctx context.Context, userID string) error {
	removed, err := f.remove(ctx, userID)
	if err != nil {
		return fmt.Errorf("authflow: forget: %w", err)
	}
	f.source(userID).drop(removed.ID, &RefreshError{UserID: userID, Err: tokenstore.ErrNotFound})
	f.reindex(ctx, userID, removed.RefreshToken, "")
	f.observe(Event{Kind: Forgotten, UserID: userID, GrantID: removed.ID})
	return nil
}

// maxRemovals is how often a removal that always comes too late is tried: for some seconds.
const maxRemovals = 10

// remove deletes what is stored for userID and returns the very grant that it deleted, empty if that could not be opened.
func (f *Flow) remove(ctx context.Context, userID string) (*tokenstore.Grant, error) {
	for tries := 1; ; tries++ {
		grant, err := f.grants.Get(ctx, userID)
		if errors.Is(err, tokenstore.ErrNotFound) {
			return new(tokenstore.Grant), nil
		}
		if unreadable, ok := errors.AsType[*tokenstore.UnsealError](err); ok {
			grant, err = unreadable.Replacement(), nil
		}
		if err == nil {
			if err = f.grants.Remove(ctx, grant); err == nil {
				return grant, nil
			}
		}
		if !errors.Is(err, tokenstore.ErrConflict) || tries == maxRemovals || polling.wait(ctx, tries-1) != nil {
			return nil, err
		}
	}
}

// Grants yields every stored grant, without its tokens, as tokenstore.Grants.All does: for status pages and reports.
func (f *Flow) Grants(ctx context.Context) iter.Seq2[*tokenstore.Grant, error] {
	return func(yield func(*tokenstore.Grant, error) bool) {
		for grant, err := range f.grants.All(ctx) {
			if grant != nil {
				grant.RefreshToken, grant.AccessToken = "", ""
			}
			if !yield(grant, err) {
				return
			}
		}
	}
}
