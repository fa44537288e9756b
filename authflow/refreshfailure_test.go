package authflow_test

import (
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

func TestARefusedGrantIsMarkedAndAConsentHealsIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg    gmailtest.Config
		refuse func(x *fixture) (mend func())
		reason tokenstore.Reason
	}{
		"revoked by the user": {
			refuse: func(x *fixture) func() { x.google.Revoke(ada); return func() {} }, reason: tokenstore.ReasonInvalidGrant,
		},
		"limited in time": {
			cfg:    gmailtest.Config{RefreshTokenLifetime: 30 * time.Minute},
			refuse: func(*fixture) func() { return func() {} }, reason: tokenstore.ReasonExpired,
		},
		"refused by a policy": {
			refuse: func(x *fixture) func() {
				return x.google.Inject(gmailtest.Fault{Op: "token.refresh", Status: 400,
					Body: `{"error":"invalid_grant","error_description":"reauth related error (invalid_rapt)","error_subtype":"invalid_rapt"}`})
			},
			reason: tokenstore.ReasonPolicy,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, c.cfg, func(t *testing.T, x *fixture) {
				flow := x.flow(t)
				creds := x.connect(t, flow)
				before := x.stored(t)
				mend := c.refuse(x)
				pass(time.Hour)
				noticed := time.Now()
				_, err := creds.Token()
				ended, ok := errors.AsType[*authflow.ReauthorizationRequiredError](err)
				if !ok || ended.Reason != c.reason || ended.UserID != adaID || ended.Email != ada || !ended.At.Equal(noticed) {
					t.Fatalf("Token: %#v, %v", ended, err)
				}
				if answer, ok := errors.AsType[*authflow.ProviderError](err); !ok || answer.Code != "invalid_grant" {
					t.Errorf("the cause is %v", answer)
				}
				got := x.stored(t)
				want := tokenstore.Status{Revoked: true, Reason: c.reason, At: ended.At}
				if got.Status.Revoked != want.Revoked || got.Status.Reason != want.Reason || !got.Status.At.Equal(want.At) {
					t.Errorf("stored status %+v, want %+v", got.Status, want)
				}
				if got.RefreshToken != before.RefreshToken || got.AccessToken != "" || got.LastError == "" || got.Lease != nil {
					t.Errorf("stored %+v", got)
				}
				for range 10 {
					_, err := creds.Token()
					if ended, ok := errors.AsType[*authflow.ReauthorizationRequiredError](err); !ok || ended.Reason != c.reason {
						t.Errorf("later: %v", err)
					}
					if _, err := x.flow(t).GetStoredCredentials(t.Context(), adaID); err == nil {
						t.Error("GetStoredCredentials gives credentials that have ended")
					}
					pass(time.Minute)
				}
				if n := x.refreshes(); n != 1 {
					t.Errorf("the provider was asked %d times", n)
				}

				mend()
				code, state, err := flow.ParseCallback(x.callback(t, ended.AuthorizationURL))
				if err != nil {
					t.Fatal(err)
				}
				again, err := flow.GetCredentials(t.Context(), code, state)
				if err != nil {
					t.Fatal(err)
				}
				if token(t, creds) != token(t, again) {
					t.Error("the Credentials that there were do not work again")
				}
				x.google.Inject(gmailtest.Fault{Op: "token.refresh", Times: 1, Body: `{"access_token":"ya29.next","expires_in":3600}`})
				pass(time.Hour)
				if token(t, creds) != "ya29.next" {
					t.Error("they are not refreshed")
				}
			})
		})
	}
}

func TestTheApplicationsFaultMarksNoGrant(t *testing.T) {
	t.Parallel()
	for _, code := range []string{
		"invalid_client", "deleted_client", "disabled_client", "unauthorized_client", "invalid_scope", "invalid_request",
		"admin_policy_enforced", "org_internal", "something new",
	} {
		t.Run(code, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				creds := x.connect(t, x.flow(t))
				before := x.stored(t)
				mend := x.google.Inject(gmailtest.TokenError(code, "what Google says"))
				pass(time.Hour)
				_, err := creds.Token()
				failed, ok := errors.AsType[*authflow.RefreshError](err)
				if !ok || failed.UserID != adaID {
					t.Fatalf("Token: %v", err)
				}
				if answer, ok := errors.AsType[*authflow.ProviderError](err); !ok || answer.Code != code {
					t.Errorf("the cause is %v", answer)
				}
				after := x.stored(t)
				if after.Status != tokenstore.Active || after.RefreshToken != before.RefreshToken || after.Lease != nil || after.LastError == "" {
					t.Errorf("stored %+v", after)
				}
				if n := x.refreshes(); n != 1 {
					t.Errorf("what does not pass was tried %d times", n)
				}
				mend()
				pass(time.Minute)
				token(t, creds)
				if got := x.stored(t); got.LastError != "" {
					t.Errorf("stored %+v", got)
				}
			})
		})
	}
}

