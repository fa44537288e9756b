package gmailtest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"strings"
)

// An oauthError is an error answer of the token and revocation endpoints (RFC 6749, section 5.2), in
// Google's words.
type oauthError struct {
	code        string
	description string
	basic       bool // the client authenticated by a header
}

func invalidGrant(description string) *oauthError {
	return &oauthError{code: "invalid_grant", description: description}
}

func serverFailure(err error) *oauthError {
	return &oauthError{code: "internal_failure", description: err.Error()}
}

// saved saves the state and returns e, or what the client is told where that failed. The caller holds s.mu.
func (s *Server) saved(e *oauthError) *oauthError {
	if err := s.save(); err != nil {
		return serverFailure(err)
	}
	return e
}

func (e *oauthError) status() int {
	switch e.code {
	case "invalid_client", "unauthorized_client":
		return http.StatusUnauthorized
	case "internal_failure":
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

func (e *oauthError) body() string {
	b, _ := json.MarshalIndent(struct { // marshaling strings cannot fail
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{e.code, e.description}, "", "  ")
	return string(b)
}

func writeOAuthError(w http.ResponseWriter, e *oauthError) {
	if e.basic {
		w.Header().Set("WWW-Authenticate", `Basic realm="https://accounts.google.com/"`)
	}
	writeJSON(w, e.status(), json.RawMessage(e.body()))
}

// An apiError is an error answer of Google's APIs.
// https://docs.cloud.google.com/apis/design/errors#http_mapping
type apiError struct {
	code         int
	message      string
	reason       string // the machine's word in errors[].reason
	detail       string // the message in errors[]; default: message
	authenticate string // WWW-Authenticate
	retryAfter   string // Retry-After
	service      string // whose scopes are missing; default: Gmail's
	plain        bool   // without errors[], which only Google's older APIs have
	missingScope bool   // details say that the token's scopes do not suffice
	atHeader     bool   // the fault is in the Authorization header
}

func badRequest(message string) *apiError {
	return &apiError{code: http.StatusBadRequest, reason: "invalidArgument", message: message}
}

func notFound() *apiError {
	return &apiError{code: http.StatusNotFound, reason: "notFound", message: "Requested entity was not found."}
}

// notServed is said to a request for a path that leads nowhere.
func notServed(r *http.Request) *apiError {
	return &apiError{code: http.StatusNotFound, reason: "notFound",
		message: "The requested URL " + r.URL.Path + " was not found on this server."}
}

// unauthorized is said to a request with a bad token, or none.
func unauthorized(given bool) *apiError {
	const help = " Expected OAuth 2 access token, login cookie or other valid authentication credential." +
		" See https://developers.google.com/identity/sign-in/web/devconsole-project."
	e := &apiError{
		code: http.StatusUnauthorized, reason: "authError", detail: "Invalid Credentials", atHeader: true,
		message:      "Request had invalid authentication credentials." + help,
		authenticate: `Bearer realm="https://accounts.google.com/", error="invalid_token"`,
	}
	if !given {
		e.reason, e.detail = "required", "Login Required."
		e.message = "Request is missing required authentication credential." + help
		e.authenticate = `Bearer realm="https://accounts.google.com/"`
	}
	return e
}

// insufficientScopes is said to a token that would need one of scopes.
func insufficientScopes(scopes []string) *apiError {
	return &apiError{
		code:         http.StatusForbidden,
		message:      "Request had insufficient authentication scopes.",
		reason:       "insufficientPermissions",
		detail:       "Insufficient Permission",
		missingScope: true,
		authenticate: `Bearer realm="https://accounts.google.com/", error="insufficient_scope", scope="` +
			strings.Join(scopes, " ") + `"`,
	}
}

func forbidden(message string) *apiError {
	return &apiError{code: http.StatusForbidden, reason: "forbidden", message: message}
}

// canonicalStatus names an HTTP status as google.rpc.Code does.
func canonicalStatus(code int) string {
	switch code {
	case http.StatusBadRequest:
		return "INVALID_ARGUMENT"
	case http.StatusUnauthorized:
		return "UNAUTHENTICATED"
	case http.StatusForbidden:
		return "PERMISSION_DENIED"
	case http.StatusNotFound:
		return "NOT_FOUND"
	case http.StatusConflict:
		return "ABORTED"
	case http.StatusTooManyRequests:
		return "RESOURCE_EXHAUSTED"
	case http.StatusNotImplemented:
		return "UNIMPLEMENTED"
	case http.StatusServiceUnavailable:
		return "UNAVAILABLE"
	case http.StatusGatewayTimeout:
		return "DEADLINE_EXCEEDED"
	}
	if code >= 500 {
		return "INTERNAL"
	}
	return "FAILED_PRECONDITION"
}

func (e *apiError) body() []byte {
	type item struct {
		Message      string `json:"message"`
		Domain       string `json:"domain"`
		Reason       string `json:"reason"`
		Location     string `json:"location,omitempty"`
		LocationType string `json:"locationType,omitempty"`
	}
	type detail struct {
		Type     string            `json:"@type"`
		Reason   string            `json:"reason"`
		Domain   string            `json:"domain"`
		Metadata map[string]string `json:"metadata"`
	}
	var doc struct {
		Error struct {
			Code    int      `json:"code"`
			Message string   `json:"message"`
			Errors  []item   `json:"errors,omitempty"`
			Status  string   `json:"status"`
			Details []detail `json:"details,omitempty"`
		} `json:"error"`
	}
	first := item{Message: cmp.Or(e.detail, e.message), Domain: "global", Reason: e.reason}
	if e.code == http.StatusForbidden && strings.HasSuffix(e.reason, "LimitExceeded") {
		first.Domain = "usageLimits"
	}
	if e.atHeader {
		first.Location, first.LocationType = "Authorization", "header"
	}
	doc.Error.Code, doc.Error.Message, doc.Error.Status = e.code, e.message, canonicalStatus(e.code)
	if !e.plain {
		doc.Error.Errors = []item{first}
	}
	if e.missingScope {
		doc.Error.Details = []detail{{
			Type:     "type.googleapis.com/google.rpc.ErrorInfo",
			Reason:   "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
			Domain:   "googleapis.com",
			Metadata: map[string]string{"service": cmp.Or(e.service, "gmail.googleapis.com")},
		}}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	_ = enc.Encode(doc) // strings and numbers cannot fail
	return b.Bytes()
}

func (s *Server) writeAPIError(w http.ResponseWriter, r *http.Request, e *apiError) {
	if e.authenticate != "" {
		w.Header().Set("WWW-Authenticate", e.authenticate)
	}
	if e.retryAfter != "" {
		w.Header().Set("Retry-After", e.retryAfter)
	}
	w.Header().Set("Vary", "Origin, X-Origin, Referer")
	w.Header().Set("Cache-Control", "private")
	s.writeAPI(w, r, e.code, e.body())
}
