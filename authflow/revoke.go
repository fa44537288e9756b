package authflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/tokenstore"
)

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
	grant, err := f.markRevoked(ctx, userID, tokenstore.ReasonApplication, f.noteRevocation)
	if err != nil {
		return fmt.Errorf("authflow: revoke: %w", err)
	}
	if _, err := f.tellRevocation(ctx, noteKey(grant)); err != nil {
		return &RevocationPendingError{UserID: userID, Err: err}
	}
	return nil
}

// MarkRevoked notes that a user's grant has ended, as somebody else than the token endpoint told: a security event,
// the user, an administrator. The provider is not told. A grant that has ended already keeps its first reason.
//
// Errors: tokenstore.ErrNotFound, wrapped; what the store answers otherwise.
func (f *Flow) MarkRevoked(ctx context.Context, userID string, reason tokenstore.Reason) error {
	_, err := f.markRevoked(ctx, userID, reason, func(context.Context, *tokenstore.Grant) error { return nil })
	if err != nil {
		return fmt.Errorf("authflow: mark the grant revoked: %w", err)
	}
	return nil
}

// markRevoked ends the stored grant of userID for reason, once first has agreed to that very version of it.
func (f *Flow) markRevoked(ctx context.Context, userID string, reason tokenstore.Reason,
	first func(context.Context, *tokenstore.Grant) error,
) (*tokenstore.Grant, error) {
	var already bool
	var before string
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
		before = grant.RefreshToken
		grant.RefreshToken = ""
		return nil
	})
	if err != nil {
		return nil, err
	}
	f.reindex(ctx, userID, before, "")
	f.source(userID).drop(grant.ID, f.reauthorization(grant, nil))
	if !already {
		f.observe(Event{Kind: Revoked, UserID: userID, GrantID: grant.ID, Reason: reason})
	}
	return grant, nil
}

// end makes grant one that has ended. Its refresh token is the caller's business.
func (f *Flow) end(grant *tokenstore.Grant, reason tokenstore.Reason, lastError string) {
	now := f.now()
	grant.Status = tokenstore.Status{Revoked: true, Reason: reason, At: now}
	grant.AccessToken, grant.Expiry = "", time.Time{}
	grant.Lease, grant.LastError, grant.UpdatedAt = nil, lastError, now
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
