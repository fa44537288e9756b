package gmailtest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestFaultsAnswerInsteadOfTheOperation(t *testing.T) {
	t.Parallel()
	deadline := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		fault  gmailtest.Fault
		status int
		body   string
		header string // of Content-Type
	}{
		"a status":     {gmailtest.Fault{Status: 503}, 503, "", ""},
		"a body":       {gmailtest.Fault{Body: "{}"}, 200, "{}", "application/json; charset=utf-8"},
		"HTML":         {gmailtest.Fault{Status: 502, Body: "<html>Bad Gateway</html>"}, 502, "<html>Bad Gateway</html>", "text/html; charset=utf-8"},
		"headers":      {gmailtest.Fault{Status: 429, Header: http.Header{"Content-Type": {"x/y"}}, Body: "{}"}, 429, "{}", "x/y"},
		"a handler":    {gmailtest.Fault{Handler: http.RedirectHandler("https://x.example", http.StatusTemporaryRedirect)}, 307, "", ""},
		"a rate limit": {gmailtest.RateLimited("*", deadline), 429, "Retry after 2026-11-23T12:00:00.000Z", "application/json; charset=utf-8"},
		"a quota":      {gmailtest.QuotaExceeded("*", "userRateLimitExceeded"), 403, `"reason": "userRateLimitExceeded"`, "application/json; charset=utf-8"},
		"a token error": {gmailtest.TokenError("invalid_client", "Unauthorized"), 401, `"error": "invalid_client"`,
			"application/json; charset=utf-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, gmailtest.Config{})
			tc.fault.Times = 1
			s.Inject(tc.fault)
			res, err := s.Transport().RoundTrip(postRequest(t, s.TokenURL(), nil))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != tc.status || !strings.Contains(string(body), tc.body) || res.Header.Get("Content-Type") != tc.header {
				t.Errorf("answer = %s, %q, %q, %v", res.Status, res.Header.Get("Content-Type"), body, err)
			}
			if a := refresh(t, s, "x", nil); a.str("error") != "invalid_grant" {
				t.Errorf("once it is used up, the answer is %s", a.raw)
			}
		})
	}
}

func TestFaultsHitWhatTheyAreMeantFor(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	s.AddUser(gmailtest.User{Email: ada})
	granted := tokens(t, s, readonlyScope)
	remove := s.Inject(gmailtest.Fault{Op: "token.*", Status: 503, Body: "{}", Match: func(r *http.Request) bool {
		return r.FormValue("refresh_token") == "1//0poor"
	}})
	if a := refresh(t, s, granted.str("refresh_token"), nil); a.status != 200 {
		t.Errorf("a request that does not match answers %d", a.status)
	}
	for range 3 {
		if a := refresh(t, s, "1//0poor", nil); a.status != 503 {
			t.Errorf("a request that matches answers %d", a.status)
		}
	}
	if a := (account{Server: s, token: granted.str("access_token")}).get(t, "me/profile"); a.status != 200 {
		t.Errorf("another operation answers %d", a.status)
	}
	remove()
	if a := refresh(t, s, "1//0poor", nil); a.status != 400 {
		t.Errorf("after the removal the answer is %d", a.status)
	}
	if got := s.Count("token.*"); got != s.Count("token.refresh")+s.Count("token.exchange") || s.Count("token.refresh") != 5 {
		t.Errorf("counts = %v, want five refreshes, faults included", s.Counts())
	}
}

func TestAFaultOfSomeTimesHitsExactlyThatManyOfParallelRequests(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	s.Inject(gmailtest.Fault{Op: "token.refresh", Times: 7, Status: 503, Body: "{}"})
	answers := make([]answer, 32)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = refresh(t, s, "x", nil) })
	}
	wg.Wait()
	hit := 0
	for _, a := range answers {
		if a.status == 503 {
			hit++
		}
	}
	if hit != 7 {
		t.Errorf("the fault hit %d requests, want 7", hit)
	}
}

func TestALostAnswerHasTakenEffect(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func() *gmailtest.Server{
		"in process":    func() *gmailtest.Server { return newServer(t, gmailtest.Config{RotateRefreshTokens: true}) },
		"over a socket": func() *gmailtest.Server { return start(t, gmailtest.Config{RotateRefreshTokens: true}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open()
			s.AddUser(gmailtest.User{Email: ada})
			token := tokens(t, s, readonlyScope).str("refresh_token")
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token},
				"client_id": {gmailtest.DefaultClient().ID}, "client_secret": {gmailtest.DefaultClient().Secret}}

			s.Inject(gmailtest.Fault{Op: "token.refresh", Times: 1, Drop: true})
			if res, err := s.Client().Do(postRequest(t, s.TokenURL(), form)); !errors.Is(err, io.EOF) {
				t.Errorf("a dropped request returned %v, %v; want io.EOF", res, err)
			}
			s.Inject(gmailtest.Fault{Op: "token.refresh", Times: 1, DropAfter: true})
			if res, err := s.Client().Do(postRequest(t, s.TokenURL(), form)); !errors.Is(err, io.EOF) {
				t.Errorf("a dropped answer returned %v, %v; want io.EOF", res, err)
			}
			// The first left the token alone, the second has rotated it: this use is the reuse.
			if a := refresh(t, s, token, nil); a.status != 400 {
				t.Errorf("the token was not used up by the request whose answer was lost: %s", a.raw)
			}
		})
	}
}

func TestDelayAndHangEndWhenTheClientGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, gmailtest.Config{})
		s.Inject(gmailtest.Fault{Op: "certs", Times: 1, Delay: 3 * time.Second})
		s.Inject(gmailtest.Fault{Op: "certs", Times: 1, Delay: time.Hour})
		s.Inject(gmailtest.Fault{Op: "certs", Times: 1, Hang: true})
		for _, want := range []struct {
			after time.Duration
			err   error
		}{{3 * time.Second, nil}, {10 * time.Second, context.DeadlineExceeded}, {10 * time.Second, context.DeadlineExceeded}} {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.JWKSURL(), nil)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			res, err := s.Client().Do(req)
			if !errors.Is(err, want.err) || time.Since(began) != want.after {
				t.Errorf("after %v: %v, want %v after %v", time.Since(began), err, want.err, want.after)
			}
			if err == nil {
				_ = res.Body.Close()
			}
		}
	})
}

func TestCloseEndsRequestsThatHang(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*gmailtest.Server{
		"in process": newServer(t, gmailtest.Config{}), "over a socket": start(t, gmailtest.Config{}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arrived := make(chan struct{})
			s.Inject(gmailtest.Fault{Hang: true, Match: func(*http.Request) bool { close(arrived); return true }})
			ended := make(chan error, 1)
			go func() {
				_, err := s.Client().Do(postRequest(t, s.TokenURL(), nil))
				ended <- err
			}()
			<-arrived
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if err := <-ended; err == nil {
				t.Error("the request was answered")
			}
		})
	}
}

func TestErrorsOfTheAPINameTheirStatusAsGoogleDoes(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	for code, status := range map[int]string{
		400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED",
		412: "FAILED_PRECONDITION", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 501: "UNIMPLEMENTED", 503: "UNAVAILABLE",
		504: "DEADLINE_EXCEEDED",
	} {
		fault := gmailtest.APIError("gmail.users.getProfile", code, "theReason", "Please don't.")
		fault.Times = 1
		acc.Inject(fault)
		wantAPIError(t, acc.get(t, "me/profile"), code, status, "theReason", "Please don't.")
	}
}
