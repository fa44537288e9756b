package gmailsvc_test

import (
	"bytes"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/oauth2"
	"google.golang.org/api/gmail/v1"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// Over real connections: many users on one of HTTP/2, answers packed, loops broken off, and nothing left behind. It does not run in
// parallel with others, since it looks at all goroutines.
func TestFetchingOverSockets(t *testing.T) {
	for name, c := range map[string]struct {
		cfg         gmailtest.Config
		connections int // at most
	}{
		"HTTP/2":             {gmailtest.Config{TLS: true}, 1},
		"HTTP/1.1 over TLS":  {gmailtest.Config{TLS: true, NoHTTP2: true}, 6},
		"HTTP/1.1":           {gmailtest.Config{}, 6},
		"HTTP/2, no batches": {gmailtest.Config{TLS: true, NoBatch: true}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			google, err := gmailtest.Start(c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer google.Close()
			w := &world{google: google, box: google.AddUser(gmailtest.User{Email: ada})}
			w.deliver(t, 120)
			token, _, err := google.Grant(ada, gmail.GmailReadonlyScope)
			if err != nil {
				t.Fatal(err)
			}
			var packed atomic.Bool
			transport := google.Client().Transport
			builder := gmailsvc.New(gmailsvc.Config{
				Endpoint: google.APIURL(), HTTPClient: &http.Client{Transport: roundTripper(func(q *http.Request) (*http.Response, error) {
					resp, err := transport.RoundTrip(q)
					if err == nil && resp.Uncompressed && strings.HasSuffix(q.URL.Path, "/batch/gmail/v1") {
						packed.Store(true)
					}
					return resp, err
				})},
			})
			svc, err := builder.BuildService(t.Context(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token}))
			if err != nil {
				t.Fatal(err)
			}
			read := func(most int) (n int) {
				for _, err := range svc.FetchMessages(t.Context(), svc.ListMessages(t.Context(), gmailsvc.Query{PageSize: 50})) {
					if err != nil {
						t.Fatal(err)
					}
					if n++; n == most {
						break
					}
				}
				return n
			}
			if n := read(0); n != 120 {
				t.Fatalf("read %d of 120", n)
			}
			if n := google.Connections(); n > c.connections {
				t.Errorf("%d connections, want %d at most", n, c.connections)
			}
			for range 20 {
				read(1)
			}
			// Goroutines of connections come and go; none of the package's may be left.
			if left := goroutinesOf("gmailsvc.(*pipeline)"); left > 0 {
				t.Errorf("%d goroutines after 20 broken loops", left)
			}
			// HTTP/1.1 can't break off an answer but by closing the connection.
			if n := google.Connections(); c.connections == 1 && n > 1 {
				t.Errorf("%d connections after broken loops, want 1", n)
			}
			if !packed.Load() && !c.cfg.NoBatch {
				t.Error("answers to batches were not packed")
			}
		})
	}
}

// goroutinesOf returns how many goroutines have a function of that name on their stacks.
func goroutinesOf(name string) (n int) {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if bytes.Contains(stack, []byte(name)) {
			n++
		}
	}
	return n
}
