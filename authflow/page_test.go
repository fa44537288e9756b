package authflow_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// A journal is what a Flow logs, as JSON.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// log makes the Flow keep the journal.
func (j *journal) log(cfg *authflow.Config) {
	cfg.Logger = slog.New(slog.NewJSONHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// notServed returns the lines about people who were not served.
func (j *journal) notServed(t *testing.T) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range strings.Lines(j.text()) {
		entry := make(map[string]any)
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		if entry["msg"] == "mailgrant: a person was not served" {
			found = append(found, entry)
		}
	}
	return found
}

var style = regexp.MustCompile(`(?s)<style>(.*)</style>`)

func TestEveryFailureHasAPage(t *testing.T) {
	t.Parallel()
	for name, c := range failures() {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				var j journal
				s := x.site(x.flow(t, j.log, withSessionKey), c.changes)
				p := s.ada()
				w := c.walk(t, p)
				if told(w) != c.page || w.Code != c.status {
					t.Fatalf("the person is told %d %q, want %d %q", w.Code, told(w), c.status, c.page)
				}
				again := "/login"
				if strings.Contains(c.page, "not connected") || strings.Contains(c.page, "another site") {
					again = "/"
				}
				if leads(w) != again || w.Header().Get("Location") != "" {
					t.Errorf("the page leads to %q, want %q", leads(w), again)
				}
				isSafe(t, w.Header(), w.Body.String())

				entries := j.notServed(t)
				if len(entries) == 0 {
					t.Fatal("nothing is logged")
				}
				last, level := entries[len(entries)-1], "WARN"
				if c.page == "Not connected" || c.page == "No connection is waiting for this" && strings.Contains(name, "browser") {
					level = "INFO" // a choice is no failure, and a foreign callback anybody's
				}
				if path, _ := last["path"].(string); last["level"] != level || !strings.HasPrefix(path, "/") || last["error"] == nil {
					t.Errorf("logged: %v", last)
				}
				if strings.Contains(w.Body.String(), markOfProvider) {
					t.Error("the page says what somebody else says")
				}
			})
		})
	}
}

// isSafe checks that a page can't be framed, cached or scripted, and that its style is the one that the policy permits.
func isSafe(t *testing.T, header http.Header, body string) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
	} {
		if got := header.Values(name); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	css := style.FindStringSubmatch(body)
	if css == nil {
		t.Fatalf("the page has no style: %s", body)
	}
	hash := sha256.Sum256([]byte(css[1]))
	want := map[string]string{
		"default-src": "'none'", "style-src": "'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'",
		"base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
	}
	got := make(map[string]string)
	for directive := range strings.SplitSeq(header.Get("Content-Security-Policy"), ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), " ")
		got[name] = value
	}
	if !maps.Equal(got, want) {
		t.Errorf("the policy is %q, want %q", got, want)
	}
	for _, no := range []string{"<script", "<img", "<iframe", "<form", " style=", " onmouse", "://", "@import", "url("} {
		if strings.Contains(body, no) {
			t.Errorf("the page has %q: %s", no, body)
		}
	}
}

// Every page says something else, says what to do, and is what people who listen to it need.
func TestPagesAreForPeople(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, _ *fixture) {
		texts := make(map[string]string)
		for name, c := range failures() {
			x := newFixture(t, gmailtest.Config{})
			w := c.walk(t, x.site(x.flow(t), c.changes).ada())
			body := w.Body.String()
			if title := told(w); !strings.Contains(body, "<title>") || strings.Count(body, title) != 2 {
				t.Errorf("%s: the title of the page is not its heading %q", name, title)
			}
			for _, need := range []string{
				`<html lang="en">`, `<meta name="viewport" content="width=device-width, initial-scale=1">`, "<main>",
				"prefers-color-scheme: dark",
				"a:focus-visible", `<meta name="robots" content="noindex">`,
			} {
				if !strings.Contains(body, need) {
					t.Errorf("%s: the page lacks %s", name, need)
				}
			}
			_, text, _ := strings.Cut(body, "</h1>")
			text, _, _ = strings.Cut(text, "<a ")
			if len(text) < 40 {
				t.Errorf("%s: the page says %q", name, text)
			}
			if other, ok := texts[text]; ok && other != told(w) {
				t.Errorf("%s: %q and %q say the same", name, other, told(w))
			}
			texts[text] = told(w)
		}
		if len(texts) != 14 {
			t.Errorf("people see %d pages: %q", len(texts), slices.Sorted(maps.Values(texts)))
		}
	})
}

// A witness notes the secrets that pass between a person, a site and Google.
type witness struct {
	site   http.Handler
	google http.RoundTripper
	seen   secrets
}

func (w *witness) note(from url.Values, names ...string) {
	for _, name := range names {
		if value := from.Get(name); value != "" {
			w.seen[name+" "+strconv.Itoa(len(w.seen))] = value
		}
	}
}

func (w *witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.note(r.URL.Query(), "code", "state")
	w.site.ServeHTTP(rw, r)
	for _, c := range (&http.Response{Header: rw.Header()}).Cookies() {
		w.note(url.Values{"cookie": {c.Value}}, "cookie")
	}
	if to, err := url.Parse(rw.Header().Get("Location")); err == nil {
		w.note(to.Query(), "state", "nonce", "code_challenge")
	}
}

func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		sent, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		w.seen.sent(sent)
	}
	resp, err := w.google.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var tokens map[string]any
	if json.Unmarshal(answer, &tokens) == nil {
		for _, name := range []string{"access_token", "refresh_token", "id_token"} {
			value, _ := tokens[name].(string)
			w.note(url.Values{name: {value}}, name)
		}
	}
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	return resp, nil
}

// Neither a page nor a log line shows anything that somebody could use.
func TestNoPageAndNoLogLineShowsASecret(t *testing.T) {
	t.Parallel()
	var seen atomic.Int64
	t.Cleanup(func() {
		if n := seen.Load(); n < 400 {
			t.Errorf("the witnesses have seen %d secrets in all", n)
		}
	})
	for name, c := range failures() {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				var j journal
				w := &witness{google: x.google.Transport(), seen: formSecrets()}
				witnessed := func(cfg *authflow.Config) { cfg.HTTPClient = &http.Client{Transport: w} }
				s := x.site(x.flow(t, j.log, withSessionKey, witnessed), c.changes)
				w.site, s.Handler = s.Handler, w
				page := c.walk(t, s.ada())
				if names := w.seen.in(page.Body.String()); len(names) > 0 {
					t.Errorf("the page shows %q: %s", names, page.Body)
				}
				if names := w.seen.in(j.text()); len(names) > 0 {
					t.Errorf("the log shows %q: %s", names, j.text())
				}
				seen.Add(int64(len(w.seen)))
			})
		})
	}
}

func TestAPageEscapesWhereItLeads(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	for _, path := range []string{
		`/"><script>alert(1)</script>`, `/"onmouseover="alert(1)`, `/'><img/src=x>`, "/&lt;script&gt;",
		"/{{.Title}}", "/javascript:alert(1)", "/ünïcode",
	} {
		s := x.site(x.flow(t), func(o *options) {
			o.callback.LoginPath = path
			o.disconnect.ReturnTo = path
		})
		for _, w := range []*http.Request{ask(t, http.MethodGet, "/callback"), ask(t, http.MethodPost, "/disconnect")} {
			page := s.ada().send(w)
			isSafe(t, page.Header(), page.Body.String())
			if got, err := url.PathUnescape(leads(page)); err != nil || got != path {
				t.Errorf("the page leads to %q, want %q", got, path)
			}
		}
	}
}
