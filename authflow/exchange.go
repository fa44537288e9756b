package authflow

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// ExchangeCode exchanges the authorization code of a callback for tokens: the guide's exchange_code. state is
// the one that GetAuthorizationURL was given for this authorization. A code works once, and for a few minutes.
//
// Errors: *CodeExchangeError, which wraps a *ProviderError if the provider answered.
func (f *Flow) ExchangeCode(ctx context.Context, code, state string) (*oauth2.Token, error) {
	token, err := f.exchange(ctx, code, state)
	if err != nil {
		return nil, &CodeExchangeError{AuthorizationURL: f.GetAuthorizationURL("", state), Err: err}
	}
	return token, nil
}

func (f *Flow) exchange(ctx context.Context, code, state string) (*oauth2.Token, error) {
	if code == "" {
		return nil, errors.New("the code is empty; the callback's query holds it, or an error in its place")
	}
	verifier := f.verifier(state)
	token, err := f.oauth.Exchange(f.withClient(ctx), code, oauth2.VerifierOption(verifier))
	return f.checkToken(token, err, code, verifier)
}

// withClient returns ctx with the HTTP client that x/oauth2 is to use.
func (f *Flow) withClient(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, f.client)
}

// The lifetimes that are believed. Google's access tokens live an hour.
const (
	defaultLifetime = time.Hour
	maxLifetime     = 24 * time.Hour
)

// checkToken makes what x/oauth2 returned safe to use: the error holds none of the secrets that were
// sent, and the token is a bearer token whose lifetime is sane and measured on the Flow's clock.
func (f *Flow) checkToken(token *oauth2.Token, err error, secrets ...string) (*oauth2.Token, error) {
	if err != nil {
		return nil, providerError(err, append(secrets, f.cfg.ClientSecret)...)
	}
	if token.TokenType != "" && !strings.EqualFold(token.TokenType, "Bearer") {
		return nil, errors.New("the provider issued a token of another type than Bearer")
	}
	token.Expiry = f.now().Add(lifetime(token))
	return token, nil
}

// lifetime returns how long token lives from when it was issued.
func lifetime(token *oauth2.Token) time.Duration {
	if token.ExpiresIn <= 0 {
		return defaultLifetime
	}
	return min(time.Duration(token.ExpiresIn)*time.Second, maxLifetime)
}

// refreshTokenExpiry returns when the refresh token of a time-limited grant ends, or the zero Time.
// See https://developers.google.com/identity/protocols/oauth2#time-based-access.
func (f *Flow) refreshTokenExpiry(token *oauth2.Token) time.Time {
	seconds, ok := token.Extra("refresh_token_expires_in").(float64)
	const most = 100 * 365 * 24 * 60 * 60
	if !ok || seconds <= 0 || seconds > most {
		return time.Time{}
	}
	return f.now().Add(time.Duration(seconds) * time.Second)
}
