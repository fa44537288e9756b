package authflow_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// What a token endpoint, or whatever is in between, may answer.

func TestAnAnswerThatIsNoTokenIsACodeExchangeError(t *testing.T) {
	t.Parallel()
	html := http.Header{"Content-Type": {"text/html"}}
	text := http.Header{"Content-Type": {"text/plain"}}
	for name, c := range map[string]struct {
		fault  gmailtest.Fault
		status int // of the *ProviderError; 0: there is none
		says   string
	}{
		"500": {gmailtest.Fault{Status: 500, Body: `{"error":"internal_failure"}`}, 500, "500 Internal Server Error"},
		"500 that claims the grant is dead": {
			gmailtest.Fault{Status: 500, Body: `{"error":"invalid_grant"}`}, 500, "500 Internal Server Error",
		},
		"502 with a page":              {gmailtest.Fault{Status: 502, Header: html, Body: "<h1>Bad Gateway</h1>"}, 502, "502 Bad Gateway"},
		"200 with a page":              {gmailtest.Fault{Header: html, Body: "<h1>Log in to the Wi-Fi</h1>"}, 0, "instead of JSON"},
		"200 with a form":              {gmailtest.Fault{Header: text, Body: "access_token=a&refresh_token=b"}, 0, "instead of JSON"},
		"201 with a form":              {gmailtest.Fault{Status: 201, Header: text, Body: "access_token=a&refresh_token=b"}, 0, "instead of JSON"},
		"200 with nothing":             {gmailtest.Fault{Status: 200}, 0, "cannot parse json"},
		"truncated JSON":               {gmailtest.Fault{Header: jsonType(), Body: `{"access_token":"ya29`}, 0, "cannot parse json"},
		"a JSON list":                  {gmailtest.Fault{Body: `[]`}, 0, "cannot parse json"},
		"an error with status 200":     {gmailtest.Fault{Body: `{"error":"invalid_grant"}`}, 200, "invalid_grant"},
		"no access token":              {gmailtest.Fault{Body: `{"token_type":"Bearer"}`}, 0, "missing access_token"},
		"an empty access token":        {gmailtest.Fault{Body: `{"access_token":"","token_type":"Bearer"}`}, 0, "missing access_token"},
		"a token of another type":      {gmailtest.Fault{Body: `{"access_token":"a","token_type":"mac"}`}, 0, "another type than Bearer"},
		"a lifetime that is no number": {gmailtest.Fault{Body: `{"access_token":"a","expires_in":"soon"}`}, 0, "cannot parse json"},
		"a broken connection":          {gmailtest.Fault{Drop: true}, 0, "EOF"},
		"a lost answer":                {gmailtest.Fault{DropAfter: true}, 0, "EOF"},
		"429":                          {gmailtest.Fault{Status: 429, Header: http.Header{"Retry-After": {"7"}}}, 429, "429 Too Many Requests"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			flow := x.flow(t)
			x.connect(t, flow)
			before := x.stored(t)
			code, state := x.code(t, flow)
			c.fault.Op = "token.exchange"
			x.google.Inject(c.fault)

			_, err := flow.GetCredentials(t.Context(), code, state)
			if _, ok := errors.AsType[*authflow.CodeExchangeError](err); !ok || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Fatalf("GetCredentials: %v; want *CodeExchangeError with %q", err, c.says)
			}
			answer, ok := errors.AsType[*authflow.ProviderError](err)
			if ok != (c.status != 0) || ok && answer.StatusCode != c.status {
				t.Errorf("the provider's answer is %#v, want status %d", answer, c.status)
			}
			if name == "429" && answer.RetryAfter != 7*time.Second {
				t.Errorf("RetryAfter = %v", answer.RetryAfter)
			}
			if n := x.google.Count("token.*"); n != 2 {
				t.Errorf("the token endpoint was asked %d times", n)
			}
			x.unchanged(t, before)
		})
	}
}

func jsonType() http.Header { return http.Header{"Content-Type": {"application/json"}} }

func TestARedirectOfTheTokenEndpointIsNeverFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			var elsewhere atomic.Int32
			flow := x.flow(t, func(cfg *authflow.Config) {
				cfg.HTTPClient = &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
					if req.URL.Host == "evil.example" {
						elsewhere.Add(1)
					}
					return x.google.Transport().RoundTrip(req)
				})}
			})
			x.connect(t, flow)
			before := x.stored(t)
			code, state := x.code(t, flow)
			x.google.Inject(gmailtest.Fault{Op: "token.exchange", Status: status,
				Header: http.Header{"Location": {"https://evil.example/token"}}})

			_, err := flow.GetCredentials(t.Context(), code, state)
			answer, ok := errors.AsType[*authflow.ProviderError](err)
			if !ok || answer.StatusCode != status {
				t.Errorf("GetCredentials: %v", err)
			}
			if n := elsewhere.Load(); n != 0 {
				t.Errorf("the code and the client secret went to another host in %d requests", n)
			}
			x.unchanged(t, before)
		})
	}
}

