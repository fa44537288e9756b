package authflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/oauth2"
)

// A ProviderError is an answer of the provider that is no token: what of it is safe to show. It never holds the
// whole response.
type ProviderError struct {
	StatusCode  int
	Code        string // the "error" of RFC 6749 §5.2; empty where the answer was not OAuth's JSON
	Subtype     string // Google's "error_subtype", say "invalid_rapt"
	Description string // cut to a line, without any secret that was sent
	RetryAfter  time.Duration
}

func (e *ProviderError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("the provider answered %d %s", e.StatusCode, http.StatusText(e.StatusCode))
	}
	return describe(e.Code, e.Subtype, e.Description)
}

// LogValue implements slog.LogValuer.
func (e *ProviderError) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("status", e.StatusCode), slog.String("code", e.Code),
		slog.String("subtype", e.Subtype), slog.String("description", e.Description))
}

// grantEnded reports whether the provider refused the grant itself, as opposed to the request, the
// application, or everybody. Only that ends a grant: clocks, outages and misconfigured clients don't.
func (e *ProviderError) grantEnded() bool { return e.Code == codeInvalidGrant && e.StatusCode/100 == 4 }

// temporary reports whether the same request may succeed soon.
func (e *ProviderError) temporary() bool {
	return e.StatusCode >= 500 || e.StatusCode == http.StatusTooManyRequests || e.Code == codeTemporarily
}

// applicationsFault reports whether the provider refused the application, whoever's grant it was about.
func (e *ProviderError) applicationsFault() bool {
	switch e.Code {
	case "invalid_client", "deleted_client", "disabled_client", "unauthorized_client", "redirect_uri_mismatch",
		"invalid_request", "invalid_scope", "unsupported_grant_type":
		return true
	}
	return false
}

const (
	codeAccessDenied = "access_denied"
	codeInvalidGrant = "invalid_grant"
	codeTemporarily  = "temporarily_unavailable"
	subtypeRAPT      = "invalid_rapt"
)

// whatItMeans explains the error codes of Google's consent and token endpoints.
// See https://developers.google.com/identity/protocols/oauth2/web-server#authorization-errors.
var whatItMeans = map[string]string{
	codeAccessDenied:         "the person said no",
	codeInvalidGrant:         "the code or refresh token is used, expired or revoked, or belongs to another client or redirect URL",
	"admin_policy_enforced":  "a policy of the person's Google Workspace forbids these scopes; their administrator can allow the client",
	"org_internal":           "the application is for accounts of its own organization only",
	"invalid_client":         "the application's client ID or secret is wrong",
	"deleted_client":         "the application's OAuth client was deleted",
	"disabled_client":        "the application's OAuth client is disabled",
	"unauthorized_client":    "the application's client is not allowed to do this",
	"redirect_uri_mismatch":  "the redirect URL is not among those registered for the client",
	"invalid_scope":          "a scope is unknown, or was not granted",
	"invalid_request":        "the request is malformed, or breaks a rule of the provider",
	"unsupported_grant_type": "the token endpoint does not do this",

	"unsupported_response_type":  "the consent endpoint does not do this",
	"disallowed_useragent":       "the provider shows no consent page in an embedded browser; open the system's own",
	"server_error":               "the provider is not well; try again later",
	codeTemporarily:              "the provider is busy; try again later",
	"login_required":             "the person has to sign in at the provider, and the prompt none forbids asking",
	"consent_required":           "the person has to consent, and the prompt none forbids asking",
	"interaction_required":       "the provider has to ask the person something, and the prompt none forbids it",
	"account_selection_required": "the person has to choose an account, and the prompt none forbids asking",
}

// describe makes a line of an error code, its meaning and the provider's own words.
func describe(code, subtype, description string) string {
	text := code
	if subtype != "" {
		text += "/" + subtype
	}
	if meaning := whatItMeans[code]; meaning != "" {
		text += ": " + meaning
	}
	if description != "" {
		text += fmt.Sprintf(" (%q)", description)
	}
	return text
}

// providerError returns what of err may be shown. An *oauth2.RetrieveError holds the whole response, and any text of the
// provider may echo what it was sent.
func providerError(err error, secrets ...string) error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		return scrubError(err, secrets)
	}
	e := &ProviderError{
		StatusCode:  answer.Response.StatusCode,
		Code:        trim(scrub(answer.ErrorCode, secrets)),
		Description: trim(scrub(answer.ErrorDescription, secrets)),
		RetryAfter:  retryAfter(answer.Response.Header),
	}
	var google struct {
		Subtype string `json:"error_subtype"`
	}
	if json.Unmarshal(answer.Body, &google) == nil {
		e.Subtype = trim(scrub(google.Subtype, secrets))
	}
	if e.StatusCode >= 500 {
		e.Code = "" // whoever failed is no authority on the grant
	}
	return e
}

// scrubError returns err itself if its text is a line without a secret, and else an error that is. Some libraries put whole
// pages into their errors.
func scrubError(err error, secrets []string) error {
	text := err.Error()
	if clean := trim(scrub(text, secrets)); clean != text {
		return errors.New(clean)
	}
	return err
}

func scrub(text string, secrets []string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, redacted)
			text = strings.ReplaceAll(text, url.QueryEscape(s), redacted)
			// No escaping changes letters and digits.
			for run := range strings.FieldsFuncSeq(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
				if len(run) >= 12 {
					text = strings.ReplaceAll(text, run, redacted)
				}
			}
		}
	}
	return text
}

// trim makes a short printable line of text that comes from outside.
func trim(text string) string {
	const most = 400
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return text
}

// retryAfter reads the Retry-After header where it is a number of seconds (RFC 9110 §10.2.3).
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, 24*60*60)) * time.Second
}
