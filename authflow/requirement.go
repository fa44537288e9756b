package authflow

import (
	"slices"
	"strings"
)

// A Requirement is what must be so of a consent: otherwise GetCredentials stores nothing.
type Requirement interface{ require(*requirements) }

type requirement func(*requirements)

func (o requirement) require(r *requirements) { o(r) }

// RequireUser demands that it is that user who consents, so that reconnecting one account never stores another's
// grant. Otherwise the error is *AccountMismatchError. An empty userID is nobody's.
func RequireUser(userID string) Requirement {
	return requirement(func(r *requirements) { r.userID, r.anyUser = userID, false })
}

// RequireScopes demands that all of scopes are granted: Google lets people untick some. Otherwise the error
// is *MissingScopesError. See https://developers.google.com/identity/protocols/oauth2/resources/granular-permissions.
func RequireScopes(scopes ...string) Requirement {
	return requirement(func(r *requirements) { r.scopes = append(r.scopes, scopes...) })
}

// RequireHostedDomain demands an account of that Google Workspace domain, or for "*" of any; an empty domain is nobody's.
// Otherwise the error is *AccountMismatchError. WithHostedDomain only suggests such accounts.
func RequireHostedDomain(domain string) Requirement {
	return requirement(func(r *requirements) { r.hostedDomain, r.noDomain = domain, domain == "" })
}

// requirements are what is known, and must be so, of one consent.
type requirements struct {
	userID       string
	anyUser      bool // userID is not demanded
	hostedDomain string
	noDomain     bool // an empty one is demanded
	scopes       []string
	asked        []string // which scopes the authorization asked for
}

// checkUser returns nil or the *AccountMismatchError.
func (r requirements) checkUser(user *UserInfo) error {
	ofDomain := !r.noDomain && (r.hostedDomain == "" || strings.EqualFold(user.HostedDomain, r.hostedDomain) ||
		r.hostedDomain == "*" && user.HostedDomain != "")
	if ofDomain && (r.anyUser || r.userID == user.ID) {
		return nil
	}
	return &AccountMismatchError{
		WantUserID: r.userID, UserID: user.ID, Email: user.Email, otherUser: !r.anyUser && r.userID != user.ID,
		WantHostedDomain: r.hostedDomain, HostedDomain: user.HostedDomain,
	}
}

// missing returns which of the required scopes are not among granted.
func (r requirements) missing(granted []string) []string {
	has := make(map[string]bool, len(granted))
	for _, s := range granted {
		has[longScope(s)] = true
	}
	return slices.DeleteFunc(slices.Clone(r.scopes), func(s string) bool { return has[longScope(s)] })
}

// longScope returns the name that Google answers with for scope.
func longScope(scope string) string {
	switch scope {
	case scopeEmail:
		return scopeEmailLong
	case scopeProfile:
		return scopeProfileLong
	}
	return scope
}

// optionalScopes returns those of scopes that a person, or a provider, can leave out: who the user is was found out
// otherwise, and whether there is a refresh token, too.
func optionalScopes(scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool {
		switch longScope(s) {
		case scopeOpenID, scopeEmailLong, scopeProfileLong, "offline_access":
			return true
		}
		return false
	})
}
