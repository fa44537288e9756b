package authflow_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// BenchmarkLiveToken is the call that every request for every user makes, on as many cores as the name says.
func BenchmarkLiveToken(b *testing.B) {
	for _, cores := range []int{1, 2} {
		for _, of := range applications {
			b.Run(fmt.Sprintf("cores=%d/by=%s", cores, of.by), func(b *testing.B) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
				app := of.open(b, new(tokenEndpoint))
				app.connect(b, adaID, time.Now().Add(24*time.Hour))
				source := app.load(b, adaID)
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if _, err := source.Token(); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

// BenchmarkExpiredToken has 1,000 goroutines need one user's expired token at once, each with a source of its own.
func BenchmarkExpiredToken(b *testing.B) {
	for _, of := range applications {
		b.Run("by="+of.by, func(b *testing.B) {
			endpoint := &tokenEndpoint{delay: 2 * time.Millisecond}
			app := of.open(b, endpoint)
			askAtOnce(b, endpoint, app, func(userID string) []oauth2.TokenSource {
				sources := make([]oauth2.TokenSource, 1000)
				for i := range sources {
					sources[i] = app.load(b, userID)
				}
				return sources
			})
		})
	}
}

// BenchmarkEndedGrant has them all share one source, which is how the peer makes one call of an expired token, and the
// grant has ended.
func BenchmarkEndedGrant(b *testing.B) {
	for _, of := range applications {
		b.Run("by="+of.by, func(b *testing.B) {
			endpoint := &tokenEndpoint{delay: 2 * time.Millisecond, ended: true}
			app := of.open(b, endpoint)
			askAtOnce(b, endpoint, app, func(userID string) []oauth2.TokenSource {
				return slices.Repeat([]oauth2.TokenSource{app.load(b, userID)}, 1000)
			})
		})
	}
}

// askAtOnce counts the calls that a user's sources cost when all are asked for a token at the same time.
func askAtOnce(b *testing.B, endpoint *tokenEndpoint, app application, load func(userID string) []oauth2.TokenSource) {
	b.Helper()
	for b.Loop() {
		b.StopTimer()
		userID := rand.Text()
		app.connect(b, userID, time.Now().Add(-time.Minute))
		var asking sync.WaitGroup
		start := make(chan struct{})
		for _, source := range load(userID) {
			asking.Go(func() {
				<-start
				if _, err := source.Token(); (err != nil) != endpoint.ended {
					b.Errorf("the error is %v", err)
				}
			})
		}
		b.StartTimer()
		close(start)
		asking.Wait()
	}
	b.ReportMetric(float64(endpoint.calls.Load())/float64(b.N), "calls/op")
}

// BenchmarkTokenDuringRefresh has 32 callers ask every millisecond while a token falls due and is replaced, which takes the
// endpoint 200 ms, and times each call.
func BenchmarkTokenDuringRefresh(b *testing.B) {
	for _, of := range applications {
		b.Run("by="+of.by, func(b *testing.B) {
			app := of.open(b, &tokenEndpoint{delay: 200 * time.Millisecond})
			var mu sync.Mutex
			var took []time.Duration
			for b.Loop() {
				userID := rand.Text()
				app.connect(b, userID, time.Now().Add(expiryMargin+time.Second))
				source := app.load(b, userID)
				var asking sync.WaitGroup
				for range 32 {
					asking.Go(func() {
						mine := timeUntilReplaced(b, source)
						mu.Lock()
						took = append(took, mine...)
						mu.Unlock()
					})
				}
				asking.Wait()
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)-1]), "longest-ns")
			b.ReportMetric(float64(took[len(took)*999/1000]), "p99.9-ns")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// expiryMargin is how long before its expiry x/oauth2, and authflow with it, takes a token for expired.
const expiryMargin = 10 * time.Second

// timeUntilReplaced asks source every millisecond until it gives another token, and returns how long each call took. Between
// calls it waits, so that the scheduler takes the core away there rather than within a call.
func timeUntilReplaced(b *testing.B, source oauth2.TokenSource) (took []time.Duration) {
	b.Helper()
	next := time.NewTicker(time.Millisecond)
	defer next.Stop()
	for first := ""; ; <-next.C {
		begin := time.Now()
		token, err := source.Token()
		took = append(took, time.Since(begin))
		if err != nil {
			b.Error(err)
			return took
		}
		if first == "" {
			first = token.AccessToken
		}
		if token.AccessToken != first {
			return took
		}
	}
}

// BenchmarkCachedUser tells what a process keeps for each of 100,000 users whose live tokens it has served and may serve
// again. The tokens themselves are counted, for both. There is nothing to repeat b.N times.
func BenchmarkCachedUser(b *testing.B) {
	for _, of := range applications {
		b.Run("by="+of.by, func(b *testing.B) {
			const users = 100_000
			app := of.open(b, new(tokenEndpoint))
			for i := range users {
				app.connect(b, googleID(i), time.Now().Add(24*time.Hour))
			}
			goroutines, heap := runtime.NumGoroutine(), liveHeap()
			for i := range users {
				if _, err := app.cached(b, googleID(i)).Token(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(liveHeap()-heap)/users, "B/user")
			b.ReportMetric(float64(runtime.NumGoroutine()-goroutines), "goroutines")
			b.ReportMetric(0, "ns/op")
			runtime.KeepAlive(app)
		})
	}
}

// liveHeap collects all garbage, what pools hold included, and returns the bytes that are left.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// An application keeps users' tokens in memory, encoded.
type application interface {
	// connect stores tokens of which the access token was got an hour ago.
	connect(b *testing.B, userID string, expiry time.Time)

	// load returns a source of tokens made from what is stored.
	load(b *testing.B, userID string) oauth2.TokenSource

	// cached returns the source of the user that the application keeps.
	cached(b *testing.B, userID string) oauth2.TokenSource
}

// applications are written with mailgrant and with its peer, x/oauth2, as the documentation of each says.
var applications = []struct {
	by   string
	open func(b *testing.B, endpoint *tokenEndpoint) application
}{
	{"peer", newPeer},
	{"mailgrant", newMailgrant},
}

type mailgrant struct {
	flow   *authflow.Flow
	grants *tokenstore.Grants
}

func newMailgrant(b *testing.B, endpoint *tokenEndpoint) application {
	b.Helper()
	keys, err := tokenstore.ParseKeyring(tokenstore.GenerateKey())
	if err != nil {
		b.Fatal(err)
	}
	store := tokenstore.NewMemory()
	grants, err := tokenstore.NewGrants(store, keys)
	if err != nil {
		b.Fatal(err)
	}
	flow, err := authflow.New(authflow.Config{
		ClientID: "client", ClientSecret: "secret", RedirectURL: redirectURL, Scopes: []string{gmailReadonly},
		Store: store, Keys: keys, HTTPClient: &http.Client{Transport: endpoint},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = flow.Close() })
	return &mailgrant{flow, grants}
}

func (m *mailgrant) connect(b *testing.B, userID string, expiry time.Time) {
	b.Helper()
	before := time.Now().Add(-time.Hour)
	err := m.grants.Put(b.Context(), &tokenstore.Grant{
		UserID: userID, Email: ada, ID: rand.Text(), ClientID: "client",
		RefreshToken: refreshToken(), AccessToken: accessToken(), Expiry: expiry,
		Scopes: []string{"openid", "email", gmailReadonly}, LastRefresh: before, CreatedAt: before, UpdatedAt: before,
	})
	if err != nil {
		b.Fatal(err)
	}
}

func (m *mailgrant) load(b *testing.B, userID string) oauth2.TokenSource {
	b.Helper()
	creds, err := m.flow.GetStoredCredentials(b.Context(), userID)
	if err != nil {
		b.Fatal(err)
	}
	return creds
}

// cached has nothing to keep: the Flow does.
func (m *mailgrant) cached(b *testing.B, userID string) oauth2.TokenSource {
	b.Helper()
	return m.load(b, userID)
}

type peer struct {
	config *oauth2.Config
	ctx    context.Context // where x/oauth2 looks for its HTTP client
	stored map[string][]byte
	cache  map[string]oauth2.TokenSource
}

func newPeer(_ *testing.B, endpoint *tokenEndpoint) application {
	return &peer{
		config: &oauth2.Config{
			ClientID: "client", ClientSecret: "secret", RedirectURL: redirectURL, Scopes: []string{gmailReadonly},
			Endpoint: oauth2.Endpoint{TokenURL: authflow.Google().TokenURL, AuthStyle: oauth2.AuthStyleInParams},
		},
		ctx:    context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Transport: endpoint}),
		stored: make(map[string][]byte),
		cache:  make(map[string]oauth2.TokenSource),
	}
}

func (p *peer) connect(b *testing.B, userID string, expiry time.Time) {
	b.Helper()
	token, err := json.Marshal(&oauth2.Token{
		AccessToken: accessToken(), RefreshToken: refreshToken(), TokenType: "Bearer", Expiry: expiry,
	})
	if err != nil {
		b.Fatal(err)
	}
	p.stored[userID] = token
}

func (p *peer) load(b *testing.B, userID string) oauth2.TokenSource {
	b.Helper()
	token := new(oauth2.Token)
	if err := json.Unmarshal(p.stored[userID], token); err != nil {
		b.Fatal(err)
	}
	return p.config.TokenSource(p.ctx, token)
}

func (p *peer) cached(b *testing.B, userID string) oauth2.TokenSource {
	b.Helper()
	source := p.cache[userID]
	if source == nil {
		source = p.load(b, userID)
		p.cache[userID] = source
	}
	return source
}

// A tokenEndpoint answers after a while, and counts how often.
type tokenEndpoint struct {
	delay time.Duration
	ended bool // every grant
	calls atomic.Int64
}

func (e *tokenEndpoint) RoundTrip(req *http.Request) (*http.Response, error) {
	e.calls.Add(1)
	<-time.After(e.delay)
	status, body := http.StatusOK, fmt.Sprintf(`{"access_token":%q,"expires_in":3599,"token_type":"Bearer"}`, accessToken())
	if e.ended {
		status, body = http.StatusBadRequest, `{"error":"invalid_grant"}`
	}
	return &http.Response{
		StatusCode: status,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Body:       io.NopCloser(strings.NewReader(body)),
		Request:    req,
	}, nil
}

// What Google gives out is about as long: 220, 103 and 21 bytes.

func accessToken() string { return "ya29." + random(215) }

func refreshToken() string { return "1//0" + random(99) }

func random(length int) string {
	return strings.Repeat(rand.Text(), length/26+1)[:length]
}

func googleID(i int) string { return fmt.Sprintf("1%020d", i) }
