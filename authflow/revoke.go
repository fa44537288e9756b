package authflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// revocations is the namespace, in the Flow's own store, of the grants that the provider is still to be told of.
const revocations = "mailgrant revocations"

// Revoke ends a user's grant: here at once, and at the provider by its revocation endpoint (RFC 7009). At Google that
// ends the grant of the user to the whole project, over all its clients. What stays is a record that says when
// and why, without tokens; Forget removes it.
//
// If the provider can't be reached, the grant has ended here all the same, Revoke returns a *RevocationPendingError, and
// RetryRevocations tells the provider later.
//
// Errors: tokenstore.ErrNotFound, wrapped; *RevocationPendingError; errors.ErrUnsupported, wrapped, where the provider has no
// revocation endpoint: then nothing was done.
func (f *Flow) Revoke(ctx context.Context, userID string) error {
	if f.cfg.Provider.RevokeURL == "" {
		return fmt.Errorf("authflow: revoke: the provider has no revocation endpoint, Forget removes the grant here: %w", errors.ErrUnsupported)
	}
	// The order matters: from here on a crash leaves a revocation that is pending, not one that is forgotten.
	if err := f.markRevoked(ctx, userID, tokenstore.ReasonApplication, f.noteRevocation); err != nil {
		return fmt.Errorf("authflow: revoke: %w", err)
	}
	if _, err := f.tellRevocation(ctx, userID); err != nil {
		return &RevocationPendingError{UserID: userID, Err: err}
	}
	return nil
}

// MarkRevoked notes that a user's grant has ended, as somebody else than the token endpoint told: a security event,
// the user, an administrator. The provider is not told. A grant that has ended already keeps its first reason.
//
// Errors: tokenstore.ErrNotFound, wrapped; what the store answers otherwise.
func (f *Flow) MarkRevoked(ctx context.Context, userID string, reason tokenstore.Reason) error {
	err := f.markRevoked(ctx, userID, reason, func(context.Context, *tokenstore.Grant) error { return nil })
	if err != nil {
		return fmt.Errorf("authflow: mark the grant revoked: %w", err)
	}
	return nil
}

// markRevoked ends the stored grant of userID for reason, once first has agreed to that very version of it.
func (f *Flow) markRevoked(ctx context.Context, userID string, reason tokenstore.Reason,
	first func(context.Context, *tokenstore.Grant) error,
) error {
	var already bool
	grant, err := f.grants.Update(ctx, userID, func(grant *tokenstore.Grant) error {
		if grant.Version() == "" {
			return tokenstore.ErrNotFound
		}
		if err := first(ctx, grant); err != nil {
			return err
		}
		if already = grant.Status.Revoked; !already {
			f.end(grant, reason, "")
		}
		grant.RefreshToken = ""
		return nil
	})
	if err != nil {
		return err
	}
	f.source(userID).drop(grant.ID, f.reauthorization(grant, nil))
	if !already {
		f.observe(Event{Kind: Revoked, UserID: userID, GrantID: grant.ID, Reason: reason})
	}
	return nil
}

// end makes grant one that has ended. Its refresh token is the caller's business.
func (f *Flow) end(grant *tokenstore.Grant, reason tokenstore.Reason, lastError string) {
	now := f.now()
	grant.Status = tokenstore.Status{Revoked: true, Reason: reason, At: now}
	grant.AccessToken, grant.Expiry = "", time.Time{}
	grant.Lease, grant.LastError, grant.UpdatedAt = nil, lastError, now
}

