package gmailsvc_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	"golang.org/x/oauth2"
	"google.golang.org/api/option"

	"github.com/mailgrant/mailgrant/gmailsvc"
)

func TestBuildServiceReachesTheEndpointItIsGiven(t *testing.T) {
	t.Parallel()
	token := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "a"})
	answer := func(hosts *atomic.Value) *http.Client {
		return &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			hosts.Store(r.URL.Scheme + "://" + r.URL.Host)
			return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: r}, nil
		})}
	}
	for name, c := range map[string]struct {
		cfg  gmailsvc.Config
		want string
	}{
		"Google's by default":       {gmailsvc.Config{}, "https://gmail.googleapis.com"},
		"the Config's":              {gmailsvc.Config{Endpoint: "http://127.0.0.1:1/"}, "http://127.0.0.1:1"},
		"that of an option":         {gmailsvc.Config{Options: []option.ClientOption{option.WithEndpoint("http://127.0.0.1:2/")}}, "http://127.0.0.1:2"},
		"the Config's over options": {gmailsvc.Config{Endpoint: "http://127.0.0.1:1/", Options: []option.ClientOption{option.WithEndpoint("http://127.0.0.1:2/")}}, "http://127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var host atomic.Value
			c.cfg.HTTPClient = answer(&host)
			svc, err := gmailsvc.New(c.cfg).BuildService(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = svc.Users.GetProfile("me").Context(t.Context()).Do()
			if host.Load() != c.want {
				t.Errorf("the call went to %v, want %s", host.Load(), c.want)
			}
		})
	}
}

func TestBuildServiceAsksForCredentials(t *testing.T) {
	t.Parallel()
	if svc, err := gmailsvc.BuildService(t.Context(), nil); err == nil || svc != nil {
		t.Errorf("got %v, %v; want an error", svc, err)
	}
}

func TestBuildServiceRefusesAnEndpointThatIsNone(t *testing.T) {
	t.Parallel()
	token := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "a"})
	for _, endpoint := range []string{"::bad", "gmail.googleapis.com", "/gmail"} {
		if svc, err := gmailsvc.New(gmailsvc.Config{Endpoint: endpoint}).BuildService(t.Context(), token); err == nil || svc != nil {
			t.Errorf("%q: got %v, %v; want an error", endpoint, svc, err)
		}
	}
}

// A service is made for every user and every job: it must not open a connection or look for credentials on the machine.
func TestBuildServiceCallsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	creds := w.consent(t)
	before := w.google.Counts()
	for range 100 {
		w.service(t, creds, nil)
	}
	after := w.google.Counts()
	for op, n := range after {
		if n != before[op] {
			t.Errorf("building services called %s %d times", op, n-before[op])
		}
	}
}
