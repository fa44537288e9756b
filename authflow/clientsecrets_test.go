package authflow_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// Files as Google Cloud Console writes them.
const (
	webFile = `{"web":{"client_id":"407408718192-abc.apps.googleusercontent.com","project_id":"mail-reader-471810",` +
		`"auth_uri":"https://accounts.google.com/o/oauth2/auth","token_uri":"https://oauth2.googleapis.com/token",` +
		`"auth_provider_x509_cert_url":"https://www.googleapis.com/oauth2/v1/certs","client_secret":"GOCSPX-s3cret-s3cret",` +
		`"redirect_uris":["https://app.example/callback","http://localhost:8080/callback"],` +
		`"javascript_origins":["https://app.example"]}}`
	installedFile = `{"installed":{"client_id":"407408718192-def.apps.googleusercontent.com","project_id":"mail-reader-471810",` +
		`"auth_uri":"https://accounts.google.com/o/oauth2/auth","token_uri":"https://oauth2.googleapis.com/token",` +
		`"auth_provider_x509_cert_url":"https://www.googleapis.com/oauth2/v1/certs","client_secret":"GOCSPX-s3cret-s3cret",` +
		`"redirect_uris":["http://localhost"]}}`
	serviceAccountFile = `{"type":"service_account","project_id":"mail-reader-471810","private_key_id":"0123456789abcdef",` +
		`"private_key":"-----BEGIN PRIVATE KEY-----\ns3cret-s3cret\n-----END PRIVATE KEY-----\n",` +
		`"client_email":"reader@mail-reader-471810.iam.gserviceaccount.com","client_id":"108204268033311374519",` +
		`"auth_uri":"https://accounts.google.com/o/oauth2/auth","token_uri":"https://oauth2.googleapis.com/token"}`
	authorizedUserFile = `{"type":"authorized_user","client_id":"764086051850-xyz.apps.googleusercontent.com",` +
		`"client_secret":"s3cret-s3cret","refresh_token":"1//0s3cret-s3cret","universe_domain":"googleapis.com"}`
)

