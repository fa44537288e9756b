package authflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/oauth2"
)

// A UserInfo says whose tokens they are.
type UserInfo struct {
	ID            string // the stable key of the user ("sub"); never the e-mail address
	Email         string
	EmailVerified bool
	Name          string
	HostedDomain  string // of a Google Workspace account
}

// GetUserInfo tells whose tokens they are: the guide's get_user_info. It verifies the ID token that came with token;
// where there is none it asks the userinfo endpoint. An ID token that does not verify is an error, never a
// reason to ask elsewhere.
//
// Errors: *NoUserIDError.
func (f *Flow) GetUserInfo(ctx context.Context, token *oauth2.Token) (*UserInfo, error) {
	info, err := f.identify(ctx, token, "")
	if err != nil {
		return nil, &NoUserIDError{Err: err}
	}
	return info, nil
}

// identify is GetUserInfo, and checks that the ID token has that nonce unless it is empty.
func (f *Flow) identify(ctx context.Context, token *oauth2.Token, nonce string, secrets ...string) (*UserInfo, error) {
	raw, _ := token.Extra("id_token").(string)
	if raw == "" || f.idTokens == nil {
		return f.askUserInfo(ctx, token)
	}
	info, err := f.verifyIDToken(ctx, raw, nonce)
	if err != nil {
		return nil, scrubError(err, append(secrets, raw, token.AccessToken, token.RefreshToken, nonce))
	}
	if info.Email == "" && f.cfg.Provider.UserInfoURL != "" {
		// Some providers give the address here only. The subject must be the same (OpenID Connect Core 1.0 §5.3.2).
		if more, err := f.askUserInfo(ctx, token); err == nil && more.ID == info.ID {
			info.Email, info.EmailVerified = more.Email, more.EmailVerified
		}
	}
	return info, nil
}

func (f *Flow) verifyIDToken(ctx context.Context, raw, nonce string) (*UserInfo, error) {
	idToken, err := f.idTokens.Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("the ID token does not verify: %w", err)
	}
	if nonce != "" && idToken.Nonce != nonce {
		return nil, errors.New("the ID token was issued for another authorization (its nonce is a different one)")
	}
	var claims struct {
		userInfoAnswer
		AuthorizedParty string `json:"azp"`
	}
	if err := idToken.Claims(&claims); err != nil {
		return nil, errors.New("the claims of the ID token have the wrong types")
	}
	if claims.AuthorizedParty != "" && claims.AuthorizedParty != f.cfg.ClientID {
		return nil, errors.New("the ID token was issued to another client")
	}
	return claims.userInfo()
}

// errAnonymous says that the tokens, though good, do not tell whose they are.
var errAnonymous = errors.New("the tokens do not tell whose they are; ask for the scopes openid and email")

func (f *Flow) askUserInfo(ctx context.Context, token *oauth2.Token) (*UserInfo, error) {
	if f.cfg.Provider.UserInfoURL == "" {
		return nil, fmt.Errorf("%w: there is no ID token to verify, and the provider has no userinfo endpoint", errAnonymous)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.cfg.Provider.UserInfoURL, nil)
	if err != nil {
		return nil, err
	}
	token.SetAuthHeader(req)
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the userinfo endpoint: %w", scrubError(err, []string{token.AccessToken}))
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		return nil, fmt.Errorf("%w: there is no ID token to verify, and the userinfo endpoint answered %d", errAnonymous, resp.StatusCode)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask the userinfo endpoint: %w",
			&ProviderError{StatusCode: resp.StatusCode, RetryAfter: retryAfter(resp.Header)})
	}
	var answer userInfoAnswer
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("ask the userinfo endpoint: %w", scrubError(err, []string{token.AccessToken}))
	}
	return answer.userInfo()
}

// userInfoAnswer is what userinfo endpoints answer and ID tokens claim: Google's v2 endpoint says "id" where
// OpenID Connect says "sub".
type userInfoAnswer struct {
	Subject       string   `json:"sub"`
	ID            string   `json:"id"`
	Email         string   `json:"email"`
	EmailVerified flexBool `json:"email_verified"`
	VerifiedEmail flexBool `json:"verified_email"`
	Name          string   `json:"name"`
	HostedDomain  string   `json:"hd"`
}

func (a userInfoAnswer) userInfo() (*UserInfo, error) {
	id := a.Subject
	if id == "" {
		id = a.ID
	}
	if id == "" {
		return nil, errors.New("the answer has neither a sub nor an id")
	}
	if a.ID != "" && a.ID != id {
		return nil, errors.New("the answer has a sub and an id that differ")
	}
	return &UserInfo{
		ID: id, Email: a.Email, EmailVerified: bool(a.EmailVerified || a.VerifiedEmail),
		Name: a.Name, HostedDomain: a.HostedDomain,
	}, nil
}

// flexBool is a boolean that some providers write as a string.
type flexBool bool

func (b *flexBool) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case "true", `"true"`:
		*b = true
	case "false", `"false"`, "null":
		*b = false
	default:
		return errors.New("neither true nor false")
	}
	return nil
}