func TestAPassingFailureIsNotNoticed(t *testing.T) {
	t.Parallel()
	html := http.Header{"Content-Type": {"text/html"}}
	for name, fault := range map[string]gmailtest.Fault{
		"503 twice":                  {Status: 503, Body: `{"error":"temporarily_unavailable"}`},
		"500 with invalid_grant":     {Status: 500, Body: `{"error":"invalid_grant"}`},
		"502 with a page":            {Status: 502, Header: html, Body: "<h1>Bad Gateway</h1>"},
		"200 with a page":            {Header: html, Body: "<h1>Log in to the Wi-Fi</h1>"},
		"429 twice":                  {Status: 429},
		"broken connections":         {Drop: true},
		"truncated answers":          {Header: jsonType(), Body: `{"access_token":"ya`},
		"an answer that is an error": {Status: 400, Body: `{"error":"temporarily_unavailable"}`},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				creds := x.connect(t, x.flow(t))
				asked := 0
				for _, times := range []int{1, 2} {
					fault.Op, fault.Times = "token.refresh", times
					x.google.Inject(fault)
					pass(time.Hour)
					start := time.Now()
					token(t, creds)
					if took := time.Since(start); took > 2*time.Second {
						t.Errorf("it took %v", took)
					}
					asked += times + 1
					if got := x.stored(t); got.Status != tokenstore.Active || got.LastError != "" || x.refreshes() != asked {
						t.Errorf("after %d refreshes stored %+v", x.refreshes(), got)
					}
				}
			})
		})
	}
}

func TestAnOutageIsNoStorm(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fresh  bool // Credentials for every call, as jobs get them
		reboot bool // the process started during the outage
		fault  gmailtest.Fault
	}{
		"with one Credentials":                   {false, false, gmailtest.Fault{Status: 503}},
		"with Credentials for each call":         {true, false, gmailtest.Fault{Status: 503}},
		"in a process that started meanwhile":    {true, true, gmailtest.Fault{Status: 503}},
		"where the application is misconfigured": {true, true, gmailtest.TokenError("invalid_client", "Unauthorized")},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				flow := x.flow(t)
				creds := x.connect(t, flow)
				if c.reboot {
					pass(time.Hour)
					flow = x.flow(t)
					creds = credentials(t, flow)
				} else {
					pass(55 * time.Minute) // a refresh is due, the token lives
				}
				c.fault.Op = "token.refresh"
				mend := x.google.Inject(c.fault)
				outage := time.Now()
				for time.Since(outage) < 5*time.Minute {
					for range 200 { // 2,000 a second
						if _, err := creds.Token(); (err == nil) != (!c.reboot && time.Since(outage) < 5*time.Minute-10*time.Second) {
							t.Fatalf("after %v: %v", time.Since(outage), err)
						}
					}
					if c.fresh {
						creds = credentials(t, flow)
					}
					pass(100 * time.Millisecond)
				}
				if n := x.refreshes(); n < 10 || n > 80 {
					t.Errorf("the provider was asked %d times in 5 minutes", n)
				}
				pass(time.Minute)
				_, err := creds.Token()
				if _, ok := errors.AsType[*authflow.RefreshError](err); !ok {
					t.Errorf("Token: %v", err)
				}
				if _, ok := errors.AsType[*authflow.ProviderError](err); !ok {
					t.Errorf("the provider's answer is not the cause of: %v", err)
				}
				mend()
				pass(time.Minute)
				token(t, creds)
			})
		})
	}
}

func TestARetryAfterIsKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header      string
		asked, kept time.Duration
	}{
		"of two minutes":                  {"120", 2 * time.Minute, 2 * time.Minute},
		"of five minutes":                 {"300", 5 * time.Minute, 5 * time.Minute},
		"of an hour, for five minutes":    {"3600", time.Hour, 5 * time.Minute},
		"of a century, for five minutes,": {"3155760000", 24 * time.Hour, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				creds := x.connect(t, x.flow(t))
				pass(time.Hour)
				x.google.Inject(gmailtest.Fault{Op: "token.refresh", Status: 429, Header: http.Header{"Retry-After": {c.header}}, Times: 1})
				for start := time.Now(); time.Since(start) < c.kept; pass(time.Second) {
					_, err := creds.Token()
					if answer, ok := errors.AsType[*authflow.ProviderError](err); !ok || answer.RetryAfter != c.asked {
						t.Fatalf("Token: %v", err)
					}
				}
				if n := x.refreshes(); n != 1 {
					t.Errorf("the provider was asked %d times though it had asked for a pause", n)
				}
				pass(time.Second)
				token(t, creds)
			})
		})
	}
}

func TestASilentProviderFailsARefreshInTime(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		var mu sync.Mutex
		var attempts []time.Duration
		creds := x.connect(t, x.flow(t, func(cfg *authflow.Config) {
			next := cfg.HTTPClient.Transport
			cfg.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				start := time.Now()
				resp, err := next.RoundTrip(r)
				mu.Lock()
				defer mu.Unlock()
				attempts = append(attempts, time.Since(start))
				return resp, err
			})}
		}))
		live := token(t, creds)
		x.google.Inject(gmailtest.Fault{Op: "token.refresh", Hang: true})
		pass(55 * time.Minute)
		for range 4 { // minutes
			start := time.Now()
			if token(t, creds) != live || time.Since(start) != 0 {
				t.Errorf("after %v: another token than the one that lives: %v", time.Since(start), token(t, creds) != live)
			}
			pass(time.Minute)
		}
		pass(time.Hour)
		attempts = nil
		start := time.Now()
		_, err := creds.Token()
		if _, ok := errors.AsType[*authflow.RefreshError](err); !ok {
			t.Errorf("Token: %v", err)
		}
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("it took %v", took)
		}
		if len(attempts) != 3 || attempts[0] != 10*time.Second || attempts[1] != 10*time.Second {
			t.Errorf("the attempts took %v", attempts)
		}
		if got := x.stored(t); got.Lease != nil || got.LastError == "" || got.Status.Revoked {
			t.Errorf("stored %+v", got)
		}
	})
}
