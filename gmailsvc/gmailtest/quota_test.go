package gmailtest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

const grace = "grace@example.com"

// A clock stands still until it is set forward.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// metered is a server with a quota at half a minute past noon, and what two users ask of it.
func metered(t testing.TB, q gmailtest.Quota) (adas, graces account, c *clock) {
	t.Helper()
	c = &clock{now: time.Date(2026, 11, 23, 12, 0, 30, 0, time.UTC)}
	s := newServer(t, gmailtest.Config{Quota: q, Now: c.Now})
	var accounts []account
	for _, email := range []string{ada, grace} {
		box := s.AddUser(gmailtest.User{Email: email})
		token, _, err := s.Grant(email, mailScope)
		must(t, err)
		accounts = append(accounts, account{s, box, token})
	}
	return accounts[0], accounts[1], c
}

// passed asks for the profile, which costs one unit, until it is refused.
func (a account) passed(t testing.TB) (n int, refusal answer) {
	t.Helper()
	for ; n < 1000; n++ {
		if refusal = a.get(t, "me/profile"); refusal.status != http.StatusOK {
			return n, refusal
		}
	}
	t.Fatal("nothing is refused")
	return 0, answer{}
}

func TestUnitsComeBackWithTheMinute(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sliding bool
		// after 10 units at 12:00:30 and 5 more of 15 at 12:00:50: how many pass then
		at59, at61, at90, at110 int
	}{
		"a fixed minute": {false, 0, 15, 0, 0}, // at 12:01:00
		"a sliding one":  {true, 0, 0, 10, 5},  // at 12:01:30 and at 12:01:50
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			acc, other, c := metered(t, gmailtest.Quota{PerUserPerMinute: 15, Sliding: tc.sliding})
			for range 10 {
				acc.get(t, "me/profile")
			}
			c.advance(20 * time.Second)
			if n, _ := acc.passed(t); n != 5 {
				t.Errorf("%d pass at 12:00:50, want 5", n)
			}
			for _, step := range []struct {
				after time.Duration
				want  int
			}{{9 * time.Second, tc.at59}, {2 * time.Second, tc.at61}, {29 * time.Second, tc.at90}, {20 * time.Second, tc.at110}} {
				c.advance(step.after)
				if n, _ := acc.passed(t); n != step.want {
					t.Errorf("%d pass at %s, want %d", n, c.Now().Format(time.TimeOnly), step.want)
				}
			}
			if n, _ := other.passed(t); n != 15 {
				t.Errorf("%d of another user's pass, want 15", n)
			}
		})
	}
}

func TestMethodsCostWhatThePriceListSays(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		prices map[string]int
		want   int // of a profile, a list, two messages, a thread
	}{
		"by default":  {nil, 1 + 5 + 20 + 20 + 40},
		"since 2026":  {gmailtest.PricesSince2026(), 1 + 5 + 20 + 20 + 40},
		"before 2026": {gmailtest.PricesBefore2026(), 1 + 5 + 5 + 5 + 10},
		"one's own":   {map[string]int{"gmail.users.messages.get": 7}, 14},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			acc, _, _ := metered(t, gmailtest.Quota{Prices: tc.prices})
			id := acc.deliver(t, raw("", "Subject: x"))
			for _, path := range []string{"me/profile", "me/messages", "me/messages/" + id, "me/messages/1", "me/threads/" + id} {
				acc.get(t, path)
			}
			if got := acc.Usage(ada).Units; got != tc.want {
				t.Errorf("%d units are spent, want %d", got, tc.want)
			}
			// What is not authorized costs nothing, nor what makes no sense.
			acc.get(t, "me/messages?nope=1")
			acc.get(t, "grace@example.com/messages")
			account{acc.Server, nil, "x"}.get(t, "me/profile")
			acc.Inject(gmailtest.Fault{Op: "gmail.*", Status: 503, Body: "{}"})
			acc.get(t, "me/profile")
			if got := acc.Usage(""); got.Units != tc.want || got.Rejected != 0 {
				t.Errorf("the project's usage is %+v, want %d units", got, tc.want)
			}
		})
	}
}

