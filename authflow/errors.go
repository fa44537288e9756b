package authflow

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// None of the errors below shows its authorization URL, or any token, code, verifier or secret, in its text or log value.

// A CodeExchangeError says that an authorization code could not be exchanged for tokens: the guide's
// CodeExchangeException. If nobody's credentials are at hand otherwise, redirect to AuthorizationURL.
type CodeExchangeError struct {
	AuthorizationURL string // with the state of the failed authorization, or a new one where there was none
	Err              error  `json:"-"` // a *ProviderError if the provider answered
}

func (e *CodeExchangeError) Error() string {
	return fmt.Sprintf("authflow: exchange the authorization code: %v; start again at the authorization URL", e.Err)
}

// Unwrap returns the cause.
func (e *CodeExchangeError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *CodeExchangeError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// A NoRefreshTokenError says that neither the provider's answer nor the store has a refresh token for the user that
// works: the guide's NoRefreshTokenException. Redirect to AuthorizationURL, which asks for consent again.
type NoRefreshTokenError struct {
	UserID, Email    string
	AuthorizationURL string // with the state of the failed authorization
	Err              error  `json:"-"` // why the stored grant does not serve: tokenstore.ErrNotFound, *ReauthorizationRequiredError
}

func (e *NoRefreshTokenError) Error() string {
	return fmt.Sprintf("authflow: no refresh token for user %q: the provider sent none, and of the stored grant: %v; "+
		"ask for consent again at the authorization URL", e.UserID, e.Err)
}

// Unwrap returns the cause.
func (e *NoRefreshTokenError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *NoRefreshTokenError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", e.UserID), slog.String("error", e.Error()))
}

// A NoUserIDError says that nothing trustworthy tells whose tokens they are: the guide's NoUserIdException.
type NoUserIDError struct {
	AuthorizationURL string // with the state of the failed authorization; empty where none was under way
	Err              error  `json:"-"`
}

func (e *NoUserIDError) Error() string {
	return fmt.Sprintf("authflow: the user could not be identified: %v", e.Err)
}

// Unwrap returns the cause.
func (e *NoUserIDError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *NoUserIDError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// An AuthorizationDeniedError says that the provider sent the person back with an error in place of a code
// (RFC 6749 §4.1.2.1). Code "access_denied" is the person's own choice; others are a policy's, or
// the application's fault.
type AuthorizationDeniedError struct {
	Code             string // "access_denied", "admin_policy_enforced", "org_internal", "invalid_scope", ...
	Description      string // the provider's, for developers
	AuthorizationURL string // with the state of the failed authorization, or a new one where there was none
}

// ByUser reports whether it was the person who said no.
func (e *AuthorizationDeniedError) ByUser() bool { return e.Code == codeAccessDenied }

// byPolicy reports whether it was a policy of the person's organization that said no.
func (e *AuthorizationDeniedError) byPolicy() bool {
	return e.Code == "admin_policy_enforced" || e.Code == "org_internal"
}

// temporary reports whether the provider was not well (RFC 6749 §4.1.2.1).
func (e *AuthorizationDeniedError) temporary() bool {
	return e.Code == "server_error" || e.Code == codeTemporarily
}

func (e *AuthorizationDeniedError) Error() string {
	return "authflow: authorization denied: " + describe(e.Code, "", e.Description)
}

// LogValue implements slog.LogValuer.
func (e *AuthorizationDeniedError) LogValue() slog.Value {
	// Not the description: whoever makes up a callback writes it.
	return slog.GroupValue(slog.String("code", e.Code), slog.String("meaning", whatItMeans[e.Code]))
}

// A ReauthorizationRequiredError says that a user's grant has ended and only a new consent brings it back. It comes
// out of every layer by errors.As, also out of a call to the Gmail API.
//
// Nobody was present when it arose, so the state in AuthorizationURL is a new one that no browser knows. An application that
// binds states to browsers, as it should, sends the person to its own login route instead, and there asks
// GetAuthorizationURL for a URL with the Email of this error.
type ReauthorizationRequiredError struct {
	UserID, Email    string
	Reason           tokenstore.Reason
	At               time.Time // when the end was noticed
	AuthorizationURL string
	Err              error `json:"-"` // the provider's answer, if it was this call that noticed; else nil

	grantID string
}

func (e *ReauthorizationRequiredError) Error() string {
	text := fmt.Sprintf("authflow: the grant of user %q has ended (%s)", e.UserID, e.Reason)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text + "; ask for consent again at the authorization URL"
}

// Unwrap returns the cause.
func (e *ReauthorizationRequiredError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *ReauthorizationRequiredError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", e.UserID), slog.String("reason", string(e.Reason)),
		slog.Time("at", e.At), slog.String("error", e.Error()))
}

// A RefreshError says that no live access token could be had for a user, though the grant as far as is known has not
// ended: the provider or the store failed, or the provider refused the application itself. Try again later.
type RefreshError struct {
	UserID string
	Err    error `json:"-"` // a *ProviderError, or the store's, or the network's
}

func (e *RefreshError) Error() string {
	return fmt.Sprintf("authflow: no access token for user %q: %v", e.UserID, e.Err)
}

// Unwrap returns the cause.
func (e *RefreshError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *RefreshError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", e.UserID), slog.String("error", e.Error()))
}

// A RevocationPendingError says that a grant has ended here, but that the provider could not be told. RetryRevocations
// tells it later.
type RevocationPendingError struct {
	UserID string
	Err    error `json:"-"`
}

func (e *RevocationPendingError) Error() string {
	return fmt.Sprintf("authflow: the grant of user %q has ended here, but the provider could not be told: %v; "+
		"RetryRevocations tries again", e.UserID, e.Err)
}

// Unwrap returns the cause.
func (e *RevocationPendingError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *RevocationPendingError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", e.UserID), slog.String("error", e.Error()))
}

// An AccountMismatchError says that tokens belong to another user than they should. Nothing was stored.
type AccountMismatchError struct {
	WantUserID, UserID, Email      string // WantUserID is empty where any user would do
	WantHostedDomain, HostedDomain string // of Google Workspace; WantHostedDomain is empty where any would do

	otherUser bool // and not only the domain is another
}

// wrongUser reports whether the user is another, and not only the domain.
func (e *AccountMismatchError) wrongUser() bool {
	return e.otherUser || e.WantUserID != "" && e.WantUserID != e.UserID
}

func (e *AccountMismatchError) Error() string {
	text := fmt.Sprintf("authflow: the tokens belong to user %q (%s)", e.UserID, e.Email)
	if e.wrongUser() {
		return text + fmt.Sprintf(", not to user %q", e.WantUserID)
	}
	return text + fmt.Sprintf(" of the hosted domain %q, which is not %q", e.HostedDomain, e.WantHostedDomain)
}

// LogValue implements slog.LogValuer.
func (e *AccountMismatchError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("want", e.WantUserID), slog.String("user", e.UserID),
		slog.String("want_domain", e.WantHostedDomain), slog.String("domain", e.HostedDomain))
}

