package integration_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestFourProcessesRefreshOnce(t *testing.T) {
	t.Parallel()
	const each, rounds = 250, 5
	for _, test := range []struct {
		name   string
		google gmailtest.Config
		clocks [4]time.Duration
	}{
		{name: "with a provider as Google"},
		{name: "with one that rotates refresh tokens", google: gmailtest.Config{RotateRefreshTokens: true}},
		{
			name: "with clocks that are 20 minutes apart", google: gmailtest.Config{RotateRefreshTokens: true},
			clocks: [4]time.Duration{0, 10 * time.Minute, 0, -10 * time.Minute},
		},
	} {
		for _, b := range backends {
			t.Run(b.name+" "+test.name, func(t *testing.T) {
				t.Parallel()
				f := newFleet(t, b, test.google)
				var processes []*process
				for _, clock := range test.clocks {
					d := f.duty
					d.Clock = clock
					processes = append(processes, d.start(t))
				}
				for round := range rounds {
					user := f.expired(t, round).UserID
					var outcomes []outcome
					for _, o := range []order{{Load: []string{user}, Crowd: each}, {Ask: true}} {
						for _, p := range processes {
							p.tell(t, o)
						}
						for _, p := range processes {
							outcomes = append(outcomes, p.hear(t).Outcomes[user])
						}
					}
					if n := f.google.Count("token.*"); n != round+1 {
						t.Fatalf("after %d expiries the provider was asked for a token %d times", round+1, n)
					}
					f.checkShared(t, user, len(processes)*each, outcomes...)
				}
			})
		}
	}
}

// checkShared fails the test unless so many goroutines have got the token that is stored now, and nothing else.
func (f *fleet) checkShared(tb testing.TB, userID string, goroutines int, outcomes ...outcome) {
	tb.Helper()
	grant := f.stored(tb, userID)
	if grant.Status.Revoked || grant.Lease != nil || !grant.Expiry.After(time.Now().Add(40*time.Minute)) {
		tb.Errorf("stored is %+v", grant)
	}
	for _, o := range outcomes {
		goroutines -= o.Tokens[digest(grant.AccessToken)]
		delete(o.Tokens, digest(grant.AccessToken))
		if len(o.Tokens) > 0 || len(o.Errors) > 0 || o.Ended > 0 {
			tb.Errorf("besides the token that is stored there are %+v", o)
		}
	}
	if goroutines != 0 {
		tb.Errorf("%d goroutines have no token", goroutines)
	}
}

func TestAThousandGoroutinesRefreshOnceInMemory(t *testing.T) {
	t.Parallel()
	memory := backend{name: "memory", place: func(testing.TB) string { return "" }, open: openMemory}
	for _, flows := range []int{1, 4} {
		t.Run(fmt.Sprintf("through %d Flows", flows), func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, memory, gmailtest.Config{RotateRefreshTokens: true})
			user := f.expired(t, 1).UserID
			var crowds []*crowd
			for range flows {
				c, err := assemble(t.Context(), f.ownFlow(t), user, 1000/flows)
				if err != nil {
					t.Fatal(err)
				}
				crowds = append(crowds, c)
			}
			outcomes := make([]outcome, flows)
			var wg sync.WaitGroup
			for i, c := range crowds {
				wg.Go(func() { outcomes[i] = c.ask() })
			}
			wg.Wait()
			f.checkShared(t, user, 1000, outcomes...)
			if n := f.google.Count("token.*"); n != 1 {
				t.Errorf("the provider was asked for a token %d times", n)
			}
		})
	}
}
