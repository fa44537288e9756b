package quota_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// errorBody is an error as Google writes it.
func errorBody(status int, reason, message string) string {
	return fmt.Sprintf(`{"error":{"code":%d,"message":%q,"errors":[{"message":%q,"domain":"usageLimits","reason":%q}]}}`,
		status, message, message, reason)
}

func TestOutcomeOfAnAnswer(t *testing.T) {
	t.Parallel()
	const metric = "Quota exceeded for quota metric 'Queries' and limit '%s' of service 'gmail.googleapis.com' for consumer 'project_number:1'."
	perUser, perProject := fmt.Sprintf(metric, "Queries per minute per user"), fmt.Sprintf(metric, "Queries per minute")
	for name, tc := range map[string]struct {
		status int
		body   string
		want   quota.Rejection
	}{
		"success":                     {200, "", quota.NotRejected},
		"a server's failure":          {503, errorBody(503, "backendError", "Rate Limit Exceeded"), quota.NotRejected},
		"no permission":               {403, errorBody(403, "insufficientPermissions", "Insufficient Permission"), quota.NotRejected},
		"a domain's policy":           {403, errorBody(403, "domainPolicy", "rate limit of concurrent users"), quota.NotRejected},
		"the day's end":               {403, errorBody(403, "dailyLimitExceeded", "Daily Limit Exceeded"), quota.NotRejected},
		"the day's end, as 429":       {429, errorBody(429, "dailyLimitExceeded", "Daily Limit Exceeded"), quota.NotRejected},
		"a page of somebody's proxy":  {403, "<html>no</html>", quota.NotRejected},
		"the user's rate":             {403, errorBody(403, "userRateLimitExceeded", "User Rate Limit Exceeded"), quota.UserRate},
		"the user's rate, as 429":     {429, errorBody(429, "userRateLimitExceeded", "User Rate Limit Exceeded"), quota.UserRate},
		"the user's, by its message":  {403, errorBody(403, "rateLimitExceeded", "User-rate limit exceeded.  Retry after 2026-05-01T12:00:00Z"), quota.UserRate},
		"the user's, by its metric":   {403, errorBody(403, "rateLimitExceeded", perUser), quota.UserRate},
		"the project's, by metric":    {429, errorBody(429, "rateLimitExceeded", perProject), quota.ProjectRate},
		"the project's rate":          {403, errorBody(403, "rateLimitExceeded", "Rate Limit Exceeded"), quota.ProjectRate},
		"calls in flight":             {429, errorBody(429, "rateLimitExceeded", "Too many concurrent requests for user"), quota.Concurrency},
		"calls in flight, as 403":     {403, errorBody(403, "userRateLimitExceeded", "Too many concurrent requests for user."), quota.Concurrency},
		"exhaustion, of who knows":    {429, errorBody(429, "rateLimitExceeded", "Resource has been exhausted (e.g. check quota)."), quota.UserRate},
		"429 without more":            {429, "", quota.UserRate},
		"429 from somebody's proxy":   {429, "<html>slow down</html>", quota.UserRate},
		"429 with a list of nothing":  {429, `{"error":{"errors":[]}}`, quota.UserRate},
		"a message only in the list":  {429, `{"error":{"errors":[{"message":"Too many concurrent requests for user"}]}}`, quota.Concurrency},
		"a reason in the second item": {403, `{"error":{"errors":[{},{"reason":"userRateLimitExceeded"}]}}`, quota.UserRate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := quota.OutcomeOf(tc.status, nil, []byte(tc.body)); got.Rejected != tc.want {
				t.Errorf("%v, want %v", got.Rejected, tc.want)
			}
		})
	}
}

