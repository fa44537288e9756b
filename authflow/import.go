package authflow

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// An ImportedToken is a refresh token from an older system. It must have been issued to the same OAuth client.
type ImportedToken struct {
	RefreshToken string

	// UserID and Email are who the older system says it belongs to. UserID is checked where the provider tells, and used
	// where it does not: a token without the scopes "openid" or "email" does not tell.
	UserID, Email string
}

// Import takes over a refresh token from an older system, without a consent. It refreshes the token once, finds out whose it
// is and what it may do, and stores the grant. A user who has a grant here that is alive keeps that one, and it
// is returned. Import may be called for many tokens at once, and repeated; where the provider rotates refresh tokens, repeat
// it only with the UserID set, which tells that the token was imported before.
//
// Errors: *ReauthorizationRequiredError if the token is dead, with the UserID and Email of t; *NoUserIDError if neither the
// provider nor t tells whose it is; *AccountMismatchError if it is another user's than t says; *RefreshError if the
// provider can't be asked now; what the store answers otherwise. After any of them Import may be repeated with the same t, also
// where the provider rotated the token meanwhile: what came in its place is kept in the store until then.
func (f *Flow) Import(ctx context.Context, t ImportedToken) (*Credentials, error) {
	if t.RefreshToken == "" {
		return nil, errors.New("authflow: import: the refresh token is empty")
	}
	// A provider that rotates refresh tokens has just ended the old one when the new one is to be stored: the store must be there.
	// And a token that was imported before must not be sent again: the provider would take it for stolen.
	stored, err := f.grants.Get(ctx, cmp.Or(t.UserID, "import"))
	switch {
	case err == nil && t.UserID != "" && f.usable(stored) == nil:
		return f.credentials(stored), nil
	case err != nil && !errors.Is(err, tokenstore.ErrNotFound):
		return nil, fmt.Errorf("authflow: import: %w", err)
	}
	// From here on the provider's answer may be the only token there is: nothing but the time interrupts.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTimeout+storeTimeout)
	defer cancel()
	begun, err := f.imports.Get(ctx, importKey(t))
	if err != nil && !errors.Is(err, tokenstore.ErrNotFound) {
		return nil, fmt.Errorf("authflow: import: %w", err)
	}
	refreshToken := t.RefreshToken
	if begun != nil {
		refreshToken = begun.RefreshToken
	}
	token, err := f.refresh(ctx, refreshToken)
	if answer, ok := errors.AsType[*ProviderError](err); ok && answer.grantEnded() {
		dead := &tokenstore.Grant{UserID: t.UserID, Email: t.Email}
		f.end(dead, f.endReason(dead, answer), "")
		return nil, f.reauthorization(dead, answer)
	}
	if err != nil {
		return nil, &RefreshError{UserID: t.UserID, Err: err}
	}
	rotated := begun != nil || token.RefreshToken != refreshToken
	if rotated {
		f.noteImport(ctx, t, token)
	}
	user, err := f.identify(ctx, token, "")
	switch {
	case t.UserID != "" && errors.Is(err, errAnonymous):
		user = &UserInfo{ID: t.UserID, Email: t.Email}
	case err != nil:
		return nil, &NoUserIDError{Err: err}
	case t.UserID != "" && t.UserID != user.ID:
		return nil, &AccountMismatchError{WantUserID: t.UserID, UserID: user.ID, Email: user.Email}
	}
	ctx, cancel = context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	for {
		creds, err := f.storeConsent(ctx, user, token, grantedScopes(token, f.cfg.Scopes), true)
		_, unreadable := errors.AsType[*tokenstore.UnsealError](err)
		if err == nil && rotated {
			f.endImport(ctx, t)
		}
		if err == nil || unreadable || sleep(ctx, savePause) != nil {
			return creds, err
		}
	}
}

// imports is the namespace, in the Flow's own store, of the imports whose refresh token was rotated before it was known whose
// it is, or before it was stored.
const imports = "mailgrant imports"

// importKey is under what an import is noted that began with t's token.
func importKey(t ImportedToken) string {
	sum := sha256.Sum256([]byte(t.RefreshToken))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// noteImport keeps the refresh token that the provider issued in place of t's.
func (f *Flow) noteImport(ctx context.Context, t ImportedToken, token *oauth2.Token) {
	_, err := f.imports.Update(ctx, importKey(t), func(note *tokenstore.Grant) error {
		note.RefreshToken, note.ClientID, note.UpdatedAt = token.RefreshToken, f.cfg.ClientID, f.now()
		return nil
	})
	if err != nil {
		f.observe(Event{Kind: StoreTrouble, UserID: t.UserID, Err: err})
	}
}

// endImport forgets an import that has ended well.
func (f *Flow) endImport(ctx context.Context, t ImportedToken) {
	if err := f.imports.Delete(ctx, importKey(t)); err != nil {
		f.observe(Event{Kind: StoreTrouble, UserID: t.UserID, Err: err})
	}
}
