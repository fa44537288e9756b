package quota_test

import (
	"context"
	"fmt"
	"iter"
	"log"
	"net/http"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// A call asks first, and tells afterwards what came of it.
func ExampleLimiter() {
	limiter, err := quota.New(quota.Config{})
	if err != nil {
		log.Fatal(err)
	}
	prices := quota.Since2026()
	call := func(ctx context.Context, userID string, req *http.Request) (status int, err error) {
		permit, err := limiter.Acquire(ctx, quota.Request{
			User:  userID,
			Units: prices.Units(quota.MethodOf(req)),
			Class: quota.Interactive, // somebody waits for it
		})
		if err != nil {
			return 0, err
		}
		defer permit.Cancel() // gives the units back where the call was never made
		status, header, body := answer(req)
		permit.Done(quota.OutcomeOf(status, header, body))
		return status, nil
	}

	req, err := http.NewRequest(http.MethodGet, "https://gmail.googleapis.com/gmail/v1/users/me/messages/18c2f0", nil)
	if err != nil {
		log.Fatal(err)
	}
	status, err := call(context.Background(), "1122", req)
	fmt.Println(quota.MethodOf(req), status, err)
	// Output: gmail.users.messages.get 200 <nil>
}

// answer stands for Google.
func answer(*http.Request) (status int, header http.Header, body []byte) {
	return http.StatusOK, nil, nil
}

// How long will it take to read a mailbox of 10,000 messages?
func ExampleLimiter_Estimate() {
	limiter, err := quota.New(quota.Config{})
	if err != nil {
		log.Fatal(err)
	}
	units := 10_000 * quota.Since2026().Units("gmail.users.messages.get")
	fmt.Printf("%.0f minutes\n", limiter.Estimate(quota.Request{User: "1122", Units: units}).Minutes())
	// Output: 33 minutes
}

// Two of the three messages are of one thread, which a single call gets.
func ExamplePlan() {
	type ref struct{ id, thread string }
	listing := func(yield func(ref, error) bool) {
		_ = yield(ref{"m5", "crayfish"}, nil) && yield(ref{"m4", "lanterns"}, nil) && yield(ref{"m1", "crayfish"}, nil)
	}
	var refs iter.Seq2[ref, error] = listing
	for group, err := range quota.Plan(quota.Planner{}, refs, func(r ref) string { return r.thread }) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("thread %q for %v at %v: %d units\n", group.Thread, group.Refs, group.Positions, group.Units)
	}
	// Output:
	// thread "crayfish" for [{m5 crayfish} {m1 crayfish}] at [0 2]: 40 units
	// thread "" for [{m4 lanterns}] at [1]: 20 units
}

// Google says when it wants to hear from the application again.
func ExampleOutcomeOf() {
	outcome := quota.OutcomeOf(http.StatusTooManyRequests,
		http.Header{"Date": {"Fri, 01 May 2026 11:59:50 GMT"}},
		[]byte(`{"error":{"code":429,"message":"User-rate limit exceeded.  Retry after 2026-05-01T12:00:00.000Z"}}`))
	fmt.Println(outcome.Rejected, outcome.RetryAfter)
	// Output: user rate 10s
}

// A project may have prices of its own.
func ExamplePrices() {
	prices := quota.Since2026()
	prices["gmail.users.messages.get"] = 5
	fmt.Println(prices.Units("gmail.users.messages.get"), prices.Units("gmail.users.threads.get"))
	// Output: 5 40
}
