package authflow_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestParseCallbackTakesWhatGoogleSends(t *testing.T) {
	t.Parallel()
	flow := newFixture(t, gmailtest.Config{}).flow(t)
	for name, raw := range map[string]string{
		"a code and a state": "state=s&code=4%2F0Ac",
		"what Google adds":   "state=s&code=4%2F0Ac&scope=email+openid&authuser=0&prompt=consent&hd=example.com",
		"its own issuer":     "iss=https://accounts.google.com&state=s&code=4%2F0Ac",
		"unknown parameters, even repeated (RFC 6749 §3.1)": "utm=1&utm=2&state=s&code=4%2F0Ac",
	} {
		query, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatal(err)
		}
		if code, state, err := flow.ParseCallback(query); err != nil || code != "4/0Ac" || state != "s" {
			t.Errorf("%s: %q, %q, %v", name, code, state, err)
		}
	}
}

func TestParseCallbackRefusesWhatNoProviderSends(t *testing.T) {
	t.Parallel()
	flow := newFixture(t, gmailtest.Config{}).flow(t)
	for name, c := range map[string]struct{ raw, says, state string }{
		"nothing":                      {"", "no state", ""},
		"no state":                     {"code=c", "no state", ""},
		"an empty state":               {"code=c&state=", "no state", ""},
		"an error without a state":     {"error=access_denied", "no state", ""},
		"no code":                      {"state=s", "neither a code nor an error", "s"},
		"an empty code":                {"state=s&code=", "neither a code nor an error", "s"},
		"both a code and an error":     {"state=s&code=c&error=access_denied", "both a code and an error", "s"},
		"the code twice":               {"state=s&code=c&code=d", "code more than once", "s"},
		"the same code twice":          {"state=s&code=c&code=c", "code more than once", "s"},
		"the state twice":              {"state=s&state=t&code=c", "state more than once", "s"},
		"the error twice":              {"state=s&error=access_denied&error=x", "error more than once", "s"},
		"the issuer twice":             {"state=s&code=c&iss=https://accounts.google.com&iss=https://evil.example", "iss more than once", "s"},
		"another issuer (RFC 9207)":    {"state=s&code=c&iss=https://evil.example", "another issuer", "s"},
		"an empty issuer":              {"state=s&code=c&iss=", "another issuer", "s"},
		"another issuer with an error": {"state=s&error=access_denied&iss=https://evil.example", "another issuer", "s"},
	} {
		query, err := url.ParseQuery(c.raw)
		if err != nil {
			t.Fatal(err)
		}
		code, state, err := flow.ParseCallback(query)
		refused, ok := errors.AsType[*authflow.CodeExchangeError](err)
		if !ok || code != "" || state != "" {
			t.Errorf("%s: %q, %q, %v; want *CodeExchangeError", name, code, state, err)
			continue
		}
		if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: the error does not say %q: %v", name, c.says, err)
		}
		again, err := url.Parse(refused.AuthorizationURL)
		if err != nil {
			t.Fatal(err)
		}
		switch got := again.Query().Get("state"); {
		case c.state != "" && got != c.state:
			t.Errorf("%s: the URL has the state %q, want %q", name, got, c.state)
		case len(got) < len(c.state) || got == "":
			t.Errorf("%s: the URL has no state: its callback would fail for ever", name)
		}
	}
}

