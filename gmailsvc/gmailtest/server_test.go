package gmailtest_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func start(t testing.TB, cfg gmailtest.Config) *gmailtest.Server {
	t.Helper()
	s, err := gmailtest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestAServerOnASocketIsItsOwnGoogle(t *testing.T) {
	t.Parallel()
	s := start(t, gmailtest.Config{})
	s.AddUser(gmailtest.User{Email: ada})
	doc := fetch(t, s, s.URL+"/.well-known/openid-configuration", "")
	for name, want := range map[string]string{
		"issuer": s.URL, "authorization_endpoint": s.AuthURL(), "token_endpoint": s.TokenURL(), "jwks_uri": s.JWKSURL(),
		"userinfo_endpoint": s.UserInfoURL(), "revocation_endpoint": s.RevokeURL(),
	} {
		if got := doc.str(name); got != want || !strings.HasPrefix(got, s.URL) {
			t.Errorf("%s = %q, want %q, under %s", name, got, want, s.URL)
		}
	}
	a := tokens(t, s, "openid email "+readonlyScope)
	claims, ok := verify(t, publishedKeys(t, s), a.str("id_token"))
	if !ok || claims["iss"] != s.URL {
		t.Errorf("iss = %v, want %s", claims["iss"], s.URL)
	}
	if a := (account{Server: s, token: a.str("access_token")}).get(t, "me/profile"); a.str("emailAddress") != ada {
		t.Errorf("profile = %s", a.raw)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if res, err := s.Client().Do(postRequest(t, s.TokenURL(), nil)); err == nil {
		_ = res.Body.Close()
		t.Error("the server still answers after Close")
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func TestAServerInProcessHasGooglesAddresses(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	for got, want := range map[string]string{
		s.AuthURL():     "https://accounts.google.com/o/oauth2/v2/auth",
		s.TokenURL():    "https://oauth2.googleapis.com/token",
		s.RevokeURL():   "https://oauth2.googleapis.com/revoke",
		s.UserInfoURL(): "https://openidconnect.googleapis.com/v1/userinfo",
		s.JWKSURL():     "https://www.googleapis.com/oauth2/v3/certs",
		s.APIURL():      "https://gmail.googleapis.com/",
	} {
		if got != want {
			t.Errorf("address = %s, want %s", got, want)
		}
	}
}

func TestClientSecretsJSONIsWhatTheConsoleWrites(t *testing.T) {
	t.Parallel()
	s := start(t, gmailtest.Config{})
	var file struct {
		Web struct {
			ClientID     string   `json:"client_id"`
			ClientSecret string   `json:"client_secret"`
			AuthURI      string   `json:"auth_uri"`
			TokenURI     string   `json:"token_uri"`
			RedirectURIs []string `json:"redirect_uris"`
		} `json:"web"`
	}
	if err := json.Unmarshal(s.ClientSecretsJSON(callback), &file); err != nil {
		t.Fatal(err)
	}
	client := gmailtest.DefaultClient()
	if w := file.Web; w.ClientID != client.ID || w.ClientSecret != client.Secret || w.AuthURI != s.AuthURL() ||
		w.TokenURI != s.TokenURL() || len(w.RedirectURIs) != 1 || w.RedirectURIs[0] != callback {
		t.Errorf("client_secret.json = %s", s.ClientSecretsJSON(callback))
	}
}

func TestConfigMistakesAreNamed(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]gmailtest.Config{
		"Clients[0] has no ID":                  {Clients: []gmailtest.Client{{}}},
		`Clients[1] repeats the client ID "a"`:  {Clients: []gmailtest.Client{{ID: "a"}, {ID: "a"}}},
		`Clients[0] has the redirect URI "/cb"`: {Clients: []gmailtest.Client{{ID: "a", RedirectURIs: []string{"/cb"}}}},
		"TokenLifetime is 1ns":                  {TokenLifetime: 1},
		"RefreshTokenLifetime is -1s":           {RefreshTokenLifetime: -time.Second},
		"InlineBodyLimit is -1":                 {InlineBodyLimit: -1},
		"NoHTTP2 without TLS":                   {NoHTTP2: true},
		"read the state file":                   {StateFile: t.TempDir()},
	} {
		if _, err := gmailtest.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want one that says %q", err, want)
		}
		if _, err := gmailtest.Start(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error of Start = %v, want one that says %q", err, want)
		}
	}
}

func TestUnknownAddressesAreNotFound(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	a := fetch(t, s, s.APIURL()+"gmail/v2/users", "")
	wantAPIError(t, a, 404, "NOT_FOUND", "notFound", "The requested URL /gmail/v2/users was not found on this server.")
}

func TestTheStateFileCarriesGrantsAndKeysToTheNextRun(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "google.json")
	first := newServer(t, gmailtest.Config{StateFile: path})
	first.AddUser(gmailtest.User{Email: ada})
	granted := tokens(t, first, "openid "+readonlyScope)

	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the state file is %v, %v; want mode 0600", info, err)
	}
	second := newServer(t, gmailtest.Config{StateFile: path})
	second.AddUser(gmailtest.User{Email: ada})
	if a := (account{Server: second, token: granted.str("access_token")}).get(t, "me/profile"); a.status != 200 {
		t.Errorf("the access token is refused in the next run: %s", a.raw)
	}
	if _, ok := verify(t, publishedKeys(t, second), granted.str("id_token")); !ok {
		t.Error("the next run does not publish the key of the ID token")
	}
	if a := refresh(t, second, granted.str("refresh_token"), nil); a.status != 200 {
		t.Errorf("the refresh token is refused in the next run: %s", a.raw)
	}
	if a := exchange(t, second, consent(t, second, params{"scope": "openid"}), nil); second.Count("consent") != 0 || a.str("refresh_token") != "" {
		t.Errorf("the next run has forgotten the consent: %s", a.raw)
	}
	second.Revoke(ada)
	third := newServer(t, gmailtest.Config{StateFile: path})
	third.AddUser(gmailtest.User{Email: ada})
	if a := refresh(t, third, granted.str("refresh_token"), nil); a.status != 400 {
		t.Errorf("a revoked token works in the next run: %s", a.raw)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("the directory holds %v, %v; want the state file alone", entries, err)
	}
}

