package quota

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Rejection is which limit of Google's a call has run into.
type Rejection uint8

// The limits that a Limiter learns from.
const (
	NotRejected Rejection = iota // or for a reason that waiting a minute does not mend, such as dailyLimitExceeded
	UserRate                     // the user's units a minute
	ProjectRate                  // the project's units a minute
	Concurrency                  // the calls in flight for a user
)

// String returns "not rejected", "user rate", "project rate" or "concurrency".
func (r Rejection) String() string {
	switch r {
	case UserRate:
		return "user rate"
	case ProjectRate:
		return "project rate"
	case Concurrency:
		return "concurrency"
	}
	return "not rejected"
}

// An Outcome is what a call's answer says of the limits. The zero Outcome says that the call was let through.
type Outcome struct {
	Rejected Rejection
	// RetryAfter is how long Google wants to be left alone, at most an hour; 0 where it does not say.
	RetryAfter time.Duration
}

// maxRetryAfter bounds what is believed: Gmail asks for up to a quarter of an hour, and a time beyond reason
// must not silence a user for ever.
const maxRetryAfter = time.Hour

// OutcomeOf reads the outcome from an answer to a call, or to a part of a batch. The body of one that is
// neither 403 nor 429 is not looked at and may be nil; of the others the first 64 KiB will do.
//
// Google rejects with 403 and with 429, and names the same reasons for several limits; what the message says,
// decides. Where it leaves open whether the user's or the project's limit is meant, OutcomeOf takes it for the
// user's, lest one user slow all others down.
// https://developers.google.com/workspace/gmail/api/guides/handle-errors
func OutcomeOf(status int, header http.Header, body []byte) Outcome {
	if status != http.StatusForbidden && status != http.StatusTooManyRequests {
		return Outcome{}
	}
	var answer struct {
		Error struct {
			Message string `json:"message"`
			Errors  []struct {
				Reason  string `json:"reason"`
				Message string `json:"message"`
			} `json:"errors"`
		} `json:"error"`
	}
	// An answer of another form, say a proxy's, has its status alone to say.
	_ = json.Unmarshal(body, &answer)
	var reason string
	message := answer.Error.Message
	for _, e := range answer.Error.Errors {
		if reason == "" {
			reason = e.Reason
		}
		if message == "" {
			message = e.Message
		}
	}
	rejected := rejection(status, reason, strings.ToLower(message))
	if rejected == NotRejected {
		return Outcome{}
	}
	return Outcome{Rejected: rejected, RetryAfter: retryAfter(header, message, time.Now())}
}

// rejection tells the limits apart by words of messages that Google is known to send.
func rejection(status int, reason, message string) Rejection {
	switch {
	case reason == "dailyLimitExceeded":
		return NotRejected
	case status == http.StatusForbidden && reason != "rateLimitExceeded" && reason != "userRateLimitExceeded":
		return NotRejected // domainPolicy, insufficientPermissions and their like
	case strings.Contains(message, "concurrent"): // Too many concurrent requests for user
		return Concurrency
	case reason == "userRateLimitExceeded":
		return UserRate
	// User-rate limit exceeded; Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user'
	case strings.Contains(message, "per user"), strings.Contains(message, "user-rate"), strings.Contains(message, "user rate"):
		return UserRate
	case strings.Contains(message, "per minute"), strings.Contains(message, "project rate"):
		return ProjectRate
	case status == http.StatusForbidden: // Rate Limit Exceeded, as documented for the project
		return ProjectRate
	}
	return UserRate // Resource has been exhausted (e.g. check quota)
}

// retryAfter returns for how long an answer asks for quiet: by the header Retry-After (RFC 9110 §10.2.3), in
// seconds or as a date, or by Gmail's words "Retry after 2026-05-01T12:00:00.000Z". A point in time is compared
// with the answer's own Date, so that it does not matter whether the clocks agree; now stands in where there is
// none.
func retryAfter(header http.Header, message string, now time.Time) time.Duration {
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	var wait time.Duration
	value := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 63); err == nil {
		wait = time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	if at, ok := retryTime(message); ok {
		wait = max(wait, at.Sub(now))
	}
	return min(max(wait, 0), maxRetryAfter)
}

// retryTime finds the time in Gmail's "Retry after 2026-05-01T12:00:00.000Z (Forwarding rules)".
func retryTime(message string) (time.Time, bool) {
	_, rest, ok := strings.Cut(message, "etry after ")
	if !ok {
		return time.Time{}, false
	}
	text, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	at, err := time.Parse(time.RFC3339, strings.TrimRight(text, ".,;)"))
	return at, err == nil
}
