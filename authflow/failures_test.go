package authflow_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// A walk is what a person does, up to the page that they are shown.
type walk func(t *testing.T, p *person) *httptest.ResponseRecorder

// A failure is a way in which a person comes to a page.
type failure struct {
	page   string // its heading
	status int
	walk   walk
	change func(*options) // of the site; nil: nothing
}

// changes are made to a site, so that the failure happens there.
func (f failure) changes(o *options) {
	if f.change != nil {
		f.change(o)
	}
}

// markOfProvider is what the provider, or somebody else outside, says of a failure.
const markOfProvider = "what-somebody-else-says"

func signsIn(t *testing.T, p *person) *httptest.ResponseRecorder {
	t.Helper()
	return p.arrive(t, p.begin(t))
}

// after signs in once change was made.
func after(change func(p *person)) walk {
	return func(t *testing.T, p *person) *httptest.ResponseRecorder {
		t.Helper()
		change(p)
		return signsIn(t, p)
	}
}

// exchanging signs in while the token endpoint answers so.
func exchanging(fault gmailtest.Fault) walk {
	fault.Op = "token.exchange"
	return after(func(p *person) { p.fixture.google.Inject(fault) })
}

func exchangingFails(code string) walk { return exchanging(gmailtest.TokenError(code, markOfProvider)) }

// comesBack is sent back by the consent page with an error.
func comesBack(code string) walk {
	return func(t *testing.T, p *person) *httptest.ResponseRecorder {
		t.Helper()
		return p.arrive(t, "error="+code+"&error_description="+markOfProvider+"&state="+param(t, p.login(t, "/login"), "state"))
	}
}

// failures are the ways in which a person can come to a page.
func failures() map[string]failure {
	const (
		denied    = "Not connected"
		policy    = "Your organization does not allow this"
		domain    = "That account is of another organization"
		settings  = "This application is not set up correctly"
		provider  = "The provider did not answer as it should"
		foreign   = "No connection is waiting for this"
		malformed = "This link is damaged"
		wrong     = "Something went wrong"
	)
	all := map[string]failure{
		"a person who unticks a scope": {
			"Some permissions are missing", 403, after(func(p *person) { p.google.Untick = []string{gmailReadonly} }), nil,
		},
		"another account":                {"That was another account", 403, signsIn, begins(authflow.Login{UserID: "1234"})},
		"an account of no organization":  {domain, 403, signsIn, begins(loginWith(authflow.WithHostedDomain("*")))},
		"an account of another one":      {domain, 403, signsIn, begins(loginWith(authflow.WithHostedDomain("example.org")))},
		"a person who is slow":           {"That took too long", 400, slowly, nil},
		"a link that was used":           {"This link was used before", 400, tooOften, nil},
		"another browser":                {foreign, 400, elsewhereThan, nil},
		"a forged cookie":                {foreign, 400, forging, nil},
		"another issuer":                 {malformed, 400, spoiling("&iss=https://evil.example/" + markOfProvider), nil},
		"a broken escape":                {malformed, 400, spoiling("&" + markOfProvider + "=%zz"), nil},
		"nothing at all":                 {malformed, 400, bringsNothing, nil},
		"a grant that is not there":      {"This account is not connected", 404, disconnects(""), nil},
		"a form of another site":         {"This came from another site", 403, disconnects("cross-site"), nil},
		"a store that is down":           {wrong, 500, storeless, nil},
		"a login that cannot begin":      {wrong, 500, beginsOnly, begins(authflow.Login{ReturnTo: "//evil.example/" + markOfProvider})},
		"a session that was not renewed": {wrong, 500, signsIn, func(o *options) { o.callback.Success = nothingDone }},
		"no ID token that verifies": {provider, 502, after(func(p *person) {
			p.fixture.google.Inject(gmailtest.Fault{Op: "certs", Body: `{"keys":[]}`})
		}), nil},
		"no refresh token": {provider, 502, after(func(p *person) { p.withholdRefreshToken() }), nil},

		"a token endpoint that is down": {provider, 502, exchanging(gmailtest.Fault{Status: 503, Body: markOfProvider}), nil},
		"a page for a token": {
			provider, 502, exchanging(gmailtest.Fault{Header: http.Header{"Content-Type": {"text/html"}}, Body: markOfProvider}), nil,
		},
		"a broken connection": {provider, 502, exchanging(gmailtest.Fault{Drop: true}), nil},
	}
	// See https://developers.google.com/identity/protocols/oauth2/web-server#authorization-errors and RFC 6749 §4.1.2.1, §5.2.
	for page, codes := range map[string][]string{
		denied:   {"access_denied"},
		policy:   {"admin_policy_enforced"},
		domain:   {"org_internal"},
		provider: {"server_error", "temporarily_unavailable"},
		settings: {
			"invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope", "invalid_client", "deleted_client",
			"redirect_uri_mismatch", "disallowed_useragent", "something_new",
		},
	} {
		for _, code := range codes {
			all["from the consent page: "+code] = failure{page, statusOf(page), comesBack(code), nil}
		}
	}
	for page, codes := range map[string][]string{
		policy:   {"admin_policy_enforced"},
		domain:   {"org_internal"},
		provider: {"invalid_grant", "temporarily_unavailable", "something_new"},
		settings: {"invalid_client", "deleted_client", "disabled_client", "unauthorized_client", "redirect_uri_mismatch"},
	} {
		for _, code := range codes {
			all["from the token endpoint: "+code] = failure{page, statusOf(page), exchangingFails(code), nil}
		}
	}
	return all
}

