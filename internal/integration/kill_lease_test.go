package integration_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// hang makes the next refresh with refreshToken hang until its client is gone, before the provider does anything or
// after it has done everything but answer. The channel is closed when it has come so far.
func (f *fleet) hang(tb testing.TB, refreshToken string, after bool) <-chan struct{} {
	tb.Helper()
	seen := make(chan struct{})
	f.google.Inject(gmailtest.Fault{
		Op: "token.refresh", Times: 1,
		Match: func(r *http.Request) bool { return r.PostFormValue("refresh_token") == refreshToken },
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if after {
				f.act(tb, r)
			}
			close(seen)
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}),
	})
	return seen
}

// act lets the provider do what a token request asks for. Nobody learns its answer.
func (f *fleet) act(tb testing.TB, r *http.Request) {
	tb.Helper()
	resp, err := f.google.Client().Post(f.google.URL+"/token", r.Header.Get("Content-Type"), r.Body)
	if err != nil {
		tb.Errorf("pass a refresh on to the provider: %v", err)
		return
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), "access_token") {
		tb.Errorf("the provider answers %s, %v", body, err)
	}
}

// await fails the test where what should come soon does not.
func await(tb testing.TB, what string, come <-chan struct{}) {
	tb.Helper()
	select {
	case <-come:
	case <-time.After(30 * time.Second):
		tb.Fatalf("waited for %s in vain", what)
	}
}

// testKilledHolder kills the process that holds the leases of two grants. The others wait for no longer than the lease, and
// nothing is lost but what only the dead process knew.
func testKilledHolder(t *testing.T, b backend, rotates bool) {
	const each, margin = 50, 5 * time.Second
	f := newFleet(t, b, gmailtest.Config{RotateRefreshTokens: rotates})
	before, after := f.expired(t, 1), f.expired(t, 2) // the provider acts
	users := []string{before.UserID, after.UserID}
	asked, acted := f.hang(t, before.RefreshToken, false), f.hang(t, after.RefreshToken, true)

	holder := f.start(t)
	survivors := []*process{f.start(t), f.start(t)}
	for _, p := range append(survivors, holder) {
		p.tell(t, order{Load: users, Crowd: each})
		p.hear(t)
	}
	holder.tell(t, order{Ask: true})
	await(t, "a refresh", asked)
	await(t, "a refresh that the provider has acted on", acted)
	lease := f.stored(t, before.UserID).Lease
	if lease == nil {
		t.Fatal("a refresh is under way, and nobody has a lease")
	}
	for _, p := range survivors {
		p.tell(t, order{Ask: true})
	}
	holder.kill(t)
	killed := time.Now()

	answers := make(map[string][]outcome)
	for _, p := range survivors {
		for user, o := range p.hear(t).Outcomes {
			answers[user] = append(answers[user], o)
		}
	}
	if took := time.Since(killed); took > lease.Duration+margin || took < lease.Duration-margin {
		t.Errorf("the others have waited for %v; the lease is %v", took, lease.Duration)
	}
	// The one that was killed, the one that act passed on, and one more.
	if n := f.google.Count("token.refresh"); n != 2+3 {
		t.Errorf("the provider was asked %d times for the tokens of two users", n)
	}
	f.checkShared(t, before.UserID, len(survivors)*each, answers[before.UserID]...)
	f.checkRenewable(t, before.UserID)
	if !rotates {
		f.checkShared(t, after.UserID, len(survivors)*each, answers[after.UserID]...)
		f.checkRenewable(t, after.UserID)
		return
	}
	// Only the dead process knew the new refresh token, and to the provider the old one is a stolen one.
	for _, o := range answers[after.UserID] {
		if o.Ended != each {
			t.Errorf("after the new refresh token was lost: %+v; want all told to ask for a new consent", o)
		}
	}
	if status := f.stored(t, after.UserID).Status; !status.Revoked || status.Reason != tokenstore.ReasonInvalidGrant {
		t.Errorf("after the new refresh token was lost: %+v is stored", status)
	}
}

// checkRenewable fails the test unless the stored grant can be refreshed once more.
func (f *fleet) checkRenewable(tb testing.TB, userID string) {
	tb.Helper()
	flow := f.ownFlow(tb)
	creds, err := flow.GetStoredCredentials(tb.Context(), userID)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := creds.Refresh(tb.Context(), f.stored(tb, userID).AccessToken); err != nil {
		tb.Error(err)
	}
}
