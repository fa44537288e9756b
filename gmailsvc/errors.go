package gmailsvc

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"google.golang.org/api/googleapi"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// The errors below come out of every call through a Service, the generated API's own included, by errors.As. Those that an answer
// of Gmail's stands behind wrap its *googleapi.Error.

// An UnauthorizedError says that Gmail answered 401 to a token that had just been issued. The grant is alive, so
// neither a refresh nor a new consent will help: the token may be for another API, or the account's Gmail may be off.
type UnauthorizedError struct {
	Method, Path string           // of the request
	Err          *googleapi.Error `json:"-"`
}

func (e *UnauthorizedError) Error() string {
	return fmt.Sprintf("gmailsvc: %s %s: Gmail refuses a token that was just issued; "+
		"see whether the API is enabled for the project and Gmail is on for the account", e.Method, e.Path)
}

// Unwrap returns Gmail's answer.
func (e *UnauthorizedError) Unwrap() error { return answered(e.Err) }

// LogValue implements slog.LogValuer.
func (e *UnauthorizedError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("method", e.Method), slog.String("path", e.Path))
}

// A RateLimitError says that Gmail rejected a call over a limit, and still did when it had been retried as far as the
// RetryPolicy and the context's deadline allow. Nothing was done.
type RateLimitError struct {
	Limit      quota.Rejection  // NotRejected: a limit of the day, or of sending, which minutes do not mend
	RetryAfter time.Duration    // 0: Gmail did not say
	Err        *googleapi.Error `json:"-"`
}

func (e *RateLimitError) Error() string {
	text := "gmailsvc: over a limit of Gmail's"
	if e.Limit != quota.NotRejected {
		text += " (" + e.Limit.String() + ")"
	}
	if e.RetryAfter > 0 {
		return fmt.Sprintf("%s: %s; try again in %v", text, apiError(e.Err), e.RetryAfter)
	}
	return fmt.Sprintf("%s: %s; try again later, or pace calls with a quota.Limiter", text, apiError(e.Err))
}

// Unwrap returns Gmail's answer.
func (e *RateLimitError) Unwrap() error { return answered(e.Err) }

// LogValue implements slog.LogValuer.
func (e *RateLimitError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("limit", e.Limit.String()), slog.Duration("retry_after", e.RetryAfter),
		slog.String("error", apiError(e.Err)))
}

// An InsufficientScopeError says that the grant does not cover a call. A new consent that asks for one of AnyOf does.
type InsufficientScopeError struct {
	Method string           // of the API, say "gmail.users.messages.send"
	AnyOf  []string         // the scopes that would do, as far as Gmail says or its documents do
	Err    *googleapi.Error `json:"-"`
}

func (e *InsufficientScopeError) Error() string {
	return fmt.Sprintf("gmailsvc: %s needs a scope that was not granted: one of %s; ask the user for it",
		e.Method, strings.Join(e.AnyOf, ", "))
}

// Unwrap returns Gmail's answer.
func (e *InsufficientScopeError) Unwrap() error { return answered(e.Err) }

// LogValue implements slog.LogValuer.
func (e *InsufficientScopeError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("method", e.Method), slog.Any("any_of", e.AnyOf))
}

// A NotFoundError says that what a call names is not there: it never was, or it was deleted meanwhile. Of a history ID
// it says that it is too old.
type NotFoundError struct {
	Method string           // of the API
	Err    *googleapi.Error `json:"-"`
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("gmailsvc: %s: %s", e.Method, apiError(e.Err))
}

// Unwrap returns Gmail's answer.
func (e *NotFoundError) Unwrap() error { return answered(e.Err) }

// LogValue implements slog.LogValuer.
func (e *NotFoundError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("method", e.Method), slog.String("error", apiError(e.Err)))
}

// A SendUncertainError says that nobody can know whether a message was sent: the answer was lost, or was no answer. It was
// not sent again. Look into the sent mail, or use SendOnce, which can find out.
type SendUncertainError struct {
	Err error `json:"-"`
}

func (e *SendUncertainError) Error() string {
	return fmt.Sprintf("gmailsvc: the message may have been sent or not: %v; look into the sent mail before sending it again", e.Err)
}

// Unwrap returns the cause.
func (e *SendUncertainError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *SendUncertainError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// A ForbiddenCallError says that a call did not leave the process, since the Service is ReadOnly or NoSend.
type ForbiddenCallError struct {
	Method string // of the API; empty where it is none that is known
	Mode   string // "ReadOnly" or "NoSend"
}

func (e *ForbiddenCallError) Error() string {
	method := e.Method
	if method == "" {
		method = "a call that is not known"
	}
	return fmt.Sprintf("gmailsvc: %s is not let out of a %s service", method, e.Mode)
}

// LogValue implements slog.LogValuer.
func (e *ForbiddenCallError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("method", e.Method), slog.String("mode", e.Mode))
}

// apiError returns a line of what Gmail said, which may be pages.
func apiError(e *googleapi.Error) string {
	if e == nil {
		return "no answer"
	}
	const most = 300
	text := strings.Join(strings.Fields(e.Message), " ")
	if text == "" {
		text = http.StatusText(e.Code)
	}
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return fmt.Sprintf("%d %s", e.Code, text)
}

// answered returns e as an error that is nil where e is.
func answered(e *googleapi.Error) error {
	if e == nil {
		return nil
	}
	return e
}