func TestAGrantOfAnAccountThatIsGoneIsInvalid(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "google.json")
	first := newServer(t, gmailtest.Config{StateFile: path})
	first.AddUser(gmailtest.User{Email: ada})
	granted := tokens(t, first, readonlyScope)
	second := newServer(t, gmailtest.Config{StateFile: path})
	wantOAuthError(t, refresh(t, second, granted.str("refresh_token"), nil), 400, "invalid_grant", "Account has been deleted")
}

func TestADamagedStateFileIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "google.json")
	for _, content := range []string{`{"grants":`, `{"signing_key":"AAAA","grants":[]}`} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := gmailtest.New(gmailtest.Config{StateFile: path}); err == nil || !strings.Contains(err.Error(), "is damaged, delete it") {
			t.Errorf("error = %v for %s", err, content)
		}
		if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, []byte(content)) {
			t.Errorf("the file became %q, %v", kept, err)
		}
	}
}

func TestAStateFileThatCannotBeWrittenIsSaid(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := gmailtest.New(gmailtest.Config{StateFile: filepath.Join(dir, "google.json")})
	if err != nil {
		t.Fatal(err)
	}
	s.AddUser(gmailtest.User{Email: ada})
	code := consent(t, s, nil)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if a := exchange(t, s, code, nil); a.status != http.StatusInternalServerError || a.str("error") != "internal_failure" {
		t.Errorf("the exchange answers %d %s", a.status, a.raw)
	}
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "write the state file") {
		t.Errorf("Close = %v, want the failure to write", err)
	}
}
