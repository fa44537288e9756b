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
	grant, err := f.grants.Get(ctx, userID)
	if err != nil {
		return fmt.Errorf("authflow: revoke: %w", err)
	}
	// The order matters: from here on a crash leaves a revocation that is pending, not one that is forgotten.
	if err := f.noteRevocation(ctx, grant); err != nil {
		return fmt.Errorf("authflow: revoke: %w", err)
	}
	if err := f.MarkRevoked(ctx, userID, tokenstore.ReasonApplication); err != nil {
		return err
	}
	if err := f.revokePending(ctx, userID); err != nil {
		return &RevocationPendingError{UserID: userID, Err: err}
	}
	return nil
}

// MarkRevoked notes that a user's grant has ended, as somebody else than the token endpoint told: a security event,
// the user, an administrator. The provider is not told. A grant that has ended already keeps its first reason.
//
// Errors: tokenstore.ErrNotFound, wrapped; what the store answers otherwise.
func (f *Flow) MarkRevoked(ctx context.Context, userID string, reason tokenstore.Reason) error {
	for {
		grant, err := f.grants.Get(ctx, userID)
		if err == nil && !grant.Status.Revoked {
			f.end(grant, reason, "")
			grant.RefreshToken = ""
			if err = f.grants.Put(ctx, grant); err == nil {
				f.observe(Event{Kind: Revoked, UserID: userID, GrantID: grant.ID, Reason: reason})
			}
		}
		switch {
		case errors.Is(err, tokenstore.ErrConflict):
			continue
		case err != nil:
			return fmt.Errorf("authflow: mark the grant revoked: %w", err)
		}
		f.drop(userID, grant.ID)
		return nil
	}
}

// end makes grant one that has ended. Its refresh token is the caller's business.
func (f *Flow) end(grant *tokenstore.Grant, reason tokenstore.Reason, lastError string) {
	now := f.now()
	grant.Status = tokenstore.Status{Revoked: true, Reason: reason, At: now}
	grant.AccessToken, grant.Expiry = "", time.Time{}
	grant.Lease, grant.LastError, grant.UpdatedAt = nil, lastError, now
}

// Forget deletes what is stored of a user's grant, readable or not. The provider is not told, so the user still finds the
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
	f.drop(userID, grantID)
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
		return nil // it has ended before, and whatever is pending is noted
	}
	for {
		note, err := f.revocations.Get(ctx, grant.UserID)
		if errors.Is(err, tokenstore.ErrNotFound) {
			note, err = &tokenstore.Grant{UserID: grant.UserID}, nil
		}
		if err != nil {
			return err
		}
		note.ID, note.ClientID, note.Scopes = grant.ID, grant.ClientID, grant.Scopes
		note.RefreshToken, note.AccessToken = grant.RefreshToken, grant.AccessToken
		note.CreatedAt, note.UpdatedAt = grant.CreatedAt, f.now()
		if err := f.revocations.Put(ctx, note); !errors.Is(err, tokenstore.ErrConflict) {
			return err
		}
	}
}

// RetryRevocations tells the provider of the grants that Revoke could not tell it of, and returns how many it
// told. Call it now and then, from any process. One that a new consent has superseded is dropped: telling the provider
// would end the new grant, too.
//
// Errors: *RevocationPendingError for those still pending, joined; errors.ErrUnsupported, wrapped, if the store can't list.
func (f *Flow) RetryRevocations(ctx context.Context) (int, error) {
	var told int
	var failed []error
	for note, err := range f.revocations.All(ctx) {
		if err != nil {
			return told, errors.Join(append(failed, fmt.Errorf("authflow: retry revocations: %w", err))...)
		}
		// After a crash between noting and marking, the grant is still to be marked.
		grant, err := f.grants.Get(ctx, note.UserID)
		if err == nil && grant.ID == note.ID {
			err = f.MarkRevoked(ctx, note.UserID, tokenstore.ReasonApplication)
		}
		if err == nil || errors.Is(err, tokenstore.ErrNotFound) {
			err = f.revokePending(ctx, note.UserID)
		}
		if err != nil {
			failed = append(failed, &RevocationPendingError{UserID: note.UserID, Err: err})
			continue
		}
		told++
	}
	return told, errors.Join(failed...)
}

// revokePending tells the provider of the pending revocation of userID, if there is one, and removes it.
func (f *Flow) revokePending(ctx context.Context, userID string) error {
	note, err := f.revocations.Get(ctx, userID)
	if errors.Is(err, tokenstore.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	grant, err := f.grants.Get(ctx, userID)
	if err != nil && !errors.Is(err, tokenstore.ErrNotFound) {
		return err
	}
	if superseded := err == nil && grant.ID != note.ID; !superseded {
		if err := f.callRevoke(ctx, note); err != nil {
			return err
		}
	}
	return f.revocations.Delete(ctx, userID)
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
	resp, err := f.client.Do(req)
	if err != nil {
		return scrubError(err, secrets)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	var answer struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err == nil && answer.Code == "invalid_token" {
		return nil
	}
	return &ProviderError{
		StatusCode: resp.StatusCode, RetryAfter: retryAfter(resp.Header),
		Code: trim(scrub(answer.Code, secrets)), Description: trim(scrub(answer.Description, secrets)),
	}
}