func TestOutcomeSaysWhenToTryAgain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		header  string // lines
		message string
		want    time.Duration
	}{
		"nothing said":                       {"", "User Rate Limit Exceeded", 0},
		"seconds":                            {"Retry-After: 17", "", 17 * time.Second},
		"a date":                             {"Retry-After: Sat, 01 Jan 2000 00:00:09 GMT", "", 9 * time.Second},
		"Gmail's words":                      {"", "User-rate limit exceeded.  Retry after 2000-01-01T00:00:21.196Z", 21196 * time.Millisecond},
		"Gmail's words with a remark behind": {"", "Retry after 2000-01-01T00:15:00Z (Forwarding rules)", 15 * time.Minute},
		"Gmail's words in a sentence":        {"", "Please retry after 2000-01-01T00:01:00+00:00.", time.Minute},
		"by the sender's clock":              {"Date: Sat, 01 Jan 2000 11:00:00 GMT", "Retry after 2000-01-01T11:00:05Z", 5 * time.Second},
		"a date by the sender's clock": {
			"Date: Sat, 01 Jan 2000 11:00:00 GMT\nRetry-After: Sat, 01 Jan 2000 11:00:07 GMT", "", 7 * time.Second},
		"the longer of two":           {"Retry-After: 60", "Retry after 2000-01-01T00:00:05Z", time.Minute},
		"a time gone by":              {"", "Retry after 1999-12-31T23:59:59Z", 0},
		"a date gone by":              {"Retry-After: Fri, 31 Dec 1999 23:59:59 GMT", "", 0},
		"no more than an hour":        {"", "Retry after 9999-12-31T23:59:59Z", time.Hour},
		"not for an age":              {"Retry-After: 9223372036854775807", "", time.Hour},
		"seconds below zero":          {"Retry-After: -5", "", 0},
		"seconds that are no number":  {"Retry-After: soon", "", 0},
		"words without a time":        {"", "Retry after a while", 0},
		"words that end":              {"", "Retry after ", 0},
		"a time without its zone":     {"", "Retry after 2000-01-01T00:00:21", 0},
		"a Date that is none":         {"Date: today\nRetry-After: Sat, 01 Jan 2000 00:00:09 GMT", "", 9 * time.Second},
		"blanks around":               {"Retry-After:  3 ", "", 3 * time.Second},
		"parts of a second are no go": {"Retry-After: 1.5", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				header := http.Header{}
				for line := range strings.Lines(tc.header) {
					name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
					header.Set(name, strings.TrimPrefix(value, " "))
				}
				got := quota.OutcomeOf(429, header, []byte(errorBody(429, "userRateLimitExceeded", tc.message)))
				if got.RetryAfter != tc.want || got.Rejected != quota.UserRate {
					t.Errorf("%v for %v, want %v", got.Rejected, got.RetryAfter, tc.want)
				}
			})
		})
	}
	if got := quota.OutcomeOf(503, http.Header{"Retry-After": {"5"}}, nil); got != (quota.Outcome{}) {
		t.Errorf("of what was not rejected: %v", got)
	}
}

func FuzzOutcomeOf(f *testing.F) {
	f.Add(429, "17", "", errorBody(429, "rateLimitExceeded", "User-rate limit exceeded.  Retry after 2020-01-21T12:57:51.196Z"))
	f.Add(403, "Sat, 01 Jan 2000 00:00:09 GMT", "Sat, 01 Jan 2000 00:00:00 GMT", errorBody(403, "userRateLimitExceeded", "Retry after"))
	f.Add(429, "-1", "x", `{"error":{"errors":[{"message":"retry after 2020-13-41T99:99:99Z ("}]}}`)
	f.Fuzz(func(t *testing.T, status int, retryAfter, date, body string) {
		o := quota.OutcomeOf(status, http.Header{"Retry-After": {retryAfter}, "Date": {date}}, []byte(body))
		if o.RetryAfter < 0 || o.RetryAfter > time.Hour {
			t.Errorf("wait for %v", o.RetryAfter)
		}
		if o.Rejected == quota.NotRejected && o.RetryAfter != 0 || o.Rejected > quota.Concurrency {
			t.Errorf("%v for %v", o.Rejected, o.RetryAfter)
		}
		if status != 403 && status != 429 && o.Rejected != quota.NotRejected {
			t.Errorf("%d is %v", status, o.Rejected)
		}
	})
}
