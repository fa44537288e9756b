package gmailsvc

import (
	"fmt"
	"log/slog"
)

// An UnauthorizedError says that Gmail answered 401 to a token that had just been issued. The grant is alive, so
// neither a refresh nor a new consent will help: the token may be for another API, or the account's Gmail may be off.
type UnauthorizedError struct {
	Method, Path string // of the request
}

func (e *UnauthorizedError) Error() string {
	return fmt.Sprintf("gmailsvc: %s %s: Gmail refuses a token that was just issued; "+
		"see whether the API is enabled for the project and Gmail is on for the account", e.Method, e.Path)
}

// LogValue implements slog.LogValuer.
func (e *UnauthorizedError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("method", e.Method), slog.String("path", e.Path))
}
