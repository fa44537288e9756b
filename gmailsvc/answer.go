package gmailsvc

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/googleapi"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// maxErrorBytes is what is read of an answer that refuses.
const maxErrorBytes = 64 << 10

// An answer is what Gmail said to one attempt of a call, or to a part of a batch.
type answer struct {
	status   int
	header   http.Header
	refusal  []byte // the body, where the status refuses; else nil
	rejected quota.Outcome
}

// answerOf reads of resp what says whether to try again, and leaves it as it was.
func answerOf(resp *http.Response) answer {
	a := answer{status: resp.StatusCode, header: resp.Header}
	if resp.StatusCode < 400 {
		return a
	}
	// What can't be read is missing from an error's text; its status counts.
	a.refusal, _ = io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(a.refusal))
	a.rejected = quota.OutcomeOf(a.status, a.header, a.refusal)
	return a
}

// err returns the typed error that the answer to a call of method is, or nil where it is none that has a type: it
// is then the caller's to read, as *googleapi.Error.
func (a answer) err(method string) error {
	if a.status < 400 {
		return nil
	}
	e := a.apiError()
	switch reason := reasonOf(e); {
	case a.rejected.Rejected != quota.NotRejected, reason == "dailyLimitExceeded", a.status == http.StatusTooManyRequests:
		return &RateLimitError{Limit: a.rejected.Rejected, RetryAfter: a.rejected.RetryAfter, Err: e}
	case a.status == http.StatusForbidden && (reason == "insufficientPermissions" || reason == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"):
		return &InsufficientScopeError{Method: method, AnyOf: a.scopes(method), Err: e}
	case a.status == http.StatusNotFound && method != "":
		return &NotFoundError{Method: method, Err: e}
	}
	return nil
}

// passing reports whether the answer says that another attempt may fare better.
func (a answer) passing() bool {
	return a.rejected.Rejected != quota.NotRejected || mayBeDone(a.status)
}

// mayBeDone reports whether a status leaves open what became of the call.
func mayBeDone(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// apiError returns the answer as the generated API has it.
func (a answer) apiError() *googleapi.Error {
	err := googleapi.CheckResponse(&http.Response{
		StatusCode: a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.refusal)),
	})
	if e, ok := errors.AsType[*googleapi.Error](err); ok {
		return e
	}
	return &googleapi.Error{Code: a.status, Header: a.header}
}

// reasonOf returns the first reason that e gives, in the older form of Google's errors or in the newer one.
func reasonOf(e *googleapi.Error) string {
	for _, item := range e.Errors {
		if item.Reason != "" {
			return item.Reason
		}
	}
	var body struct {
		Error struct {
			Details []struct {
				Reason string `json:"reason"`
			} `json:"details"`
		} `json:"error"`
	}
	if json.Unmarshal([]byte(e.Body), &body) == nil {
		for _, d := range body.Error.Details {
			if d.Reason != "" {
				return d.Reason
			}
		}
	}
	return ""
}

// scopes returns which scopes the answer names (RFC 6750 §3), else those of Google's documents for the method.
func (a answer) scopes(method string) []string {
	for _, challenge := range a.header.Values("WWW-Authenticate") {
		if _, rest, ok := strings.Cut(challenge, `scope="`); ok {
			named, _, _ := strings.Cut(rest, `"`)
			if scopes := strings.Fields(named); len(scopes) > 0 {
				return scopes
			}
		}
	}
	return scopesOf(method)
}

// scopesOf returns the narrowest scopes with which a method can be called, by its family.
// See https://developers.google.com/workspace/gmail/api/auth/scopes.
func scopesOf(method string) []string {
	switch name := strings.TrimPrefix(method, "gmail.users."); {
	case name == "messages.send" || name == "drafts.send":
		return []string{gmail.GmailSendScope, gmail.GmailComposeScope, gmail.GmailModifyScope}
	case name == "messages.delete" || name == "messages.batchDelete" || name == "threads.delete":
		return []string{gmail.MailGoogleComScope}
	case name == "messages.insert" || name == "messages.import":
		return []string{gmail.GmailInsertScope, gmail.GmailModifyScope}
	case name == "drafts.create", name == "drafts.update", name == "drafts.delete":
		return []string{gmail.GmailComposeScope, gmail.GmailModifyScope}
	case strings.HasPrefix(name, "labels.") && !strings.HasSuffix(name, ".list") && !strings.HasSuffix(name, ".get"):
		return []string{gmail.GmailLabelsScope, gmail.GmailModifyScope}
	case strings.HasPrefix(name, "settings.delegates.") || strings.HasPrefix(name, "settings.forwardingAddresses."),
		name == "settings.updateAutoForwarding":
		return []string{gmail.GmailSettingsSharingScope}
	case strings.HasPrefix(name, "settings."):
		return []string{gmail.GmailSettingsBasicScope}
	case strings.HasSuffix(name, ".modify"), strings.HasSuffix(name, ".batchModify"), strings.HasSuffix(name, "trash"):
		return []string{gmail.GmailModifyScope}
	}
	return []string{gmail.GmailReadonlyScope, gmail.GmailModifyScope}
}
