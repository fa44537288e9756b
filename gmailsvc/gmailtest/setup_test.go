package gmailtest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

const (
	ada      = "ada@example.com"
	callback = "https://app.example/callback"
	verifier = "a-verifier-of-more-than-forty-three-characters"

	mailScope     = "https://mail.google.com/"
	modifyScope   = "https://www.googleapis.com/auth/gmail.modify"
	readonlyScope = "https://www.googleapis.com/auth/gmail.readonly"
	metadataScope = "https://www.googleapis.com/auth/gmail.metadata"
	emailScope    = "https://www.googleapis.com/auth/userinfo.email"
)

func newServer(t testing.TB, cfg gmailtest.Config) *gmailtest.Server {
	t.Helper()
	s, err := gmailtest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// reached are servers, each reached in another way.
func reached(t testing.TB, cfg gmailtest.Config) map[string]*gmailtest.Server {
	t.Helper()
	secure, old := cfg, cfg
	secure.TLS, old.TLS, old.NoHTTP2 = true, true, true
	return map[string]*gmailtest.Server{
		"in process": newServer(t, cfg), "HTTP/1.1": start(t, cfg), "HTTP/1.1 over TLS": start(t, old), "HTTP/2 over TLS": start(t, secure),
	}
}

// params overrides the parameters of a request; an empty value leaves one out.
type params map[string]string

func (p params) over(defaults params) url.Values {
	all := maps.Clone(defaults)
	maps.Copy(all, p)
	v := make(url.Values)
	for name, value := range all {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

func consentURL(s *gmailtest.Server, p params) string {
	sum := sha256.Sum256([]byte(verifier))
	return s.AuthURL() + "?" + p.over(params{
		"client_id":             gmailtest.DefaultClient().ID,
		"redirect_uri":          callback,
		"response_type":         "code",
		"scope":                 "openid email " + readonlyScope,
		"state":                 "xyz&=ü",
		"access_type":           "offline",
		"code_challenge":        base64.RawURLEncoding.EncodeToString(sum[:]),
		"code_challenge_method": "S256",
	}).Encode()
}

// visit walks through the consent and returns the callback's parameters.
func visit(t testing.TB, b *gmailtest.Browser, authURL string) url.Values {
	t.Helper()
	to, err := b.Visit(t.Context(), authURL)
	if err != nil {
		t.Fatal(err)
	}
	return to.Query()
}

func consent(t testing.TB, s *gmailtest.Server, p params) string {
	t.Helper()
	code := visit(t, &gmailtest.Browser{Server: s, User: ada}, consentURL(s, p)).Get("code")
	if code == "" {
		t.Fatal("the callback has no code")
	}
	return code
}

// answer is a JSON answer.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (a answer) str(name string) string {
	s, _ := a.body[name].(string)
	return s
}

// at descends into objects and arrays: at("error/errors/0/reason").
func (a answer) at(path string) any {
	var v any = a.body
	for name := range strings.SplitSeq(path, "/") {
		switch x := v.(type) {
		case map[string]any:
			v = x[name]
		case []any:
			i := int(name[0] - '0')
			if i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

func do(t testing.TB, s *gmailtest.Server, req *http.Request) answer {
	t.Helper()
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header, raw: string(raw)}
	if err := json.Unmarshal(raw, &a.body); err != nil {
		t.Fatalf("%s %s answered %s, not JSON: %s", req.Method, req.URL, res.Status, raw)
	}
	return a
}

func postRequest(t testing.TB, to string, form url.Values) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

func post(t testing.TB, s *gmailtest.Server, to string, form url.Values) answer {
	t.Helper()
	return do(t, s, postRequest(t, to, form))
}

func exchange(t testing.TB, s *gmailtest.Server, code string, p params) answer {
	t.Helper()
	return post(t, s, s.TokenURL(), p.over(params{
		"grant_type":    "authorization_code",
		"client_id":     gmailtest.DefaultClient().ID,
		"client_secret": gmailtest.DefaultClient().Secret,
		"redirect_uri":  callback,
		"code_verifier": verifier,
		"code":          code,
	}))
}

func refresh(t testing.TB, s *gmailtest.Server, token string, p params) answer {
	t.Helper()
	return post(t, s, s.TokenURL(), p.over(params{
		"grant_type":    "refresh_token",
		"client_id":     gmailtest.DefaultClient().ID,
		"client_secret": gmailtest.DefaultClient().Secret,
		"refresh_token": token,
	}))
}

// tokens consents to scope and exchanges the code.
func tokens(t testing.TB, s *gmailtest.Server, scope string) answer {
	t.Helper()
	a := exchange(t, s, consent(t, s, params{"scope": scope, "prompt": "consent"}), nil)
	if a.status != http.StatusOK {
		t.Fatalf("the exchange answered %d: %s", a.status, a.raw)
	}
	return a
}

// accessToken consents to scope and returns the access token.
func accessToken(t testing.TB, s *gmailtest.Server, scope string) string {
	t.Helper()
	return tokens(t, s, scope).str("access_token")
}

// account is a user with a mailbox and a token for it.
type account struct {
	*gmailtest.Server
	box   *gmailtest.Mailbox
	token string
}

func newAccount(t testing.TB, scope string) account {
	t.Helper()
	s := newServer(t, gmailtest.Config{})
	box := s.AddUser(gmailtest.User{Email: ada, Name: "Ada Lindqvist"})
	return account{s, box, accessToken(t, s, scope)}
}

func (a account) request(t testing.TB, method, path, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, a.APIURL()+"gmail/v1/users/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	return req
}

func (a account) get(t testing.TB, path string) answer {
	t.Helper()
	return do(t, a.Server, a.request(t, http.MethodGet, path, ""))
}

func (a account) post(t testing.TB, path, body string) answer {
	t.Helper()
	return do(t, a.Server, a.request(t, http.MethodPost, path, body))
}

// send does any method, and takes an empty answer for what it is.
func (a account) send(t testing.TB, method, path, body string) answer {
	t.Helper()
	return a.perform(t, a.request(t, method, path, body))
}

func (a account) perform(t testing.TB, req *http.Request) answer {
	t.Helper()
	res, err := a.Transport().RoundTrip(req)
	must(t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	must(t, err)
	got := answer{status: res.StatusCode, header: res.Header, raw: string(raw)}
	if len(raw) > 0 {
		must(t, json.Unmarshal(raw, &got.body))
	}
	return got
}

// rawJSON is the request body that carries a message, with what else is in it.
func rawJSON(message, more string) string {
	return `{"raw":"` + base64.URLEncoding.EncodeToString([]byte(message)) + `"` + more + `}`
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// deliver puts a message of some header lines and a body into the mailbox.
func (a account) deliver(t testing.TB, raw string, opts ...gmailtest.DeliverOption) string {
	t.Helper()
	id, err := a.box.Deliver([]byte(raw), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func wantOAuthError(t testing.TB, a answer, status int, code, description string) {
	t.Helper()
	if a.status != status || a.str("error") != code || a.str("error_description") != description {
		t.Errorf("answer = %d %s, want %d %s %q", a.status, a.raw, status, code, description)
	}
}

func wantAPIError(t testing.TB, a answer, code int, status, reason, message string) {
	t.Helper()
	if a.status != code || a.at("error/code") != float64(code) || a.at("error/status") != status ||
		a.at("error/errors/0/reason") != reason || a.at("error/errors/0/domain") == "" || a.at("error/message") != message {
		t.Errorf("answer = %d %s\nwant %d %s %s %q", a.status, a.raw, code, status, reason, message)
	}
}