func statusOf(page string) int {
	switch page {
	case "This application is not set up correctly", "The provider did not answer as it should":
		return http.StatusBadGateway
	}
	return http.StatusForbidden
}

func slowly(t *testing.T, p *person) *httptest.ResponseRecorder {
	t.Helper()
	p.keeps = true
	query := p.begin(t)
	pass(10 * time.Minute)
	return p.arrive(t, query)
}

func tooOften(t *testing.T, p *person) *httptest.ResponseRecorder {
	t.Helper()
	p.keeps = true
	query := p.begin(t)
	p.arrive(t, query)
	pass(2 * time.Minute)
	return p.arrive(t, query)
}

func elsewhereThan(t *testing.T, p *person) *httptest.ResponseRecorder {
	t.Helper()
	return p.ada().arrive(t, p.begin(t))
}

func forging(t *testing.T, p *person) *httptest.ResponseRecorder {
	t.Helper()
	query := p.begin(t)
	p.cookies[0].value = flipped(p.cookies[0].value, 7)
	return p.arrive(t, query)
}

func spoiling(with string) walk {
	return func(t *testing.T, p *person) *httptest.ResponseRecorder {
		t.Helper()
		return p.arrive(t, p.begin(t)+with)
	}
}

func bringsNothing(t *testing.T, p *person) *httptest.ResponseRecorder {
	t.Helper()
	return p.arrive(t, "")
}

func storeless(t *testing.T, p *person) *httptest.ResponseRecorder {
	t.Helper()
	query := p.begin(t)
	p.store.fail(errStoreDown, errStoreDown)
	return p.arrive(t, query)
}

func beginsOnly(t *testing.T, p *person) *httptest.ResponseRecorder {
	t.Helper()
	return p.get(t, "/login")
}

func nothingDone(http.ResponseWriter, *http.Request, *authflow.Credentials) (authflow.SessionRenewal, error) {
	return 0, nil
}

// withholdRefreshToken makes the provider answer the next exchange for Ada without a refresh token, though a consent was asked for.
func (x *fixture) withholdRefreshToken() {
	x.google.Inject(gmailtest.Fault{Op: "token.exchange", Body: `{"access_token":"ya29.alone"}`, Times: 1})
	x.google.Inject(gmailtest.Fault{Op: "userinfo", Body: `{"sub":"` + adaID + `","email":"` + ada + `"}`, Times: 1})
}

func disconnects(fetchSite string) walk {
	return func(t *testing.T, p *person) *httptest.ResponseRecorder {
		t.Helper()
		req := ask(t, http.MethodPost, "/disconnect")
		req.Header.Set("Sec-Fetch-Site", fetchSite)
		return p.send(req)
	}
}
