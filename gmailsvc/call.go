package gmailsvc

import (
	"log/slog"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// A Call is one attempt of a call to the Gmail API, for Config.Observer. It holds no secret.
type Call struct {
	Method   string        // of the API, "gmail.users.messages.get"; "batch"; empty where it is none that is known
	User     string        // whose quota it spends, if that is known
	Units    int           // that it cost
	Parts    int           // how many calls it was: more than 1 for a batch
	Attempt  int           // from 1
	Waited   time.Duration // for the quota
	Took     time.Duration // until the answer began
	Status   int           // 0: there was no answer
	Rejected quota.Rejection
	Err      error // of the transport or the credentials
}

// LogValue implements slog.LogValuer.
func (c Call) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("method", c.Method), slog.String("user", c.User), slog.Int("units", c.Units), slog.Int("parts", c.Parts),
		slog.Int("attempt", c.Attempt), slog.Duration("waited", c.Waited), slog.Duration("took", c.Took), slog.Int("status", c.Status),
	}
	if c.Rejected != quota.NotRejected {
		attrs = append(attrs, slog.String("rejected", c.Rejected.String()))
	}
	if c.Err != nil {
		attrs = append(attrs, slog.String("error", c.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}