func TestADenialSaysWhose(t *testing.T) {
	t.Parallel()
	flow := newFixture(t, gmailtest.Config{}).flow(t)
	for name, c := range map[string]struct {
		query  string
		code   string
		byUser bool
		says   string
	}{
		"the person's own":   {"error=access_denied", "access_denied", true, "the person said no"},
		"a Workspace policy": {"error=admin_policy_enforced", "admin_policy_enforced", false, "administrator"},
		"an internal app":    {"error=org_internal", "org_internal", false, "its own organization"},
		"the application's":  {"error=invalid_scope&error_description=gmail.bogus", "invalid_scope", false, "gmail.bogus"},
		"one with control characters": {
			"error=access_denied&error_description=" + url.QueryEscape("no\r\nlevel=ERROR \x1b[31mhacked"),
			"access_denied", true, "no  level=ERROR  [31mhacked",
		},
		"an endless one": {"error=server_error&error_description=" + strings.Repeat("x", 100_000), "server_error", false, "xxx…"},
	} {
		query, err := url.ParseQuery(c.query + "&state=the-state")
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = flow.ParseCallback(query)
		denied, ok := errors.AsType[*authflow.AuthorizationDeniedError](err)
		if !ok {
			t.Errorf("%s: %v; want *AuthorizationDeniedError", name, err)
			continue
		}
		if denied.Code != c.code || denied.ByUser() != c.byUser {
			t.Errorf("%s: code %q, by the user: %v", name, denied.Code, denied.ByUser())
		}
		if text := err.Error(); !strings.Contains(text, c.says) || len(text) > 600 || strings.ContainsAny(text, "\r\n\x1b") {
			t.Errorf("%s: the error says %.700q; want a line with %q", name, text, c.says)
		}
		if !strings.Contains(denied.AuthorizationURL, "state=the-state") {
			t.Errorf("%s: the URL is %s", name, denied.AuthorizationURL)
		}
	}
}

func TestTheURLOfADenialLetsThePersonReconsider(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{SendIss: true})
	flow := x.flow(t)
	no := &gmailtest.Browser{Server: x.google, User: ada, Deny: true}
	back, err := no.Visit(t.Context(), flow.GetAuthorizationURL(ada, authflow.NewState()))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = flow.ParseCallback(back.Query())
	denied, ok := errors.AsType[*authflow.AuthorizationDeniedError](err)
	if !ok || !denied.ByUser() {
		t.Fatalf("ParseCallback: %v", err)
	}
	code, state, err := flow.ParseCallback(x.callback(t, denied.AuthorizationURL))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flow.GetCredentials(t.Context(), code, state); err != nil {
		t.Error(err)
	}
}

func FuzzParseCallback(f *testing.F) {
	for _, raw := range []string{
		"", "state=s&code=4%2F0Ac", "error=access_denied&state=s", "code=a&code=b&state=s", "state=s&code=c&iss=",
		"iss=https://accounts.google.com&state=s&code=c", "error=%0a&state=%00&error_description=%ff",
	} {
		f.Add(raw)
	}
	flow, err := authflow.New(authflow.Config{
		ClientID: "client", ClientSecret: "the client's secret", RedirectURL: redirectURL, Scopes: []string{gmailReadonly},
		Store: new(faultyStore), Keys: nopAEAD{},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		query, _ := url.ParseQuery(raw) // what could be parsed, as Request.URL.Query gives it
		code, state, err := flow.ParseCallback(query)
		refused, isRefused := errors.AsType[*authflow.CodeExchangeError](err)
		denied, isDenied := errors.AsType[*authflow.AuthorizationDeniedError](err)
		switch {
		case err == nil:
			if code == "" || state == "" || len(query["code"]) != 1 || len(query["state"]) != 1 || query.Has("error") && query.Get("error") != "" {
				t.Errorf("%q gives the code %q and the state %q", raw, code, state)
			}
			return
		case code != "" || state != "":
			t.Errorf("%q gives an error, and the code %q and the state %q", raw, code, state)
		case isRefused && refused.AuthorizationURL != "" || isDenied && denied.AuthorizationURL != "" && denied.Code != "":
		default:
			t.Errorf("%q gives %T %v", raw, err, err)
		}
		if strings.ContainsAny(err.Error(), "\r\n\x00") {
			t.Errorf("%q: the error is not one line: %q", raw, err)
		}
	})
}

// nopAEAD seals nothing, where nothing is stored.
type nopAEAD struct{}

func (nopAEAD) Encrypt(plain, _ []byte) ([]byte, error)  { return plain, nil }
func (nopAEAD) Decrypt(sealed, _ []byte) ([]byte, error) { return sealed, nil }