func TestTheProjectHasALimitOfItsOwn(t *testing.T) {
	t.Parallel()
	adas, graces, c := metered(t, gmailtest.Quota{PerUserPerMinute: 15, PerProjectPerMinute: 20})
	for _, want := range []int{15, 5} {
		if n, _ := map[int]account{15: adas, 5: graces}[want].passed(t); n != want {
			t.Errorf("%d pass, want %d", n, want)
		}
	}
	if got, want := fmt.Sprint(adas.Usage(ada), adas.Usage(grace), adas.Usage("")), "{15 1 0 1 0} {5 1 0 1 0} {20 2 0 1 0}"; got != want {
		t.Errorf("usages = %s, want %s", got, want)
	}
	c.advance(time.Minute)
	if n, _ := graces.passed(t); n != 15 {
		t.Errorf("%d pass in the next minute, want 15", n)
	}
}

func TestCallsBeyondAQuotaAreRefusedAsGoogleDoes(t *testing.T) {
	t.Parallel()
	const metric = "Quota exceeded for quota metric 'Queries' and limit '%s' of service 'gmail.googleapis.com' for consumer 'project_number:407408718192'."
	for name, tc := range map[string]struct {
		quota                   gmailtest.Quota
		code                    int
		status, domain, message string
		reason                  string
		retryAfter              string
	}{
		"by default": {gmailtest.Quota{PerUserPerMinute: 1}, 403, "PERMISSION_DENIED", "usageLimits",
			fmt.Sprintf(metric, "Queries per minute per user"), "rateLimitExceeded", ""},
		"by default, the project": {gmailtest.Quota{PerProjectPerMinute: 1, RetryAfter: true}, 403, "PERMISSION_DENIED", "usageLimits",
			fmt.Sprintf(metric, "Queries per minute"), "rateLimitExceeded", "30"},
		"for the user": {gmailtest.Quota{PerUserPerMinute: 1, Refusal: gmailtest.RefuseUser}, 403, "PERMISSION_DENIED", "usageLimits",
			"User Rate Limit Exceeded", "userRateLimitExceeded", ""},
		"for the user, the project": {gmailtest.Quota{PerProjectPerMinute: 1, Refusal: gmailtest.RefuseUser}, 403, "PERMISSION_DENIED", "usageLimits",
			"Rate Limit Exceeded", "rateLimitExceeded", ""},
		"as too many": {gmailtest.Quota{PerUserPerMinute: 1, Refusal: gmailtest.RefuseTooMany}, 429, "RESOURCE_EXHAUSTED", "global",
			"User-rate limit exceeded.  Retry after 2026-11-23T12:01:00.000Z", "rateLimitExceeded", ""},
		"as too many, sliding": {gmailtest.Quota{PerUserPerMinute: 1, Sliding: true, Refusal: gmailtest.RefuseTooMany, RetryAfter: true}, 429, "RESOURCE_EXHAUSTED", "global",
			"User-rate limit exceeded.  Retry after 2026-11-23T12:01:30.000Z", "rateLimitExceeded", "60"},
		"as too many, the project": {gmailtest.Quota{PerProjectPerMinute: 1, Refusal: gmailtest.RefuseTooMany}, 429, "RESOURCE_EXHAUSTED", "global",
			"Resource has been exhausted (e.g. check quota).", "rateLimitExceeded", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			acc, _, _ := metered(t, tc.quota)
			_, a := acc.passed(t)
			wantAPIError(t, a, tc.code, tc.status, tc.reason, tc.message)
			if a.at("error/errors/0/domain") != tc.domain || a.header.Get("Retry-After") != tc.retryAfter {
				t.Errorf("domain %v, Retry-After %q; want %s, %q", a.at("error/errors/0/domain"), a.header.Get("Retry-After"), tc.domain, tc.retryAfter)
			}
		})
	}
}

func TestACallThatCostsMoreThanTheLimitNeverPasses(t *testing.T) {
	t.Parallel()
	acc, _, c := metered(t, gmailtest.Quota{PerUserPerMinute: 10, Refusal: gmailtest.RefuseTooMany})
	id := acc.deliver(t, raw("", "Subject: x"))
	for range 3 {
		if a := acc.get(t, "me/messages/"+id); a.status != 429 || !strings.Contains(a.raw, "Retry after "+c.Now().Add(time.Minute).Format("2006-01-02T15:04:05")) {
			t.Errorf("answer = %d %s", a.status, a.raw)
		}
		c.advance(10 * time.Minute)
	}
}

