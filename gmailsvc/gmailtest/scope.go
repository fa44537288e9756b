package gmailtest

import (
	"slices"
	"strings"
)

const (
	scopeOpenID  = "openid"
	scopeEmail   = "https://www.googleapis.com/auth/userinfo.email"
	scopeProfile = "https://www.googleapis.com/auth/userinfo.profile"
)

// The scopes of the Gmail API that this package has methods for.
// https://developers.google.com/workspace/gmail/api/auth/scopes
const (
	scopeMail     = "https://mail.google.com/"
	scopeModify   = "https://www.googleapis.com/auth/gmail.modify"
	scopeReadonly = "https://www.googleapis.com/auth/gmail.readonly"
	scopeMetadata = "https://www.googleapis.com/auth/gmail.metadata"
	scopeLabels   = "https://www.googleapis.com/auth/gmail.labels"
	scopeCompose  = "https://www.googleapis.com/auth/gmail.compose"
	scopeInsert   = "https://www.googleapis.com/auth/gmail.insert"
	scopeSend     = "https://www.googleapis.com/auth/gmail.send"
)

// parseScopes splits a scope parameter and gives each scope the name under which Google answers it.
func parseScopes(param string) []string {
	var scopes []string
	for scope := range strings.FieldsSeq(param) {
		switch scope {
		case "email":
			scope = scopeEmail
		case "profile":
			scope = scopeProfile
		}
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

func validScope(scope string) bool {
	return scope == scopeOpenID || scope == scopeMail ||
		strings.HasPrefix(scope, "https://www.googleapis.com/auth/") && len(scope) > len("https://www.googleapis.com/auth/")
}

// isLogin reports whether a scope only says who the user is; the consent page has no box for those.
func isLogin(scope string) bool {
	return scope == scopeOpenID || scope == scopeEmail || scope == scopeProfile
}

// describeScope says what the consent page says of a scope.
func describeScope(scope string) string {
	switch scope {
	case scopeOpenID:
		return "Associate you with your personal info on Google"
	case scopeEmail:
		return "See your primary Google Account email address"
	case scopeProfile:
		return "See your personal info, including any you've made publicly available"
	case scopeMail:
		return "Read, compose, send, and permanently delete all your email from Gmail"
	case scopeModify:
		return "Read, compose, and send emails from your Gmail account"
	case scopeReadonly:
		return "View your email messages and settings"
	case scopeMetadata:
		return "View your email message metadata such as labels and headers, but not the email body"
	case scopeLabels:
		return "See and edit your email labels"
	case scopeCompose:
		return "Manage drafts and send emails"
	case scopeInsert:
		return "Add emails into your Gmail mailbox"
	case scopeSend:
		return "Send email on your behalf"
	}
	name := strings.TrimSuffix(scope, "/")
	return "Use " + name[strings.LastIndexByte(name, '/')+1:]
}

// union returns a and what b adds to it.
func union(a, b []string) []string {
	all := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// contains reports whether every one of want is in have.
func contains(have, want []string) bool {
	return !slices.ContainsFunc(want, func(s string) bool { return !slices.Contains(have, s) })
}
