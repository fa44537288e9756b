package authflow_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
)

const (
	modelUser     = "user"
	modelLifetime = time.Hour
)

// A modelProvider is the least that a Flow can be held against: it knows one user. A consent begins a family of tokens.
type modelProvider struct {
	w      *world
	rotate bool

	mu       sync.Mutex
	codes    map[string]bool
	refresh  map[string]*family // rotated tokens stay
	access   map[string]*issue
	families []*family
	downTill time.Time
}

// A family is what one consent gave.
type family struct {
	name     string
	current  string         // the refresh token
	place    map[string]int // of each refresh token in their succession
	last     *issue
	ended    string // why; empty: it lives
	grantIDs map[string]bool
}

// An issue is an access token and what became of it. Fields are guarded by modelProvider.mu.
type issue struct {
	token    string
	family   *family
	at       time.Time
	by       *process
	lost     bool // the answer did not arrive
	stored   bool
	rejected bool // an API is said to have refused it
	faults   int  // of by's store, until then
}

func newModelProvider(w *world, rotate bool) *modelProvider {
	return &modelProvider{
		w: w, rotate: rotate,
		codes: make(map[string]bool), refresh: make(map[string]*family), access: make(map[string]*issue),
	}
}

func modelEndpoints() authflow.Provider {
	const host = "https://provider.example"
	return authflow.Provider{
		Issuer: host, AuthURL: host + "/auth", TokenURL: host + "/token", RevokeURL: host + "/revoke", UserInfoURL: host + "/userinfo",
	}
}

// code lets the user consent.
func (m *modelProvider) code() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	code := fmt.Sprint("code", len(m.codes))
	m.codes[code] = true
	return code
}

// fail makes the provider answer 503 for d.
func (m *modelProvider) fail(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.downTill = time.Now().Add(d)
	m.w.tell("the provider is down for %v", d)
}

// revokeUser ends all that the user granted, as Google does whoever asks for it.
func (m *modelProvider) revokeUser(why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end(why, m.families...)
}

func (m *modelProvider) end(why string, families ...*family) {
	for _, f := range families {
		if f.ended == "" {
			f.ended = why
			m.w.tell("%s has ended at the provider %s", f.name, why)
		}
	}
}

// serve answers a request of p.
func (m *modelProvider) serve(p *process, req *http.Request) (status int, body string, made *issue) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Now().Before(m.downTill) {
		return http.StatusServiceUnavailable, `{}`, nil
	}
	form := make(url.Values)
	if req.Body != nil {
		data, _ := io.ReadAll(req.Body) // it is in memory
		form, _ = url.ParseQuery(string(data))
	}
	switch req.URL.Path {
	case "/userinfo":
		return http.StatusOK, `{"sub":"` + modelUser + `"}`, nil
	case "/revoke":
		f := m.refresh[form.Get("token")]
		if f == nil || f.ended != "" {
			return http.StatusBadRequest, `{"error":"invalid_token"}`, nil
		}
		m.end("by "+p.name, m.families...)
		return http.StatusOK, `{}`, nil
	}
	if form.Get("grant_type") == "authorization_code" {
		if !m.codes[form.Get("code")] {
			return http.StatusBadRequest, `{"error":"invalid_grant"}`, nil
		}
		m.codes[form.Get("code")] = false
		f := &family{
			name: fmt.Sprint("family", len(m.families)), place: make(map[string]int), grantIDs: make(map[string]bool),
		}
		m.families = append(m.families, f)
		m.rotateToken(f)
		return m.issue(p, f)
	}
	token := form.Get("refresh_token")
	f := m.refresh[token]
	if f == nil {
		m.w.wrong("%s sends the refresh token %q, which never was one", p.name, token)
		return http.StatusBadRequest, `{"error":"invalid_grant"}`, nil
	}
	if f.ended == "" {
		m.checkNeed(p, f, token)
	}
	if f.ended == "" && token != f.current {
		m.end("by the reuse of "+token, f)
	}
	if f.ended != "" {
		m.w.tell("%s is refused: %s", p.name, f.name)
		return http.StatusBadRequest, `{"error":"invalid_grant"}`, nil
	}
	if m.rotate {
		m.rotateToken(f)
	}
	return m.issue(p, f)
}

