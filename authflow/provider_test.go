package authflow_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestDiscoverFindsGooglesEndpoints(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	got, err := authflow.Discover(t.Context(), x.google.Client(), "https://accounts.google.com")
	if err != nil || got != authflow.Google() {
		t.Errorf("Discover = %+v, %v; want what Google returns", got, err)
	}
}

func TestDiscoverRefusesWhatIsNotTheIssuers(t *testing.T) {
	t.Parallel()
	const issuer = "https://accounts.google.com"
	for name, c := range map[string]struct {
		issuer string
		fault  gmailtest.Fault
	}{
		"another issuer's answer": {"https://login.example.org", gmailtest.Fault{Times: 1, Op: "none"}},
		"a page":                  {issuer, gmailtest.Fault{Header: http.Header{"Content-Type": {"text/html"}}, Body: "<h1>Log in</h1>"}},
		"a server error":          {issuer, gmailtest.Fault{Status: 500}},
		"a redirect": {issuer, gmailtest.Fault{Status: 302,
			Header: http.Header{"Location": {"https://evil.example/.well-known/openid-configuration"}}}},
		"an answer without end": {issuer, gmailtest.Fault{Header: jsonType(), Body: `{"issuer":"` + issuer + `","x":"` + strings.Repeat("x", 1<<20)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			if c.fault.Op == "" {
				c.fault.Op = "discovery"
			}
			x.google.Inject(c.fault)
			got, err := authflow.Discover(t.Context(), x.google.Client(), c.issuer)
			if err == nil || got != (authflow.Provider{}) || !strings.Contains(err.Error(), c.issuer) {
				t.Errorf("Discover = %+v, %v", got, err)
			}
			if n := x.google.Count("discovery"); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestAProviderOverASocketConnectsUsers(t *testing.T) {
	t.Parallel()
	google, err := gmailtest.Start(gmailtest.Config{SendIss: true})
	if err != nil {
		t.Fatal(err)
	}
	defer google.Close()
	google.AddUser(gmailtest.User{Email: ada, Sub: adaID})
	cfg, err := authflow.ConfigFromJSON(google.ClientSecretsJSON(redirectURL), gmailReadonly)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Provider, err = authflow.Discover(t.Context(), google.Client(), google.URL); err != nil {
		t.Fatal(err)
	}
	x := newFixture(t, gmailtest.Config{})
	x.google = google
	cfg.Store, cfg.Keys, cfg.AllowPrivateEndpoints = x.store, x.keys, true
	flow := x.flow(t, func(c *authflow.Config) { *c = cfg })
	if to, err := url.Parse(flow.GetAuthorizationURL("", "s")); err != nil || "http://"+to.Host != google.URL {
		t.Errorf("the person is sent to %v, %v", to, err)
	}
	creds := x.connect(t, flow)
	if replaced, err := creds.Refresh(t.Context(), token(t, creds)); err != nil || replaced.AccessToken != x.stored(t).AccessToken {
		t.Errorf("Refresh: %v", err)
	}
}