// Forget deletes what is stored of a user's grant, whether it can be opened or not. The provider is not told, so the user still finds the
// application among those with access to their account, and other systems of the project keep their grants. It
// is no error if nothing is stored. A revocation that is pending stays so.
func (f *Flow) Forget(ctx context.Context, userID string) error {
	var grantID string
	if grant, err := f.grants.Get(ctx, userID); err == nil {
		grantID = grant.ID
	}
	if err := f.grants.Delete(ctx, userID); err != nil {
		return fmt.Errorf("authflow: forget: %w", err)
	}
	f.source(userID).drop(grantID, &RefreshError{UserID: userID, Err: tokenstore.ErrNotFound})
	f.observe(Event{Kind: Forgotten, UserID: userID, GrantID: grantID})
	return nil
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

// noteRevocation keeps what the provider must be told.
func (f *Flow) noteRevocation(ctx context.Context, grant *tokenstore.Grant) error {
	if grant.RefreshToken == "" && grant.AccessToken == "" {
		return nil // whatever is pending is noted already
	}
	_, err := f.revocations.Update(ctx, grant.UserID, func(note *tokenstore.Grant) error {
		note.ID, note.ClientID, note.Scopes = grant.ID, grant.ClientID, grant.Scopes
		note.RefreshToken, note.AccessToken = grant.RefreshToken, grant.AccessToken
		note.CreatedAt, note.UpdatedAt = grant.CreatedAt, f.now()
		return nil
	})
	return err
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
			failed = append(failed, &RevocationPendingError{UserID: unreadable.UserID, Err: err})
			continue
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("authflow: retry revocations: %w", err))
			break
		}
		done, err := f.retryRevocation(ctx, note)
		if err != nil {
			failed = append(failed, &RevocationPendingError{UserID: note.UserID, Err: err})
		} else if done {
			told++
		}
	}
	return told, errors.Join(failed...)
}

// retryRevocation marks the noted grant, where a crash came before that, and tells the provider.
func (f *Flow) retryRevocation(ctx context.Context, note *tokenstore.Grant) (bool, error) {
	err := f.markRevoked(ctx, note.UserID, tokenstore.ReasonApplication, func(ctx context.Context, grant *tokenstore.Grant) error {
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

// tellRevocation tells the provider of the pending revocation of userID, if there is one that no new consent has superseded, and
// removes it. It reports whether the provider was told.
func (f *Flow) tellRevocation(ctx context.Context, userID string) (bool, error) {
	note, err := f.revocations.Get(ctx, userID)
	if errors.Is(err, tokenstore.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	grant, err := f.grants.Get(ctx, userID)
	if err != nil && !errors.Is(err, tokenstore.ErrNotFound) {
		return false, err
	}
	tell := err != nil || grant.ID == note.ID
	if tell {
		if err := f.callRevoke(ctx, note); err != nil {
			return false, err
		}
	}
	// A conflict means that another revocation was noted meanwhile, which is another's to tell.
	if err := f.revocations.Remove(ctx, note); err != nil && !errors.Is(err, tokenstore.ErrConflict) {
		return false, err
	}
	return tell, nil
}

// callRevoke asks the provider to revoke the grant of a token. One that it does not know is revoked already: RFC 7009 §2.2
// answers 200 to that, Google 400 and invalid_token.
func (f *Flow) callRevoke(ctx context.Context, grant *tokenstore.Grant) error {
	form := url.Values{"token": {grant.RefreshToken}, "token_type_hint": {"refresh_token"}}
	if grant.RefreshToken == "" {
		form = url.Values{"token": {grant.AccessToken}, "token_type_hint": {"access_token"}}
	}
	inHeader := f.oauth.Endpoint.AuthStyle == oauth2.AuthStyleInHeader
	if !inHeader {
		form.Set("client_id", f.cfg.ClientID)
		form.Set("client_secret", f.cfg.ClientSecret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.cfg.Provider.RevokeURL, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if inHeader {
		req.SetBasicAuth(url.QueryEscape(f.cfg.ClientID), url.QueryEscape(f.cfg.ClientSecret))
	}
	secrets := []string{form.Get("token"), f.cfg.ClientSecret}
	resp, err := f.revoker.Do(req)
	if err != nil {
		return scrubError(err, secrets)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 == 2 {
		return nil
	}
	var answer struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err == nil && answer.Code == "invalid_token" && resp.StatusCode/100 == 4 {
		return nil
	}
	return &ProviderError{
		StatusCode: resp.StatusCode, RetryAfter: retryAfter(resp.Header),
		Code: trim(scrub(answer.Code, secrets)), Description: trim(scrub(answer.Description, secrets)),
	}
}