func TestEachCallOfABatchIsCharged(t *testing.T) {
	t.Parallel()
	acc, _, _ := metered(t, gmailtest.Quota{PerUserPerMinute: 50})
	id := acc.deliver(t, raw("", "Subject: x"))
	parts := acc.batch(t, slices.Repeat([]string{"GET /gmail/v1/users/me/messages/" + id}, 4)...)
	if got := fmt.Sprint(parts); got != "[<response-item0>:200 <response-item1>:200 <response-item2>:403 <response-item3>:403]" {
		t.Errorf("parts = %s", got)
	}
	if got := acc.Usage(ada); got != (gmailtest.Usage{Units: 40, Rejected: 2, MostInBatches: 4}) {
		t.Errorf("usage = %+v", got)
	}
}

func TestTooManyCallsAtOnceAreRefused(t *testing.T) {
	t.Parallel()
	adas, graces, _ := metered(t, gmailtest.Quota{ConcurrentPerUser: 3, ConcurrentInBatches: 2})
	arrived, let := make(chan struct{}, 10), make(chan struct{})
	remove := adas.Inject(gmailtest.Fault{Op: "gmail.users.messages.list", Match: func(*http.Request) bool {
		arrived <- struct{}{}
		<-let
		return false
	}})
	answers := make(chan answer, 10)
	ask := func(a account, n int) {
		for range n {
			go func() { answers <- a.get(t, "me/messages") }()
			<-arrived
		}
	}
	ask(adas, 5)
	ask(graces, 2)
	parts := adas.batch(t, slices.Repeat([]string{"GET /gmail/v1/users/me/profile"}, 5)...)
	if got := fmt.Sprint(parts); got != "[<response-item0>:200 <response-item1>:200 <response-item2>:429 <response-item3>:429 <response-item4>:429]" {
		t.Errorf("parts = %s", got)
	}
	wantAPIError(t, parts[4].answer, 429, "RESOURCE_EXHAUSTED", "rateLimitExceeded", "Too many concurrent requests for user")
	close(let)
	refused := 0
	for range 7 {
		if a := <-answers; a.status == 429 {
			refused++
		}
	}
	if refused != 2 {
		t.Errorf("%d calls are refused, want the fourth and the fifth of one user", refused)
	}
	remove()
	if a := adas.get(t, "me/messages"); a.status != 200 {
		t.Errorf("afterwards a call answers %s", a.raw)
	}
	if parts := adas.batch(t, slices.Repeat([]string{"GET /gmail/v1/users/me/profile"}, 2)...); parts[0].status != 200 || parts[1].status != 200 {
		t.Errorf("afterwards a batch answers %v", parts)
	}
	if got := adas.Usage(ada); got != (gmailtest.Usage{Units: 3*5 + 2 + 5 + 2, Crowded: 5, MostInFlight: 5, MostInBatches: 5}) {
		t.Errorf("usage = %+v", got)
	}
	if got := adas.Usage(""); got.MostInFlight != 7 || got.Crowded != 5 {
		t.Errorf("the project's usage = %+v", got)
	}
}

func TestQuotaMistakesAreNamed(t *testing.T) {
	t.Parallel()
	for want, q := range map[string]gmailtest.Quota{
		"Quota.PerUserPerMinute is -1":    {PerUserPerMinute: -1},
		"Quota.PerProjectPerMinute is -1": {PerProjectPerMinute: -1},
		"Quota.ConcurrentPerUser is -1":   {ConcurrentPerUser: -1},
		"Quota.ConcurrentInBatches is -1": {ConcurrentInBatches: -1},
		"has -2 units for x":              {Prices: map[string]int{"x": -2}},
		"Quota.Refusal is 9":              {Refusal: 9},
	} {
		if _, err := gmailtest.New(gmailtest.Config{Quota: q}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want one that says %q", err, want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("the usage of nobody is no mistake")
		}
	}()
	newServer(t, gmailtest.Config{}).Usage("nobody@example.com")
}
