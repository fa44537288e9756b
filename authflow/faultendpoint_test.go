package authflow_test

import (
	"errors"
	"net/http"
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
	for name, c := range map[string]struct {
		fault   gmailtest.Fault
		endless bool // instead of a fault
		status  int  // of the *ProviderError; 0: there is none
		within  time.Duration
	}{
		"500":                          {gmailtest.Fault{Status: 500, Body: `{"error":"internal_failure"}`}, false, 500, 5 * time.Second},
		"502":                          {gmailtest.Fault{Status: 502, Header: html, Body: "<h1>Bad Gateway</h1>"}, false, 502, 5 * time.Second},
		"a page":                       {gmailtest.Fault{Header: html, Body: "<h1>Log in to the Wi-Fi</h1>"}, false, 0, 5 * time.Second},
		"a truncated answer":           {gmailtest.Fault{Header: jsonType(), Body: `{"access_token":"ya29`}, false, 0, 5 * time.Second},
		"a slow answer":                {gmailtest.Fault{Delay: 11 * time.Second}, false, 0, 35 * time.Second},
		"a connection that breaks":     {gmailtest.Fault{Drop: true}, false, 0, 5 * time.Second},
		"a redirect":                   {gmailtest.Fault{Status: 307, Header: redirect}, false, 307, 5 * time.Second},
		"an answer that does not end":  {endless: true, within: 5 * time.Second},
		"an application that is wrong": {gmailtest.TokenError("invalid_client", "Unauthorized"), false, 401, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				var down atomic.Bool
				var f flood
				var floods atomic.Int64
				flow := x.flow(t, func(cfg *authflow.Config) {
					next := cfg.HTTPClient.Transport
					cfg.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
						if r.URL.Host == "elsewhere.example" {
							t.Error("the client's secret went to another host")
						}
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
				_, err := creds.Token()
				if _, ok := errors.AsType[*authflow.RefreshError](err); !ok {
					t.Errorf("Token: %v", err)
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
				pass(time.Minute)
				if token(t, creds) == before.AccessToken || x.stored(t).LastError != "" {
					t.Errorf("once it works again, stored is %+v", x.stored(t))
				}
			})
		})
	}
}
