package gmailsvc_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

func TestTheObserverIsToldOfEachBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, gmailtest.Config{}, nil).fillMailbox(t, 25)
		r.google.Inject(gmailtest.Fault{Op: opGet, Status: 429, Body: bodyTooMany, Times: 2})
		got, failed, end := r.fetch(t.Context())
		r.wantAll(t, got, failed, end, 0)
		r.refs = r.refs[:1]
		got, failed, end = r.fetch(t.Context())
		r.wantAll(t, got, failed, end, 0)
		type told struct {
			method                        string
			units, parts, attempt, status int
			rejected                      quota.Rejection
		}
		var calls []told
		for _, c := range r.calls {
			calls = append(calls, told{c.Method, c.Units, c.Parts, c.Attempt, c.Status, c.Rejected})
			if c.User != ada || c.Err != nil {
				t.Errorf("%+v, want the user's and no error", c)
			}
		}
		want := []told{
			{"batch", 500, 25, 1, 200, quota.UserRate},
			{"batch", 40, 2, 2, 200, quota.NotRejected},
			{opGet, 20, 1, 1, 200, quota.NotRejected},
		}
		if !slices.Equal(calls, want) {
			t.Errorf("told %+v\nwant %+v", calls, want)
		}
	})
}

func TestABatchOfTheUsersOwnCountsByItsParts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, gmailtest.Config{}, func(c *gmailsvc.Config) {
			limiter, err := quota.New(quota.Config{})
			if err != nil {
				t.Fatal(err)
			}
			c.Limiter = limiter
		})
		body := strings.Repeat("--b\r\nContent-Type: application/http\r\n\r\nGET /gmail/v1/users/me/profile\r\n\r\n", 3) +
			"--b\r\nContent-Type: application/http\r\n\r\nGET /gmail/v1/users/me/labels\r\n\r\n--b--\r\n"
		for range 20 {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.svc.BasePath+"batch/gmail/v1", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "multipart/mixed; boundary=b")
			resp, err := r.svc.Client().Do(req)
			if err != nil || resp.StatusCode != 200 {
				t.Fatalf("%v, %v", resp, err)
			}
			resp.Body.Close()
		}
		for _, c := range r.calls {
			if c.Method != "batch" || c.Parts != 4 || c.Units != 4 || c.Attempt != 1 || c.Status != 200 {
				t.Errorf("told %+v, want a batch of 4 parts at one unit each", c)
			}
		}
		if len(r.calls) != 20 || r.google.Usage(ada).Units != 80 {
			t.Errorf("%d calls at %d units", len(r.calls), r.google.Usage(ada).Units)
		}
	})
}

func TestTwoLoopsOfOneUserShareWhatGmailBears(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, gmailtest.Config{Quota: gmailtest.Quota{ConcurrentInBatches: 25}}, nil).fillMailbox(t, 200)
		r.google.Inject(gmailtest.Fault{Op: opGet, Delay: 100 * time.Millisecond})
		done := make(chan bool)
		for range 2 {
			go func() {
				got, failed, end := r.fetch(t.Context())
				r.wantAll(t, got, failed, end, 0)
				done <- true
			}()
		}
		<-done
		<-done
		if u := r.google.Usage(ada); u.MostInBatches > 25 || u.Crowded > 0 {
			t.Errorf("%+v, want 25 calls at once at most", u)
		}
	})
}
