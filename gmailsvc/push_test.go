package gmailsvc_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mailgrant/mailgrant/gmailsvc"
)

const (
	pushAudience = "https://app.example/push"
	pushAccount  = "pubsub@project.iam.gserviceaccount.com"
)

var pushKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// pushKeys is Google's certs endpoint, with pushKey, and counts how often it is asked.
type pushKeys struct{ asked atomic.Int64 }

func (k *pushKeys) RoundTrip(req *http.Request) (*http.Response, error) {
	k.asked.Add(1)
	body, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: pushKey().Public(), KeyID: "a key", Algorithm: string(jose.RS256), Use: "sig"},
	}})
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Request: req, Body: io.NopCloser(bytes.NewReader(body)),
		Header: http.Header{"Content-Type": {"application/json"}},
	}, nil
}

func pushClaims() map[string]any {
	return map[string]any{
		"iss": "https://accounts.google.com", "aud": pushAudience, "sub": "113774264463038321964", "email": pushAccount,
		"email_verified": true, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
}

func pushToken(t testing.TB, alg jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, new(jose.SignerOptions).WithHeader("kid", kid))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

func pushBody(data string) string {
	return `{"message":{"data":"` + base64.StdEncoding.EncodeToString([]byte(data)) +
		`","messageId":"2070443601311540","publishTime":"2026-11-24T10:00:00.000Z"},"subscription":"projects/p/subscriptions/s"}`
}

func newPushHandler(t testing.TB, change func(*gmailsvc.PushConfig)) (http.Handler, *pushKeys) {
	t.Helper()
	keys := new(pushKeys)
	cfg := gmailsvc.PushConfig{
		Audience: pushAudience, ServiceAccount: pushAccount, HTTPClient: &http.Client{Transport: keys},
		Handle: func(context.Context, gmailsvc.Push) error { return nil },
	}
	change(&cfg)
	handler, err := gmailsvc.NewPushHandler(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return handler, keys
}

// post posts body as Pub/Sub does, and returns the status.
func post(t testing.TB, h http.Handler, authorization, body string) int {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/push", strings.NewReader(body))
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, req)
	return answer.Code
}

func TestAPushIsHandled(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"the history ID is a number": `{"emailAddress":"ada@example.com","historyId":9876543210}`,
		"the history ID is a text":   `{"emailAddress":"ada@example.com","historyId":"9876543210"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got gmailsvc.Push
			h, _ := newPushHandler(t, func(cfg *gmailsvc.PushConfig) {
				cfg.Handle = func(_ context.Context, p gmailsvc.Push) error { got = p; return nil }
			})
			if status := post(t, h, "Bearer "+pushToken(t, jose.RS256, pushKey(), "a key", pushClaims()), pushBody(data)); status != 204 {
				t.Fatalf("status %d", status)
			}
			want := gmailsvc.Push{
				EmailAddress: "ada@example.com", HistoryID: 9876543210, MessageID: "2070443601311540",
				Published: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC),
			}
			if got != want {
				t.Errorf("handled %+v, want %+v", got, want)
			}
		})
	}
}

func TestAForgedPushIsNotHandled(t *testing.T) {
	t.Parallel()
	good := pushBody(`{"emailAddress":"ada@example.com","historyId":1}`)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	with := func(name string, value any) map[string]any {
		claims := maps.Clone(pushClaims())
		claims[name] = value
		return claims
	}
	rs256 := func(claims map[string]any) string {
		return "Bearer " + pushToken(t, jose.RS256, pushKey(), "a key", claims)
	}
	payload := strings.Split(rs256(pushClaims()), ".")[1]
	for name, c := range map[string]struct {
		authorization, body string
		status              int
	}{
		"no token":              {"", good, 401},
		"another scheme":        {"Basic " + base64.StdEncoding.EncodeToString([]byte("a:b")), good, 401},
		"no JWT":                {"Bearer ya29.something", good, 401},
		"alg none":              {"Bearer " + base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + payload + ".", good, 401},
		"a stranger's key":      {"Bearer " + pushToken(t, jose.RS256, stranger, "a key", pushClaims()), good, 401},
		"an unknown key":        {"Bearer " + pushToken(t, jose.RS256, stranger, "another key", pushClaims()), good, 401},
		"HS256":                 {"Bearer " + pushToken(t, jose.HS256, []byte(strings.Repeat("k", 32)), "a key", pushClaims()), good, 401},
		"another audience":      {rs256(with("aud", "https://other.example/push")), good, 401},
		"another issuer":        {rs256(with("iss", "https://accounts.example.com")), good, 401},
		"expired":               {rs256(with("exp", time.Now().Add(-time.Hour).Unix())), good, 401},
		"another account":       {rs256(with("email", "mallory@project.iam.gserviceaccount.com")), good, 401},
		"an unverified address": {rs256(with("email_verified", false)), good, 401},
		"no JSON":               {rs256(pushClaims()), "<xml/>", 400},
		"no message":            {rs256(pushClaims()), `{}`, 400},
		"data that is no JSON":  {rs256(pushClaims()), pushBody("hello"), 400},
		"no address":            {rs256(pushClaims()), pushBody(`{"historyId":1}`), 400},
		"no history ID":         {rs256(pushClaims()), pushBody(`{"emailAddress":"ada@example.com"}`), 400},
		"a megabyte":            {rs256(pushClaims()), pushBody(`{"emailAddress":"` + strings.Repeat("a", 1<<20) + `","historyId":1}`), 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			h, _ := newPushHandler(t, func(cfg *gmailsvc.PushConfig) {
				cfg.Handle = func(_ context.Context, p gmailsvc.Push) error { t.Errorf("handled %+v", p); return nil }
				cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
			})
			if status := post(t, h, c.authorization, c.body); status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
			if log.Len() == 0 {
				t.Error("the log says nothing of it")
			}
			if _, token, _ := strings.Cut(c.authorization, " "); token != "" && strings.Contains(log.String(), token) {
				t.Errorf("the log shows the token: %s", &log)
			}
		})
	}
}

func TestUnknownKeysDoNotStormTheKeysEndpoint(t *testing.T) {
	t.Parallel()
	h, keys := newPushHandler(t, func(*gmailsvc.PushConfig) {})
	for i := range 50 {
		post(t, h, "Bearer "+pushToken(t, jose.RS256, pushKey(), "key "+strconv.Itoa(i), pushClaims()), pushBody(`{}`))
	}
	if n := keys.asked.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
	good := pushBody(`{"emailAddress":"ada@example.com","historyId":1}`)
	if status := post(t, h, "Bearer "+pushToken(t, jose.RS256, pushKey(), "a key", pushClaims()), good); status != 204 {
		t.Errorf("a genuine push is then answered %d", status)
	}
}

func TestPushesThatComeMeanwhileAreHandledTogether(t *testing.T) {
	t.Parallel()
	token := "Bearer " + pushToken(t, jose.RS256, pushKey(), "a key", pushClaims())
	synctest.Test(t, func(t *testing.T) {
		var handled []uint64
		proceed := make(chan struct{})
		h, _ := newPushHandler(t, func(cfg *gmailsvc.PushConfig) {
			cfg.Handle = func(_ context.Context, p gmailsvc.Push) error {
				handled = append(handled, p.HistoryID)
				<-proceed
				if p.HistoryID == 40 {
					return errors.New("the store is down")
				}
				return nil
			}
		})
		var statuses [4]int
		var all sync.WaitGroup
		for i, id := range []int{10, 30, 40, 20} {
			all.Go(func() {
				statuses[i] = post(t, h, token, pushBody(`{"emailAddress":"ada@example.com","historyId":`+strconv.Itoa(id)+`}`))
			})
			synctest.Wait()
		}
		close(proceed)
		all.Wait()
		if len(handled) != 2 || handled[0] != 10 || handled[1] != 40 {
			t.Errorf("handled the history IDs %v, want 10 and then 40", handled)
		}
		if statuses != [4]int{204, 500, 500, 500} {
			t.Errorf("statuses %v; all that were merged into a failure are to be delivered again", statuses)
		}
	})
}

func TestAPanicFailsOnePushAlone(t *testing.T) {
	t.Parallel()
	h, _ := newPushHandler(t, func(cfg *gmailsvc.PushConfig) {
		cfg.Handle = func(_ context.Context, p gmailsvc.Push) error {
			if p.HistoryID == 1 {
				panic("a bug")
			}
			return nil
		}
	})
	token := "Bearer " + pushToken(t, jose.RS256, pushKey(), "a key", pushClaims())
	for id, want := range map[string]int{"1": 500, "2": 204} {
		if got := post(t, h, token, pushBody(`{"emailAddress":"ada@example.com","historyId":`+id+`}`)); got != want {
			t.Errorf("history ID %s: status %d, want %d", id, got, want)
		}
	}
}

func TestAPushHandlerSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	handle := func(context.Context, gmailsvc.Push) error { return nil }
	for want, cfg := range map[string]gmailsvc.PushConfig{
		"Audience":       {ServiceAccount: pushAccount, Handle: handle},
		"ServiceAccount": {Audience: pushAudience, Handle: handle},
		"Handle":         {Audience: pushAudience, ServiceAccount: pushAccount},
	} {
		if _, err := gmailsvc.NewPushHandler(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %s: %v", want, err)
		}
	}
}

func FuzzPush(f *testing.F) {
	f.Add(pushBody(`{"emailAddress":"ada@example.com","historyId":1}`))
	f.Add(pushBody(`{"emailAddress":"ada@example.com","historyId":-1}`))
	f.Add(pushBody(`{"emailAddress":"ada@example.com","historyId":"18446744073709551616"}`))
	f.Add(`{"message":{"data":"!"}}`)
	f.Add(`[`)
	token := "Bearer " + pushToken(f, jose.RS256, pushKey(), "a key", pushClaims())
	f.Fuzz(func(t *testing.T, body string) {
		handled := false
		h, _ := newPushHandler(t, func(cfg *gmailsvc.PushConfig) {
			cfg.Handle = func(_ context.Context, p gmailsvc.Push) error {
				handled = true
				if p.EmailAddress == "" || p.HistoryID == 0 {
					t.Errorf("%q is handled as %+v", body, p)
				}
				return nil
			}
		})
		if status := post(t, h, token, body); (status == 204) != handled || status != 204 && status != 400 {
			t.Errorf("%q: status %d, handled: %t", body, status, handled)
		}
	})
}
