package authflow_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

func TestATokenEndpointThatFailsCostsNoGrant(t *testing.T) {
	t.Parallel()
	html := http.Header{"Content-Type": {"text/html"}}
	redirect := http.Header{"Location": {"https://elsewhere.example/token"}}
	const three = 2 * time.Second // is what three attempts take
	for name, c := range map[string]struct {
		fault    gmailtest.Fault
		endless  bool // instead of a fault
		status   int  // of the *ProviderError; 0: there is none
		says     string
		attempts int64
		within   time.Duration
	}{
		"500":                         {gmailtest.Fault{Status: 500, Body: `{"error":"internal_failure"}`}, false, 500, "500", 3, three},
		"502":                         {gmailtest.Fault{Status: 502, Header: html, Body: "<h1>Bad Gateway</h1>"}, false, 502, "502", 3, three},
		"a page":                      {gmailtest.Fault{Header: html, Body: "<h1>Log in to the Wi-Fi</h1>"}, false, 0, "instead of JSON", 3, three},
		"a truncated answer":          {gmailtest.Fault{Header: jsonType(), Body: `{"access_token":"ya29`}, false, 0, "cannot parse json", 3, three},
		"no JSON":                     {gmailtest.Fault{Header: jsonType(), Body: `access_token=ya29`}, false, 0, "cannot parse json", 3, three},
		"a slow answer":               {gmailtest.Fault{Delay: 11 * time.Second}, false, 0, "exceeded", 3, 30 * time.Second},
		"a connection that breaks":    {gmailtest.Fault{Drop: true}, false, 0, "EOF", 3, three},
		"a redirect":                  {gmailtest.Fault{Status: 307, Header: redirect}, false, 307, "307", 1, time.Second},
		"an answer that does not end": {gmailtest.Fault{}, true, 0, "65536 bytes", 3, three},
		"an application that is wrong": {
			gmailtest.TokenError("invalid_client", "Unauthorized"), false, 401, "invalid_client", 1, time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				var down atomic.Bool
				var f flood
				var attempts, floods atomic.Int64
				flow := x.flow(t, func(cfg *authflow.Config) {
					next := cfg.HTTPClient.Transport
					cfg.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
						if r.URL.Host == "elsewhere.example" {
							t.Error("the client's secret went to another host")
						}
						attempts.Add(1)
						if down.Load() && c.endless {
							floods.Add(1)
							return f.answer(r)
						}
						return next.RoundTrip(r)
					})}
				})
				creds := x.connect(t, flow)
				before := x.stored(t)
				pass(55 * time.Minute) // a refresh is due
				mend := func() {}
				if !c.endless {
					c.fault.Op = "token.refresh"
					mend = x.google.Inject(c.fault)
				}
				down.Store(true)
				for range 4 { // minutes
					if token(t, creds) != before.AccessToken {
						t.Error("another token than the one that lives")
					}
					pass(time.Minute)
				}
				pass(time.Hour)
				start := time.Now()
				attempts.Store(0)
				_, err := creds.Token()
				if _, ok := errors.AsType[*authflow.RefreshError](err); !ok || !strings.Contains(err.Error(), c.says) {
					t.Errorf("Token: %v; want %q", err, c.says)
				}
				if n := attempts.Load(); n != c.attempts {
					t.Errorf("%d attempts, want %d", n, c.attempts)
				}
				answer, ok := errors.AsType[*authflow.ProviderError](err)
				if ok != (c.status != 0) || ok && answer.StatusCode != c.status {
					t.Errorf("the provider's answer is %v, want status %d: %v", answer, c.status, err)
				}
				if took := time.Since(start); took > c.within {
					t.Errorf("it took %v", took)
				}
				if n := f.read.Load(); n > floods.Load()*(64<<10+1) {
					t.Errorf("%d bytes of %d answers were read", n, floods.Load())
				}
				after := x.stored(t)
				if after.Status != tokenstore.Active || after.RefreshToken != before.RefreshToken || after.Lease != nil || after.LastError == "" {
					t.Errorf("stored %+v", after)
				}
				mend()
				down.Store(false)
				pass(30 * time.Second)
				if token(t, creds) == before.AccessToken || x.stored(t).LastError != "" {
					t.Errorf("once it works again, stored is %+v", x.stored(t))
				}
			})
		})
	}
}