// A MissingScopesError says that a person consented to less than is needed. Nothing was stored: an older grant is as it was.
// Say what the scopes are for, and redirect to AuthorizationURL, which asks again.
type MissingScopesError struct {
	UserID, Email    string
	Granted, Missing []string
	AuthorizationURL string // with the state of the failed authorization
}

func (e *MissingScopesError) Error() string {
	return fmt.Sprintf("authflow: user %q did not grant %s; ask again at the authorization URL", e.UserID, strings.Join(e.Missing, " "))
}

// LogValue implements slog.LogValuer.
func (e *MissingScopesError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", e.UserID), slog.Any("missing", e.Missing), slog.Any("granted", e.Granted))
}

// A CallbackError says that a request to the redirect URL is not one that a sign-in of this browser waits for. Nothing was
// exchanged or stored for it. The person can start again.
type CallbackError struct {
	Reason CallbackReason
	Err    error `json:"-"`

	page page // that the first callback of a repeated one was answered with
}

// A CallbackReason says what is wrong with a callback.
type CallbackReason string

// What can be wrong with a callback.
const (
	CallbackMalformed CallbackReason = "malformed" // a parameter is missing or repeated, or the issuer is another (RFC 9207)
	CallbackForeign   CallbackReason = "foreign"   // this browser did not begin it, or forgot
	CallbackForged    CallbackReason = "forged"    // its cookie was not made here
	CallbackExpired   CallbackReason = "expired"   // it was begun more than 10 minutes ago
	CallbackUsed      CallbackReason = "used"      // it was finished before
	CallbackRepeated  CallbackReason = "repeated"  // it was finished a moment ago, and failed then
)

func (e *CallbackError) Error() string {
	return fmt.Sprintf("authflow: callback: %s: %v; start the sign-in again", e.Reason, e.Err)
}

// Unwrap returns the cause.
func (e *CallbackError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *CallbackError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("reason", string(e.Reason)), slog.String("error", e.Error()))
}

// A ConfigError says what is wrong with a Config.
type ConfigError struct {
	Field   string // "ClientID", "Provider.TokenURL", "client_secret.json", ...
	Problem string
	Err     error `json:"-"`
}

func (e *ConfigError) Error() string { return "authflow: config: " + e.Field + " " + e.Problem }

// Unwrap returns the cause.
func (e *ConfigError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *ConfigError) LogValue() slog.Value { return slog.StringValue(e.Error()) }
