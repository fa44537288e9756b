package gmailtest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Quota is what Gmail lets a user and a project do. The zero value limits nothing; units are counted all
// the same.
// https://developers.google.com/workspace/gmail/api/reference/quota
//
// A call is charged once it is authorized, whatever it then answers, each call of a batch by itself. A call that is
// refused costs nothing, nor does one that a Fault answers.
//
// Google says that its limits per minute reset after that minute, and not when one begins. Here it is a fixed
// one: units that were spent come back all together when the clock of Config.Now starts a new minute. With
// Sliding each comes back 60 seconds after it was spent, which is never more generous. Whoever stays within a
// limit in every 60 seconds is refused by neither.
type Quota struct {
	// Prices are the units that a call costs, by Google's method IDs. A method that is missing costs none.
	// Default: PricesSince2026.
	Prices map[string]int

	// PerUserPerMinute and PerProjectPerMinute are in units. All clients of a server are one project. 0: no limit.
	PerUserPerMinute, PerProjectPerMinute int

	// ConcurrentPerUser is how many calls of one user may be in flight at once, and ConcurrentInBatches how many in
	// batches, which do not count as the former. All calls of a batch are in flight as long as it is. What is
	// beyond gets 429 "Too many concurrent requests for user". 0: no limit.
	//
	// Google documents neither; its users report that 5 to 10 and 25 are borne.
	ConcurrentPerUser, ConcurrentInBatches int

	// Sliding counts what was spent in the last 60 seconds, not since the minute began.
	Sliding bool

	// Refusal is how a call that costs too much is refused.
	Refusal Refusal

	// RetryAfter adds a Retry-After header to such refusals, in seconds. Google's seldom have it.
	RetryAfter bool
}

// A Refusal is one of Google's ways to refuse a call that is beyond a quota. All are in use.
type Refusal int

const (
	// RefuseForbidden is 403 rateLimitExceeded, naming the quota and the limit.
	RefuseForbidden Refusal = iota

	// RefuseUser is 403 userRateLimitExceeded for the user's limit and rateLimitExceeded for the project's.
	RefuseUser

	// RefuseTooMany is 429 RESOURCE_EXHAUSTED. For the user's limit the text says "Retry after" and when, as RFC
	// 3339 has it.
	RefuseTooMany
)

// A Usage is what was asked of the Gmail API.
type Usage struct {
	// Units were spent.
	Units int

	// Rejected calls were refused for their units, Crowded ones since too many were in flight.
	Rejected, Crowded int

	// MostInFlight is how many calls there were at once at most, and MostInBatches how many in batches, refused
	// ones included.
	MostInFlight, MostInBatches int
}

// Usage returns what was asked in the name of a user so far, by any client, or for "" in all users' names
// together. It panics where there is no such user.
func (s *Server) Usage(email string) Usage {
	if email == "" {
		return s.meter.usage(nil)
	}
	s.mu.RLock()
	box := s.mustUser("Usage", email)
	s.mu.RUnlock()
	return s.meter.usage(box)
}

func (q Quota) validate() error {
	for name, n := range map[string]int{
		"PerUserPerMinute": q.PerUserPerMinute, "PerProjectPerMinute": q.PerProjectPerMinute,
		"ConcurrentPerUser": q.ConcurrentPerUser, "ConcurrentInBatches": q.ConcurrentInBatches,
	} {
		if n < 0 {
			return fmt.Errorf("gmailtest: Config.Quota.%s is %d; it must be positive, or 0 for no limit", name, n)
		}
	}
	for id, units := range q.Prices {
		if units < 0 {
			return fmt.Errorf("gmailtest: Config.Quota.Prices has %d units for %s; a price cannot be negative", units, id)
		}
	}
	if q.Refusal < RefuseForbidden || q.Refusal > RefuseTooMany {
		return fmt.Errorf("gmailtest: Config.Quota.Refusal is %d; it must be one of the Refuse constants", q.Refusal)
	}
	return nil
}

// A shortage says which limit a call would exceed, and when it would not any more.
type shortage struct {
	user  bool // else the project
	until time.Time
}

// refuse returns the answer to a call that there were no units for.
func (s *Server) refuse(short shortage) *apiError {
	e := &apiError{code: http.StatusForbidden, reason: "rateLimitExceeded"}
	switch q := s.cfg.Quota; {
	case q.Refusal == RefuseForbidden:
		limit := "Queries per minute"
		if short.user {
			limit = "Queries per minute per user"
		}
		number, _, _ := strings.Cut(s.cfg.Clients[0].ID, "-")
		e.message = fmt.Sprintf("Quota exceeded for quota metric 'Queries' and limit '%s' of service 'gmail.googleapis.com' "+
			"for consumer 'project_number:%s'.", limit, number)
	case q.Refusal == RefuseUser && short.user:
		e.reason, e.message = "userRateLimitExceeded", quotaMessage("userRateLimitExceeded")
	case q.Refusal == RefuseUser:
		e.message = quotaMessage("rateLimitExceeded")
	case short.user:
		e.code, e.message = http.StatusTooManyRequests, rateMessage(short.until)
	default:
		e.code, e.message = http.StatusTooManyRequests, rateMessage(time.Time{})
	}
	if s.cfg.Quota.RetryAfter {
		seconds := (short.until.Sub(s.cfg.Now()) + time.Second - 1) / time.Second
		e.retryAfter = strconv.Itoa(max(1, int(seconds)))
	}
	return e
}

// crowded is said to a call that comes while too many of its user's are in flight.
func crowded() *apiError {
	return &apiError{code: http.StatusTooManyRequests, reason: "rateLimitExceeded",
		message: "Too many concurrent requests for user"}
}
