package gmailtest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// An endpoint takes pushes and answers them with a status.
type endpoint struct {
	mu     sync.Mutex
	status int
	posts  []answer
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	raw, _ := io.ReadAll(r.Body)
	a := answer{status: e.status, header: r.Header, raw: r.Method + " " + r.Host + r.URL.String() + "\n" + string(raw)}
	_ = json.Unmarshal(raw, &a.body)
	e.posts = append(e.posts, a)
	w.Header().Set("Location", "https://elsewhere.example/")
	w.WriteHeader(e.status)
}

// taken returns the history IDs of the posts since the last time.
func (e *endpoint) taken(t testing.TB) []string {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	var ids []string
	for _, p := range e.posts {
		message, _ := p.body["message"].(map[string]any)
		if message["messageId"] != message["message_id"] || message["publishTime"] != message["publish_time"] || p.body["subscription"] != subscription {
			t.Errorf("post = %s", p.raw)
		}
		ids = append(ids, notified(t, message))
	}
	e.posts = nil
	return ids
}

func TestPushesArePostedUntilTheyAreAcknowledged(t *testing.T) {
	t.Parallel()
	to := &endpoint{status: 204}
	w := newWatched(t, gmailtest.Subscription{Endpoint: "https://app.example/push?token=x", Handler: to, Fate: func(n int) gmailtest.Fate {
		return []gmailtest.Fate{{}, {Lost: true}, {Delay: time.Minute}, {Repeats: 1}, {}}[n]
	}})
	push := func(acknowledged int, problem string, want ...string) {
		t.Helper()
		n, err := w.DeliverPushes(t.Context())
		if n != acknowledged || (err != nil) != (problem != "") || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("%d pushes were acknowledged, %v; want %d and %q", n, err, acknowledged, problem)
		}
		if got := to.taken(t); !slices.Equal(got, want) {
			t.Errorf("history IDs = %v, want %v", got, want)
		}
	}
	w.watch(t, "")
	sent := []string{w.historyID(t)}
	for range 3 {
		w.deliver(t, raw("", "Subject: x"))
		sent = append(sent, w.historyID(t))
	}
	to.status = 503
	push(0, "it answered 503 Service Unavailable", sent[0], sent[3])
	to.status = 302 // is not followed
	push(0, "it answered 302 Found", sent[0], sent[3])
	to.status = 201
	push(2, "", sent[0], sent[3])
	push(1, "", sent[3])
	push(0, "")
	w.clock.advance(time.Minute)
	push(1, "", sent[2])
	w.deliver(t, raw("", "Subject: y"))
	if _, err := w.DeliverPushes(t.Context()); err != nil {
		t.Error(err)
	}
	first := to.posts[0]
	if !strings.HasPrefix(first.raw, "POST app.example/push?token=x\n") || first.header.Get("Content-Type") != "application/json" ||
		first.header.Get("User-Agent") != "CloudPubSub-Google" || first.header.Get("Authorization") != "" {
		t.Errorf("post = %v %s", first.header, first.raw)
	}
	if n := w.Pending(subscription); n != 0 {
		t.Errorf("%d are pending", n)
	}
}

func TestPushesHaveAnIDToken(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ audience, want string }{
		"for the endpoint": {"", "https://app.example/push"}, "for another": {"my-app", "my-app"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := &endpoint{status: 200}
			w := newWatched(t, gmailtest.Subscription{Endpoint: "https://app.example/push", Handler: to, Audience: tc.audience, ServiceAccount: "push@p.iam.gserviceaccount.com"})
			w.watch(t, "")
			if n, err := w.DeliverPushes(t.Context()); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			token, ok := strings.CutPrefix(to.posts[0].header.Get("Authorization"), "Bearer ")
			claims, verified := verify(t, publishedKeys(t, w.Server), token)
			if !ok || !verified {
				t.Fatalf("the token %q has no good signature", token)
			}
			now := float64(w.clock.Now().Unix())
			for name, want := range map[string]any{
				"iss": "https://accounts.google.com", "aud": tc.want, "email": "push@p.iam.gserviceaccount.com", "email_verified": true,
				"iat": now, "exp": now + 3600, "azp": claims["sub"],
			} {
				if claims[name] != want {
					t.Errorf("%s = %v, want %v", name, claims[name], want)
				}
			}
		})
	}
}

func TestPushesGoOverTheNetwork(t *testing.T) {
	t.Parallel()
	to := &endpoint{status: 200}
	srv := httptest.NewServer(to)
	w := newWatched(t, gmailtest.Subscription{Endpoint: srv.URL + "/push"})
	w.watch(t, "")
	if n, err := w.DeliverPushes(t.Context()); n != 1 || err != nil || len(to.taken(t)) != 1 {
		t.Errorf("%d pushes were acknowledged, %v", n, err)
	}
	srv.Close()
	w.deliver(t, raw("", "Subject: x"))
	if n, err := w.DeliverPushes(t.Context()); n != 0 || err == nil || w.Pending(subscription) != 1 {
		t.Errorf("with nobody there %d were acknowledged, %v", n, err)
	}
}

func TestWhatIsPulledIsNotPushed(t *testing.T) {
	t.Parallel()
	w := newWatched(t, gmailtest.Subscription{})
	w.watch(t, "")
	if n, err := w.DeliverPushes(t.Context()); n != 0 || err != nil || w.Pending(subscription) != 1 {
		t.Errorf("%d pushes of a subscription without an endpoint, %v", n, err)
	}
}