// checkNeed holds a refresh against the rule: one for each expiry or rejection, unless the last one's token was lost by
// a crash, a broken connection or another process's store.
func (m *modelProvider) checkNeed(p *process, f *family, token string) {
	last := f.last
	lost := !last.stored && (last.lost || last.by.isDead() || last.by != p && last.by.storeFaults() > last.faults)
	due := time.Since(last.at) > modelLifetime*74/100
	if lost || token == f.current && (due || last.rejected) {
		return
	}
	m.w.wrong("%s was refreshed again, by %s with %s %v after %s got %s (stored: %v)",
		f.name, p.name, token, time.Since(last.at), last.by.name, last.token, last.stored)
}

func (m *modelProvider) rotateToken(f *family) {
	f.current = fmt.Sprint(f.name, "-refresh", len(f.place))
	f.place[f.current] = len(f.place)
	m.refresh[f.current] = f
}

func (m *modelProvider) issue(p *process, f *family) (status int, body string, made *issue) {
	made = &issue{token: fmt.Sprint(f.name, "-access", len(m.access)), family: f, at: time.Now(), by: p, faults: p.storeFaults()}
	f.last, m.access[made.token] = made, made
	m.w.tell("%s gets %s and %s", p.name, made.token, f.current)
	return http.StatusOK, fmt.Sprintf(`{"access_token":%q,"refresh_token":%q,"token_type":"Bearer","expires_in":%d}`,
		made.token, f.current, modelLifetime/time.Second), made
}

func (m *modelProvider) lose(made *issue) {
	if made == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	made.lost = true
	m.w.tell("%s is lost on its way", made.token)
}

// stored notes that a family's tokens are in the store under a grant's ID.
func (m *modelProvider) stored(grantID, refresh, access string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.refresh[refresh]; f != nil {
		f.grantIDs[grantID] = true
	}
	if made := m.access[access]; made != nil {
		made.stored = true
	}
}

// reject notes that an API refuses an access token, or is said to.
func (m *modelProvider) reject(access string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.access[access].rejected = true
}

func (m *modelProvider) issued(access string) *issue {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.access[access]
}

func (m *modelProvider) familyOf(grantID string) *family {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.families {
		if f.grantIDs[grantID] {
			return f
		}
	}
	return nil
}

// grantsOf returns the IDs of the grants that held the tokens of f. There is more than one where the answer to a consent's
// write was lost, the grant deleted, and the consent, which did not know, stored again.
func (m *modelProvider) grantsOf(f *family) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(f.grantIDs))
}

// endedFamily reports whether the family of a refresh token has ended.
func (m *modelProvider) endedFamily(refresh string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.refresh[refresh]
	return f == nil || f.ended != ""
}

// follows reports whether a refresh token was issued after another one of its family.
func (m *modelProvider) follows(next, prev string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.refresh[next]
	return f != nil && f == m.refresh[prev] && f.place[next] > f.place[prev]
}

var errBroken = errors.New("the connection broke")

// A line is the connection of a process to the provider.
type line struct{ p *process }

// latency is how long a message to the provider or back takes.
func (m *modelProvider) latency(chance *rand.Rand) time.Duration {
	switch n := chance.IntN(100); {
	case n < 50:
		return upTo(chance, 200*time.Millisecond)
	case n < 96 || m.w.faults.Load() == 0:
		return upTo(chance, 3*time.Second)
	}
	return upTo(chance, 11*time.Second)
}

func (l line) RoundTrip(req *http.Request) (*http.Response, error) {
	p, m := l.p, l.p.w.provider
	chance := p.chance("provider")
	there, back := m.latency(chance), m.latency(chance)
	fault := chance.Int32N(100)
	if err := p.wait(req.Context(), there); err != nil {
		return nil, err
	}
	if fault < p.w.faults.Load() {
		return nil, errBroken
	}
	status, body, made := m.serve(p, req)
	err := p.wait(req.Context(), back)
	if err == nil && fault >= 100-p.w.faults.Load() {
		err = errBroken
	}
	if err != nil {
		m.lose(made)
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Header: jsonType(), Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}, nil
}