// A flood is an answer of 100 MB that counts what is read of it.
type flood struct{ read atomic.Int64 }

func (f *flood) answer(req *http.Request) (*http.Response, error) {
	const size = 100 << 20
	body := io.TeeReader(io.LimitReader(spaces{}, size), writerFunc(func(p []byte) { f.read.Add(int64(len(p))) }))
	return &http.Response{StatusCode: http.StatusOK, Header: jsonType(), ContentLength: -1, Body: io.NopCloser(body), Request: req}, nil
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

func TestNoMoreThan64KiBOfAnAnswerAreRead(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{
		"of the token endpoint": "/token", "of the userinfo endpoint": "/v1/userinfo", "of the keys": "/oauth2/v3/certs",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			x.connect(t, x.flow(t))
			before := x.stored(t)
			var f flood
			flow := x.flow(t, func(cfg *authflow.Config) {
				cfg.HTTPClient = &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
					if req.URL.Path == path {
						return f.answer(req)
					}
					return x.google.Transport().RoundTrip(req)
				})}
				if strings.Contains(path, "userinfo") {
					cfg.Provider = authflow.Google()
					cfg.Provider.JWKSURL = ""
				}
			})
			code, state := x.code(t, flow)
			_, err := flow.GetCredentials(t.Context(), code, state)
			if err == nil || !strings.Contains(err.Error(), "longer than 65536 bytes") {
				t.Errorf("GetCredentials: %v", err)
			}
			if n := f.read.Load(); n > 64<<10+1 {
				t.Errorf("%d bytes were read", n)
			}
			x.unchanged(t, before)
		})
	}
}

func TestAnAnswerOf64KiBIsRead(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	answer := `{"access_token":"ya29.token"}`
	x.google.Inject(gmailtest.Fault{Op: "token.exchange", Body: answer + strings.Repeat(" ", 64<<10-len(answer))})
	if _, err := flow.ExchangeCode(t.Context(), "4/0A", "state"); err != nil {
		t.Error(err)
	}
}

func TestASilentProviderIsWaitedForTenSeconds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		op      string
		timeout time.Duration // of the Config's client
		want    time.Duration
	}{
		"at the token endpoint":           {"token.exchange", 0, 10 * time.Second},
		"at the keys":                     {"certs", 0, 10 * time.Second},
		"with a client that waits longer": {"token.exchange", time.Hour, 10 * time.Second},
		"with a client that waits less":   {"token.exchange", 3 * time.Second, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				client := x.google.Client()
				client.Timeout = c.timeout
				flow := x.flow(t, func(cfg *authflow.Config) { cfg.HTTPClient = client })
				x.grant(t)
				before := x.stored(t)
				code, state := x.code(t, flow)
				x.google.Inject(gmailtest.Fault{Op: c.op, Hang: true})
				start := time.Now()
				_, err := flow.GetCredentials(t.Context(), code, state)
				if took := time.Since(start); err == nil || took != c.want {
					t.Errorf("after %v: %v", took, err)
				}
				if client.Timeout != c.timeout || client.CheckRedirect != nil {
					t.Error("the caller's client was changed")
				}
				x.unchanged(t, before)
			})
		})
	}
}

func TestLifetimesAreBelievedWithinReason(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expiresIn string
		want      time.Duration
	}{
		"an hour":              {`,"expires_in":3600`, time.Hour},
		"an hour, as a string": {`,"expires_in":"3600"`, time.Hour},
		"a second":             {`,"expires_in":1`, time.Second},
		"a day":                {`,"expires_in":86400`, 24 * time.Hour},
		"more than a day":      {`,"expires_in":86401`, 24 * time.Hour},
		"300 million years":    {`,"expires_in":9223372036854775807`, 24 * time.Hour},
		"absent":               {``, time.Hour},
		"null":                 {`,"expires_in":null`, time.Hour},
		"zero":                 {`,"expires_in":0`, time.Hour},
		"negative":             {`,"expires_in":-1`, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				flow := x.flow(t)
				x.google.Inject(gmailtest.Fault{Op: "token.exchange", Body: `{"access_token":"ya29.token"` + c.expiresIn + `}`})
				token, err := flow.ExchangeCode(t.Context(), "4/0A", "state")
				if err != nil {
					t.Fatal(err)
				}
				if got := time.Until(token.Expiry); got != c.want {
					t.Errorf("it lives %v, want %v", got, c.want)
				}
			})
		})
	}
}
