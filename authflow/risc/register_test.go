package risc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mailgrant/mailgrant/authflow/risc"
)

const receiverURL = "https://app.example/security-events"

// keyFile is the key file of a service account.
func keyFile(change func(map[string]string)) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(googleKey())
	if err != nil {
		panic(err)
	}
	file := map[string]string{
		"type": "service_account", "client_email": "risc@project.iam.gserviceaccount.com", "private_key_id": "k1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"token_uri":   "http://169.254.169.254/token",
	}
	change(file)
	data, err := json.Marshal(file)
	if err != nil {
		panic(err)
	}
	return data
}

func unchanged(map[string]string) {}

// management is Google's API for the streams of security events.
type management struct {
	calls  []string
	bodies []string
	token  string
	status int
	answer string
}

func (m *management) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	m.calls, m.bodies = append(m.calls, r.Method+" "+r.URL.Path), append(m.bodies, string(body))
	m.token = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if m.status != 0 {
		w.WriteHeader(m.status)
	}
	_, _ = io.WriteString(w, strings.ReplaceAll(m.answer, "TOKEN", m.token))
}

func TestRegisterSetsTheStreamUp(t *testing.T) {
	t.Parallel()
	m := new(management)
	server := httptest.NewServer(m)
	defer server.Close()
	now := time.Now()
	err := risc.Register(t.Context(), risc.Registration{
		ServiceAccountJSON: keyFile(unchanged), URL: receiverURL, VerifyState: "hello", HTTPClient: server.Client(),
		Endpoint: server.URL + "/v1beta/", Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(m.calls, ", "); got != "POST /v1beta/stream:update, POST /v1beta/stream:verify" {
		t.Fatalf("called %s", got)
	}
	var stream struct {
		Delivery struct {
			Method string `json:"delivery_method"`
			URL    string `json:"url"`
		} `json:"delivery"`
		Events []string `json:"events_requested"`
	}
	if err := json.Unmarshal([]byte(m.bodies[0]), &stream); err != nil {
		t.Fatal(err)
	}
	if stream.Delivery.Method != "https://schemas.openid.net/secevent/risc/delivery-method/push" || stream.Delivery.URL != receiverURL ||
		len(stream.Events) != len(risc.Events()) {
		t.Errorf("the stream is %+v", stream)
	}
	if m.bodies[1] != `{"state":"hello"}` {
		t.Errorf("the verification is %s", m.bodies[1])
	}
	signed, err := jose.ParseSignedCompact(m.token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := signed.Verify(googleKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(payload, &c); err != nil {
		t.Fatal(err)
	}
	if c["iss"] != "risc@project.iam.gserviceaccount.com" || c["sub"] != c["iss"] || c["exp"].(float64)-c["iat"].(float64) != 3600 ||
		c["aud"] != "https://risc.googleapis.com/google.identity.risc.v1beta.RiscManagementService" || signed.Signatures[0].Header.KeyID != "k1" {
		t.Errorf("the token is %v with the key %q", c, signed.Signatures[0].Header.KeyID)
	}
}

func TestARegistrationThatIsRefusedSaysWhy(t *testing.T) {
	t.Parallel()
	m := &management{status: 403, answer: `{"error":{"message":"The caller does\nnot have permission TOKEN"}}`}
	server := httptest.NewServer(m)
	defer server.Close()
	err := risc.Register(t.Context(), risc.Registration{
		ServiceAccountJSON: keyFile(unchanged), URL: receiverURL, VerifyState: "hello", HTTPClient: server.Client(), Endpoint: server.URL,
	})
	e, ok := errors.AsType[*risc.RegisterError](err)
	if !ok || e.Call != "stream:update" || e.StatusCode != 403 || e.Message != "The caller does not have permission [redacted]" {
		t.Errorf("%#v", err)
	}
	if len(m.calls) != 1 {
		t.Errorf("called %v", m.calls)
	}
}

func TestARegistrationThatIsWrongCallsNobody(t *testing.T) {
	t.Parallel()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	ecPEM := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	if der, err = x509.MarshalPKCS8PrivateKey(short); err != nil {
		t.Fatal(err)
	}
	shortPEM := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	set := func(name, value string) []byte {
		return keyFile(func(f map[string]string) { f[name] = value })
	}
	for name, c := range map[string]struct {
		file      []byte
		url, says string
		endpoint  string
	}{
		"plain http":           {keyFile(unchanged), "http://app.example/", "is not https", ""},
		"no URL":               {keyFile(unchanged), "", "is not https", ""},
		"no file":              {nil, receiverURL, "not the JSON of a service account", ""},
		"a client secret file": {[]byte(`{"web":{"client_id":"x"}}`), receiverURL, "not the JSON of a service account", ""},
		"a user's credentials": {set("type", "authorized_user"), receiverURL, "not the JSON of a service account", ""},
		"no key":               {set("private_key", ""), receiverURL, "not PEM", ""},
		"half a key":           {set("private_key", "-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----\n"), receiverURL, "no RSA key", ""},
		"an EC key":            {set("private_key", ecPEM), receiverURL, "no RSA key", ""},
		"a short key":          {set("private_key", shortPEM), receiverURL, "has 1024 bits", ""},
		"an API in the clear":  {keyFile(unchanged), receiverURL, "is not https", "http://risc.example/v1beta"},
		"an API nowhere":       {keyFile(unchanged), receiverURL, "is not https", "https:///v1beta"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := &http.Client{Transport: refusing{t}}
			err := risc.Register(t.Context(), risc.Registration{ServiceAccountJSON: c.file, URL: c.url, HTTPClient: client, Endpoint: c.endpoint})
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "PRIVATE") {
				t.Errorf("%v; want %q", err, c.says)
			}
		})
	}
}

func TestTheServiceAccountsTokenGoesNowhereElse(t *testing.T) {
	t.Parallel()
	elsewhere := new(management)
	other := httptest.NewServer(elsewhere)
	defer other.Close()
	google := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer google.Close()
	err := risc.Register(t.Context(), risc.Registration{
		ServiceAccountJSON: keyFile(unchanged), URL: receiverURL, HTTPClient: google.Client(), Endpoint: google.URL,
	})
	if e, ok := errors.AsType[*risc.RegisterError](err); !ok || e.StatusCode != http.StatusTemporaryRedirect || len(elsewhere.calls) > 0 {
		t.Errorf("%v; elsewhere, %v was called", err, elsewhere.calls)
	}
}

func TestARegistrationShowsNoKey(t *testing.T) {
	t.Parallel()
	r := risc.Registration{ServiceAccountJSON: keyFile(unchanged), URL: receiverURL}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("registering", "registration", r)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("registering", "registration", &r)
	texts := []string{logged.String(), fmt.Sprint(r), fmt.Sprintf("%+v %#v %q %x", r, &r, []any{r}, r)}
	for _, text := range texts {
		for _, secret := range []string{"private_key", "70726976617465", "112 114 105 118", "0x70, 0x72, 0x69, 0x76"} {
			if strings.Contains(text, secret) || !strings.Contains(text, receiverURL) && !strings.Contains(text, "68747470733a") {
				t.Errorf("%.300s", text)
			}
		}
	}
	if data, err := json.Marshal(r); err == nil {
		t.Errorf("it is marshaled to %.300s", data)
	}
}

// refusing fails the test if anybody is called.
type refusing struct{ t *testing.T }

func (r refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	r.t.Errorf("%s was called", req.URL)
	return nil, errors.New("nobody is called")
}

func FuzzRegisterKeyFile(f *testing.F) {
	f.Add(keyFile(unchanged))
	f.Add([]byte(`{"type":"service_account","client_email":"a","private_key":"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----"}`))
	f.Add([]byte(`null`))
	nobody := &http.Client{Transport: failing{}}
	f.Fuzz(func(t *testing.T, file []byte) {
		err := risc.Register(t.Context(), risc.Registration{ServiceAccountJSON: file, URL: receiverURL, HTTPClient: nobody})
		if err == nil || strings.Contains(err.Error(), "PRIVATE KEY") {
			t.Errorf("%v", err)
		}
	})
}

type failing struct{}

func (failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no network") }

func ExampleRegister() {
	google := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { fmt.Println(r.Method, r.URL.Path) }))
	defer google.Close()
	err := risc.Register(context.Background(), risc.Registration{
		ServiceAccountJSON: keyFile(unchanged),
		URL:                "https://app.example/security-events",
		VerifyState:        "hello",
		Endpoint:           google.URL, // a real program leaves it out
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// POST /stream:update
	// POST /stream:verify
}
