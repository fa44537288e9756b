package authflow_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

func TestNewNamesTheFieldThatIsWrong(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	const secret = "a secret that no error shows"
	redirect := func(url string) func(*authflow.Config) {
		return func(cfg *authflow.Config) { cfg.RedirectURL = url }
	}
	provider := func(change func(*authflow.Provider)) func(*authflow.Config) {
		return func(cfg *authflow.Config) {
			cfg.Provider = authflow.Google()
			change(&cfg.Provider)
		}
	}
	for name, c := range map[string]struct {
		change func(*authflow.Config)
		field  string
		says   string
	}{
		"no client ID":        {func(cfg *authflow.Config) { cfg.ClientID = "" }, "ClientID", "Google Cloud Console"},
		"no redirect URL":     {redirect(""), "RedirectURL", "is empty"},
		"a relative redirect": {redirect("/callback"), "RedirectURL", "absolute"},
		"a redirect of plain http": {
			redirect("http://app.example/callback"), "RedirectURL", "not https",
		},
		"a redirect that only begins like localhost": {redirect("http://localhost.evil.example/"), "RedirectURL", "not https"},
		"a redirect that only ends like localhost":   {redirect("http://notlocalhost/"), "RedirectURL", "not https"},
		"a redirect to every address":                {redirect("http://0.0.0.0:8080/"), "RedirectURL", "not https"},
		"a redirect to a private address":            {redirect("http://192.168.1.2/"), "RedirectURL", "not https"},
		"a redirect with a fragment":                 {redirect("https://app.example/#callback"), "RedirectURL", "fragment"},
		"a redirect with a user":                     {redirect("https://ada:pw@app.example/"), "RedirectURL", "user"},
		"a redirect without a host":                  {redirect("https:///callback"), "RedirectURL", "absolute"},
		"a redirect with a port and no host":         {redirect("https://:443/callback"), "RedirectURL", "absolute"},
		"a redirect that is no URL":                  {redirect("https://app.example/%zz"), "RedirectURL", "absolute"},
		"a redirect of a custom scheme":              {redirect("com.example.app:/callback"), "RedirectURL", "absolute"},
		"a redirect of a custom scheme with a host":  {redirect("myapp://callback"), "RedirectURL", "not https"},
		"a redirect out of band":                     {redirect("urn:ietf:wg:oauth:2.0:oob"), "RedirectURL", "absolute"},
		"a redirect into JavaScript":                 {redirect("javascript://localhost/%0aalert(1)"), "RedirectURL", "not https"},
		"no scopes":                                  {func(cfg *authflow.Config) { cfg.Scopes = nil }, "Scopes", "are empty"},
		"an empty scope": {
			func(cfg *authflow.Config) { cfg.Scopes = []string{gmailReadonly, ""} }, "Scopes", "empty one",
		},
		"no store":           {func(cfg *authflow.Config) { cfg.Store = nil }, "Store", "is nil"},
		"no keys":            {func(cfg *authflow.Config) { cfg.Keys = nil }, "Keys", "is nil"},
		"a keyring of nil":   {func(cfg *authflow.Config) { cfg.Keys = (*tokenstore.Keyring)(nil) }, "Keys", "key"},
		"an empty keyring":   {func(cfg *authflow.Config) { cfg.Keys = new(tokenstore.Keyring) }, "Keys", "key"},
		"a short SessionKey": {func(cfg *authflow.Config) { cfg.SessionKey = bytes.Repeat([]byte("k"), 31) }, "SessionKey", "31 bytes"},
		"an empty SessionKey": {
			func(cfg *authflow.Config) { cfg.SessionKey = []byte{} }, "SessionKey", "0 bytes",
		},
		"a public client without a SessionKey": {
			func(cfg *authflow.Config) { cfg.ClientSecret = "" }, "SessionKey", "32 random bytes",
		},
		"no token endpoint":         {provider(func(p *authflow.Provider) { p.TokenURL = "" }), "Provider.TokenURL", "is empty"},
		"no authorization endpoint": {provider(func(p *authflow.Provider) { p.AuthURL = "" }), "Provider.AuthURL", "is empty"},
		"nobody who tells the user": {
			provider(func(p *authflow.Provider) { p.JWKSURL, p.UserInfoURL = "", "" }), "Provider", "whose grant",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := x.config()
			cfg.ClientSecret = secret
			c.change(&cfg)
			flow, err := authflow.New(cfg)
			wrong, ok := errors.AsType[*authflow.ConfigError](err)
			if !ok || flow != nil {
				t.Fatalf("New = %v, %v; want *ConfigError", flow, err)
			}
			if wrong.Field != c.field || !strings.Contains(wrong.Problem, c.says) {
				t.Errorf("field %q %s; want field %q and %q", wrong.Field, wrong.Problem, c.field, c.says)
			}
			if text := err.Error(); strings.Contains(text, secret) || !strings.HasPrefix(text, "authflow: config: "+c.field+" ") {
				t.Errorf("the error says %q", text)
			}
		})
	}
}

func TestNewTakesWhatGoogleTakes(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	for name, change := range map[string]func(*authflow.Config){
		"localhost":            func(cfg *authflow.Config) { cfg.RedirectURL = "http://localhost:8080/callback" },
		"Localhost":            func(cfg *authflow.Config) { cfg.RedirectURL = "http://Localhost/" },
		"127.0.0.1":            func(cfg *authflow.Config) { cfg.RedirectURL = "http://127.0.0.1:8080/callback" },
		"[::1]":                func(cfg *authflow.Config) { cfg.RedirectURL = "http://[::1]:8080/" },
		"a redirect's query":   func(cfg *authflow.Config) { cfg.RedirectURL = "https://app.example/cb?tenant=1" },
		"a SessionKey of 32":   func(cfg *authflow.Config) { cfg.SessionKey = bytes.Repeat([]byte("k"), 32) },
		"a longer SessionKey":  func(cfg *authflow.Config) { cfg.SessionKey = bytes.Repeat([]byte("k"), 64) },
		"no client of our own": func(cfg *authflow.Config) { cfg.HTTPClient = nil },
		"a public client": func(cfg *authflow.Config) {
			cfg.ClientSecret, cfg.SessionKey = "", bytes.Repeat([]byte("k"), 32)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x.flow(t, change)
		})
	}
}

func TestTheZeroProviderIsGoogle(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	var hosts []string
	flow := x.flow(t, func(cfg *authflow.Config) { cfg.HTTPClient = x.recording(&hosts) })
	x.connect(t, flow)
	explicit := x.flow(t, func(cfg *authflow.Config) { cfg.Provider = authflow.Google() })
	if got, want := flow.GetAuthorizationURL(ada, "s"), explicit.GetAuthorizationURL(ada, "s"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := strings.Join(hosts, " "); got != "oauth2.googleapis.com/token www.googleapis.com/oauth2/v3/certs" {
		t.Errorf("it asked %s", got)
	}
}

func TestAPublicClientConnectsUsers(t *testing.T) {
	t.Parallel()
	client := gmailtest.Client{ID: "public.apps.googleusercontent.com"}
	x := newFixture(t, gmailtest.Config{Clients: []gmailtest.Client{client}})
	flow := x.flow(t, sessionKey, func(cfg *authflow.Config) { cfg.ClientID, cfg.ClientSecret = client.ID, "" })
	if creds := x.connect(t, flow); creds.UserID != adaID {
		t.Errorf("Credentials of %q", creds.UserID)
	}
}