func TestConfigFromJSONReadsWhatGoogleCloudConsoleWrites(t *testing.T) {
	t.Parallel()
	google := authflow.Google()
	google.AuthURL = "https://accounts.google.com/o/oauth2/auth"
	for name, c := range map[string]struct{ file, clientID, redirect string }{
		"a web client":        {webFile, "407408718192-abc.apps.googleusercontent.com", redirectURL},
		"an installed client": {installedFile, "407408718192-def.apps.googleusercontent.com", "http://localhost"},
	} {
		cfg, err := authflow.ConfigFromJSON([]byte(c.file), gmailReadonly, gmailSend)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if cfg.ClientID != c.clientID || cfg.ClientSecret != "GOCSPX-s3cret-s3cret" || cfg.RedirectURL != c.redirect {
			t.Errorf("%s: %v", name, cfg)
		}
		if cfg.Provider != google || !slices.Equal(cfg.Scopes, []string{gmailReadonly, gmailSend}) {
			t.Errorf("%s: %+v, scopes %q", name, cfg.Provider, cfg.Scopes)
		}
		x := newFixture(t, gmailtest.Config{})
		cfg.Store, cfg.Keys = x.store, x.keys
		flow, err := authflow.New(cfg)
		if err != nil {
			t.Errorf("%s: New: %v", name, err)
			continue
		}
		if err := flow.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestConfigFromJSONWithoutEndpointsIsGoogle(t *testing.T) {
	t.Parallel()
	cfg, err := authflow.ConfigFromJSON([]byte(`{"web":{"client_id":"c","client_secret":"s","redirect_uris":["https://a.example"]}}`))
	if err != nil || cfg.Provider != authflow.Google() {
		t.Errorf("%+v, %v", cfg.Provider, err)
	}
}

func TestConfigFromJSONTakesTheFileOfAServerInProcess(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	cfg, err := authflow.ConfigFromJSON(x.google.ClientSecretsJSON(redirectURL), gmailReadonly)
	if err != nil {
		t.Fatal(err)
	}
	x.connect(t, x.flow(t, func(c *authflow.Config) {
		cfg.Store, cfg.Keys, cfg.HTTPClient = c.Store, c.Keys, c.HTTPClient
		*c = cfg
	}))
}

func TestConfigFromJSONRefusesOtherFiles(t *testing.T) {
	t.Parallel()
	without := func(field string) string {
		file := strings.Replace(webFile, `"`+field+`"`, `"x_`+field+`"`, 1)
		if file == webFile {
			t.Fatalf("there is no %s to take away", field)
		}
		return file
	}
	for name, c := range map[string]struct{ file, says string }{
		"both":                        {webFile[:len(webFile)-1] + "," + installedFile[1:], "both"},
		"neither":                     {`{"other":{"client_secret":"s3cret-s3cret"}}`, "neither"},
		"an empty object":             {`{}`, "neither"},
		"null":                        {`null`, "neither"},
		"a client of null":            {`{"web":null}`, "neither"},
		"a service account's key":     {serviceAccountFile, "service account"},
		"gcloud's own credentials":    {authorizedUserFile, "another kind of credential"},
		"no client ID":                {without("client_id"), "no client_id"},
		"no client secret":            {without("client_secret"), "no client_secret"},
		"no redirect URIs":            {without("redirect_uris"), "no redirect_uris"},
		"an empty list of redirects":  {`{"web":{"client_id":"c","client_secret":"s3cret-s3cret","redirect_uris":[]}}`, "no redirect_uris"},
		"nothing":                     {``, "not valid JSON"},
		"a truncated file":            {webFile[:len(webFile)/2], "not valid JSON"},
		"two files in one":            {webFile + webFile, "not valid JSON"},
		"a secret where JSON belongs": {`s3cret-s3cret`, "not valid JSON"},
		"a secret of a wrong type":    {`{"web":{"client_id":"c","client_secret":["s3cret-s3cret"]}}`, "not valid JSON"},
		"a client of a wrong type":    {`{"web":"s3cret-s3cret"}`, "not valid JSON"},
		"a list":                      {`["s3cret-s3cret"]`, "not valid JSON"},
		"a number that overflows":     {`{"web":{"client_id":31415926535897932384626433832}}`, "not valid JSON"},
		"a byte order mark":           {"\ufeff" + webFile, "not valid JSON"},
	} {
		cfg, err := authflow.ConfigFromJSON([]byte(c.file), gmailReadonly)
		wrong, ok := errors.AsType[*authflow.ConfigError](err)
		if !ok || wrong.Field != "client_secret.json" || !strings.Contains(wrong.Problem, c.says) {
			t.Errorf("%s: %v; want *ConfigError with %q", name, err, c.says)
			continue
		}
		if cfg.ClientID != "" || cfg.ClientSecret != "" {
			t.Errorf("%s: a Config comes with the error", name)
		}
		for form, text := range shown(err) {
			if strings.Contains(text, "s3cret") || strings.Contains(text, "31415926535") {
				t.Errorf("%s: %s shows what was read: %s", name, form, text)
			}
		}
	}
}

func FuzzConfigFromJSON(f *testing.F) {
	for _, file := range []string{
		webFile, installedFile, serviceAccountFile, authorizedUserFile, "", "null", "[]", `{"web":{}}`, `{"WEB":{"Client_ID":"c"}}`,
	} {
		f.Add([]byte(file))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := authflow.ConfigFromJSON(data, gmailReadonly)
		if _, ok := errors.AsType[*authflow.ConfigError](err); err != nil && !ok {
			t.Errorf("%q: %T", data, err)
		}
		if err == nil && (cfg.ClientID == "" || cfg.ClientSecret == "" || cfg.RedirectURL == "" && !strings.Contains(string(data), `""`)) {
			t.Errorf("%q: something is missing from %+v", data, cfg)
		}
		// Whatever it says, it may be logged.
		if secret := cfg.ClientSecret; len(secret) > 8 && strings.Contains(fmt.Sprintf("%#v", cfg), secret) &&
			!strings.Contains(cfg.ClientID+cfg.RedirectURL+cfg.Provider.AuthURL+cfg.Provider.TokenURL, secret) {
			t.Errorf("%q: the Config shows its secret", data)
		}
		x := authflow.Config{Store: new(faultyStore), Keys: nopAEAD{}}
		cfg.Store, cfg.Keys = x.Store, x.Keys
		flow, err := authflow.New(cfg)
		if _, ok := errors.AsType[*authflow.ConfigError](err); err != nil && !ok {
			t.Errorf("%q: New: %T %v", data, err, err)
		}
		if flow != nil {
			_ = flow.Close()
		}
	})
}
