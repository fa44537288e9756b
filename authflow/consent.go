package authflow

import (
	"slices"
	"strings"

	"golang.org/x/oauth2"
)

// An AuthOption changes what one authorization URL asks for.
type AuthOption interface{ apply(*authRequest) }

// authRequest is what an authorization URL asks for.
type authRequest struct {
	scopes []string
	params map[string]string
}

type authOption func(*authRequest)

func (o authOption) apply(r *authRequest) { o(r) }

// WithScopes asks for scopes in place of the Config's, and for "openid" and "email".
func WithScopes(scopes ...string) AuthOption {
	return authOption(func(r *authRequest) { r.scopes = withIdentityScopes(scopes) })
}

// WithPrompt sets the prompts to show: "none", "consent", "select_account", or several separated by a space. An
// empty text leaves the choice to the provider. Without "consent", Google sends a refresh token
// on a user's first consent only.
func WithPrompt(prompt string) AuthOption {
	return authOption(func(r *authRequest) {
		delete(r.params, "approval_prompt")
		r.params["prompt"] = prompt
	})
}

// WithApprovalPromptForce asks for the consent page by approval_prompt=force, as Google's guide did, in place of its
// successor prompt=consent. Google refuses a request that has both.
func WithApprovalPromptForce() AuthOption {
	return authOption(func(r *authRequest) {
		delete(r.params, "prompt")
		r.params["approval_prompt"] = "force"
	})
}

// WithIncludeGrantedScopes makes the new grant cover what the user granted before, too.
// See https://developers.google.com/identity/protocols/oauth2/web-server#incrementalAuth.
func WithIncludeGrantedScopes() AuthOption {
	return authOption(func(r *authRequest) { r.params["include_granted_scopes"] = "true" })
}

// WithHostedDomain suggests accounts of a Google Workspace domain. The person can choose another account all the same:
// RequireHostedDomain refuses it, and so does a CallbackHandler.
func WithHostedDomain(domain string) AuthOption {
	return authOption(func(r *authRequest) { r.params["hd"] = domain })
}

// GetAuthorizationURL returns the URL to send a person to, where they are asked for their consent: the guide's
// get_authorization_url. emailAddress, if it is not empty, preselects an account. state comes back to the
// redirect URL as it is, and goes into ExchangeCode or GetCredentials there; it must be unguessable and used once, as
// NewState's is.
//
// The URL asks for offline access, with PKCE (RFC 7636, S256) and a nonce, and by default with
// prompt=consent, so that a refresh token comes every time.
func (f *Flow) GetAuthorizationURL(emailAddress, state string, opts ...AuthOption) string {
	return f.authorizationURL(state, f.authRequest(emailAddress, state, opts))
}

func (f *Flow) authRequest(emailAddress, state string, opts []AuthOption) authRequest {
	r := authRequest{
		scopes: f.cfg.Scopes,
		params: map[string]string{"prompt": "consent", "login_hint": emailAddress, "nonce": f.nonce(state)},
	}
	for _, o := range opts {
		o.apply(&r)
	}
	return r
}

func (f *Flow) authorizationURL(state string, r authRequest) string {
	asked := []oauth2.AuthCodeOption{oauth2.AccessTypeOffline, oauth2.S256ChallengeOption(f.verifier(state))}
	for name, value := range r.params {
		if value != "" {
			asked = append(asked, oauth2.SetAuthURLParam(name, value))
		}
	}
	// Not a copy of f.oauth: x/oauth2 writes to one while it is in use.
	c := oauth2.Config{ClientID: f.oauth.ClientID, RedirectURL: f.oauth.RedirectURL, Endpoint: f.oauth.Endpoint, Scopes: r.scopes}
	return c.AuthCodeURL(state, asked...)
}

// Google answers with the long names of the scopes that OpenID Connect calls "email" and "profile".
const (
	scopeOpenID      = "openid"
	scopeEmail       = "email"
	scopeEmailLong   = "https://www.googleapis.com/auth/userinfo.email"
	scopeProfile     = "profile"
	scopeProfileLong = "https://www.googleapis.com/auth/userinfo.profile"
)

// withIdentityScopes returns scopes with those that identify the user.
func withIdentityScopes(scopes []string) []string {
	scopes = slices.Clone(scopes)
	if !slices.Contains(scopes, scopeOpenID) {
		scopes = append(scopes, scopeOpenID)
	}
	if !slices.Contains(scopes, scopeEmail) && !slices.Contains(scopes, scopeEmailLong) {
		scopes = append(scopes, scopeEmail)
	}
	return scopes
}

// grantedScopes returns the scopes that token was granted. A response that names none grants what was
// asked for (RFC 6749 §5.1).
func grantedScopes(token *oauth2.Token, asked []string) []string {
	if s, ok := token.Extra("scope").(string); ok && s != "" {
		return strings.Fields(s)
	}
	return slices.Clone(asked)
}
