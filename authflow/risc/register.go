package risc

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A Registration tells Google where a Receiver is. ServiceAccountJSON and URL are required. It shows no key when it is formatted
// or logged, and can't be marshaled to JSON.
type Registration struct {
	// ServiceAccountJSON is the key file of a service account of the project with the role RISC Configuration Admin
	// (roles/riscconfigs.admin). Nothing of it but the account's address and key is used: no URL in it is asked.
	ServiceAccountJSON []byte

	// URL is that of the Receiver, as Google reaches it: https.
	URL string

	// Events are asked for. Nil: Events().
	Events []EventType

	// VerifyState, if it is not empty, has Google send a Verification with that State.
	VerifyState string

	// HTTPClient speaks to Google, with a timeout of at most 10 s, without cookies, following no redirects. Nil: a client of
	// Register's own.
	HTTPClient *http.Client

	// Endpoint is the root of Google's API: https, but for a test's on a loopback address. Empty:
	// https://risc.googleapis.com/v1beta.
	Endpoint string

	// Now is the wall clock. Nil: time.Now.
	Now func() time.Time
}

// redact returns what of r may be shown.
func (r Registration) redact() Registration {
	if r.ServiceAccountJSON != nil {
		r.ServiceAccountJSON = []byte("[redacted]")
	}
	return r
}

// Format implements fmt.Formatter: no verb shows a key.
func (r Registration) Format(f fmt.State, verb rune) {
	type plain Registration
	fmt.Fprintf(f, fmt.FormatString(f, verb), plain(r.redact()))
}

// MarshalJSON implements json.Marshaler and always fails: a Registration holds a key.
func (r Registration) MarshalJSON() ([]byte, error) {
	return nil, &json.UnsupportedValueError{Str: "risc.Registration holds a key"}
}

// LogValue implements slog.LogValuer.
func (r Registration) LogValue() slog.Value {
	return slog.GroupValue(slog.String("url", r.URL), slog.Any("events", r.Events))
}

// A RegisterError is Google's answer to a registration that was refused.
type RegisterError struct {
	Call       string // "stream:update" or "stream:verify"
	StatusCode int
	Message    string // Google's, a line
}

func (e *RegisterError) Error() string {
	return fmt.Sprintf("risc: register: %s: Google answered %d: %s; see whether the RISC API is enabled for the project, and whether the "+
		"service account has the role RISC Configuration Admin", e.Call, e.StatusCode, e.Message)
}

// LogValue implements slog.LogValuer.
func (e *RegisterError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("call", e.Call), slog.Int("status", e.StatusCode), slog.String("message", e.Message))
}

// managementAudience is for whom the service account's token is signed.
// See https://developers.google.com/identity/protocols/risc#auth_token.
const managementAudience = "https://risc.googleapis.com/google.identity.risc.v1beta.RiscManagementService"

// Register makes r.URL the one receiver of the project's security events (stream:update), and has Google send a test event there
// if r.VerifyState is set (stream:verify). It may be called again at any time.
//
// Errors: *RegisterError if Google refuses; one that names what is wrong with r.
func Register(ctx context.Context, r Registration) error {
	if u, err := url.Parse(r.URL); err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("risc: register: the URL %q is not https", r.URL)
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	r.HTTPClient = limited(r.HTTPClient)
	r.Endpoint = strings.TrimSuffix(cmp.Or(r.Endpoint, "https://risc.googleapis.com/v1beta"), "/")
	u, err := url.Parse(r.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return fmt.Errorf("risc: register: the endpoint %q is not https", r.Endpoint)
	}
	events := r.Events
	if events == nil {
		events = Events()
	}
	token, err := selfSigned(r.ServiceAccountJSON, r.Now())
	if err != nil {
		return fmt.Errorf("risc: register: the service account's key: %w", err)
	}
	stream := map[string]any{
		"delivery": map[string]string{
			"delivery_method": "https://schemas.openid.net/secevent/risc/delivery-method/push", "url": r.URL,
		},
		"events_requested": events,
	}
	if err := r.call(ctx, "stream:update", token, stream); err != nil || r.VerifyState == "" {
		return err
	}
	return r.call(ctx, "stream:verify", token, map[string]string{"state": r.VerifyState})
}

// limited returns a copy of base, which may be nil, that takes the service account's token nowhere else, and not for ever.
func limited(base *http.Client) *http.Client {
	const timeout = 10 * time.Second
	c := new(http.Client)
	if base != nil {
		*c = *base
	}
	if c.Timeout <= 0 || c.Timeout > timeout {
		c.Timeout = timeout
	}
	c.Jar = nil
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (r *Registration) call(ctx context.Context, name, token string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("risc: register: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.Endpoint+"/"+name, bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("risc: register: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.HTTPClient.Do(req)
	if err != nil {
		return fmt.Errorf("risc: register: %s: %w", name, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 == 2 {
		return nil
	}
	// What can't be read is missing from the error's text.
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxTokenBytes))
	return &RegisterError{Call: name, StatusCode: resp.StatusCode, Message: messageOf(answer, token)}
}

// messageOf returns a line of what an error of Google's says.
func messageOf(answer []byte, token string) string {
	var body struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	const most = 300
	text := "no reason"
	if json.Unmarshal(answer, &body) == nil && body.Error.Message != "" {
		text = strings.Join(strings.Fields(body.Error.Message), " ")
	}
	text = strings.ReplaceAll(text, token, "[redacted]")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// selfSigned returns a token that the service account signed for Google's RISC API.
func selfSigned(keyFile []byte, now time.Time) (string, error) {
	var account struct {
		Type  string `json:"type"`
		Email string `json:"client_email"`
		KeyID string `json:"private_key_id"`
		Key   string `json:"private_key"`
	}
	if json.Unmarshal(keyFile, &account) != nil || account.Type != "service_account" || account.Email == "" {
		return "", errors.New("it is not the JSON of a service account")
	}
	block, _ := pem.Decode([]byte(account.Key))
	if block == nil {
		return "", errors.New("its private_key is not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return "", errors.New("its private_key is no RSA key in PKCS #8")
	}
	if bits := key.N.BitLen(); bits < minKeyBits || bits > maxKeyBits {
		return "", fmt.Errorf("its private_key has %d bits; Google's have %d", bits, minKeyBits)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key},
		new(jose.SignerOptions).WithType("JWT").WithHeader("kid", account.KeyID))
	if err != nil {
		return "", errors.New("its private_key does not sign")
	}
	claims, err := json.Marshal(map[string]any{
		"iss": account.Email, "sub": account.Email, "aud": managementAudience,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return "", errors.New("its private_key does not sign")
	}
	return signed.CompactSerialize()
}
