package gmailsvc_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/api/googleapi"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

func TestPassingTroubleIsOvercome(t *testing.T) {
	t.Parallel()
	tooMany := gmailtest.APIError(opGet, 429, "rateLimitExceeded", "Too many concurrent requests for user")
	tooMany.Times = 20
	for name, c := range map[string]struct {
		fault gmailtest.Fault
		gets  int // at most
	}{
		"parts that answer 503":         {gmailtest.Fault{Op: opGet, Status: 503, Times: 7}, 107},
		"parts over the user's rate":    {gmailtest.Fault{Op: opGet, Status: 403, Body: bodyUserRate, Times: 7}, 107},
		"parts that are too many":       {tooMany, 120},
		"a batch that answers 503":      {gmailtest.Fault{Op: "batch", Status: 503, Times: 2}, 100},
		"a batch over the user's rate":  {gmailtest.Fault{Op: "batch", Status: 429, Body: bodyTooMany, Times: 2}, 100},
		"a batch that never arrives":    {gmailtest.Fault{Op: "batch", Drop: true, Times: 2}, 100},
		"a batch whose answer is lost":  {gmailtest.Fault{Op: "batch", DropAfter: true, Times: 1}, 125},
		"a batch that is cut short":     {gmailtest.Fault{Op: "batch", CutAfter: 5000, Times: 1}, 125},
		"a batch that is cut at once":   {gmailtest.Fault{Op: "batch", CutAfter: 3, Times: 1}, 125},
		"a part that breaks everything": {gmailtest.Fault{Op: opGet, Drop: true, Times: 1}, 125},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newReader(t, gmailtest.Config{}, nil).fillMailbox(t, 100)
				r.google.Inject(c.fault)
				got, failed, end := r.fetch(t.Context())
				r.wantAll(t, got, failed, end, 0)
				if n := r.google.Count(opGet); n > c.gets {
					t.Errorf("%d gets, want %d at most: only what failed again", n, c.gets)
				}
			})
		})
	}
}

func TestAPartThatKeepsFailingIsGivenUpAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault    gmailtest.Fault
		attempts int
		code     int
	}{
		"after five attempts":           {gmailtest.Fault{Status: 503}, 5, 503},
		"after five rejections":         {gmailtest.Fault{Status: 429, Body: bodyTooMany}, 5, 429},
		"at once, for a refusal":        {gmailtest.Fault{Status: 403, Body: bodyDomain}, 1, 403},
		"at once, if it makes no sense": {gmailtest.Fault{Body: `{"id":7}`}, 1, 0},
		"at once, if it is empty":       {gmailtest.Fault{Body: `{}`}, 1, 0},
		"after five answers that break off": {gmailtest.Fault{Status: 200, Header: http.Header{"Content-Type": {"application/json"}},
			Body: `{"id":"x","labelIds":[`}, 5, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newReader(t, gmailtest.Config{}, nil).fillMailbox(t, 60)
				bad, attempts := r.refs[20].ID, 0
				c.fault.Op, c.fault.Match = opGet, func(q *http.Request) bool {
					hit := strings.HasSuffix(q.URL.Path, bad)
					if hit {
						attempts++
					}
					return hit
				}
				r.google.Inject(c.fault)
				got, failed, end := r.fetch(t.Context())
				r.wantAll(t, got, failed, end, 1)
				e, _ := errors.AsType[*googleapi.Error](failed[bad])
				if attempts != c.attempts || c.code > 0 && (e == nil || e.Code != c.code) {
					t.Errorf("%d attempts and %v, want %d and Gmail's %d", attempts, failed[bad], c.attempts, c.code)
				}
			})
		})
	}
}

func TestFetchingBowsToWhatGmailBears(t *testing.T) {
	t.Parallel()
	for name, q := range map[string]gmailtest.Quota{
		"ten in a batch":         {ConcurrentInBatches: 10},
		"two in a batch":         {ConcurrentInBatches: 2},
		"two at once":            {ConcurrentPerUser: 2},
		"a hundred in each case": {ConcurrentInBatches: 100, ConcurrentPerUser: 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newReader(t, gmailtest.Config{Quota: q, NoBatch: q.ConcurrentInBatches == 0}, nil).fillMailbox(t, 400)
				r.google.Inject(gmailtest.Fault{Op: opGet, Delay: 100 * time.Millisecond})
				got, failed, end := r.fetch(t.Context())
				r.wantAll(t, got, failed, end, 0)
				if u := r.google.Usage(ada); u.Crowded > 80 || q.ConcurrentInBatches == 100 && u.Crowded > 0 {
					t.Errorf("Gmail refused %d calls of 400: it was not learnt from", u.Crowded)
				}
			})
		})
	}
}

func TestALimiterPacesBatches(t *testing.T) {
	t.Parallel()
	for name, google := range map[string]gmailtest.Config{"in batches": {}, "one by one": {NoBatch: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				google.Quota = gmailtest.Quota{PerUserPerMinute: 6000, ConcurrentPerUser: 5, ConcurrentInBatches: 25, Sliding: true}
				r := newReader(t, google, func(c *gmailsvc.Config) {
					limiter, err := quota.New(quota.Config{})
					if err != nil {
						t.Fatal(err)
					}
					c.Limiter = limiter
				}).fillMailbox(t, 1000)
				r.google.Inject(gmailtest.Fault{Op: opGet, Delay: 100 * time.Millisecond})
				began := time.Now()
				got, failed, end := r.fetch(t.Context())
				r.wantAll(t, got, failed, end, 0)
				u, took := r.google.Usage(ada), time.Since(began)
				if u.Rejected+u.Crowded > 0 || u.Units != 20_000 || took > 210*time.Second {
					t.Errorf("%+v in %v, want nothing refused, 20,000 units, and at most 210 s", u, took)
				}
			})
		})
	}
}

func TestWithoutABatchEndpointMessagesAreGotOneByOne(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]gmailtest.Fault{
		"404":                    {Status: 404},
		"405":                    {Status: 405},
		"a page for people":      {Status: 200, Body: "<html>Welcome</html>", Header: http.Header{"Content-Type": {"text/html"}}},
		"a part without a bound": {Status: 200, Body: "--x--", Header: http.Header{"Content-Type": {"multipart/mixed"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newReader(t, gmailtest.Config{}, nil).fillMailbox(t, 60)
				fault.Op = "batch"
				r.google.Inject(fault)
				for range 2 {
					got, failed, end := r.fetch(t.Context())
					r.wantAll(t, got, failed, end, 0)
				}
				if n := r.google.Count("batch"); n != 1 {
					t.Errorf("%d batches, want one that found out", n)
				}
				if n := r.google.Count(opGet); n != 120 {
					t.Errorf("%d gets, want 120", n)
				}
			})
		})
	}
}

func TestAnOutageIsNotMultipliedByFetching(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, gmailtest.Config{}, nil).fillMailbox(t, 3000)
		r.google.Inject(gmailtest.Fault{Op: "batch", Status: 503})
		r.google.Inject(gmailtest.Fault{Op: opGet, Status: 503}) // a part that is left over goes alone
		got, failed, end := r.fetch(t.Context())
		r.wantAll(t, got, failed, end, 3000)
		// Where parts that are tried again fill a batch half, the others shift by as many.
		if n := r.google.Count("batch") + r.google.Count(opGet); n > 120+50+10 {
			t.Errorf("%d batches in an outage, want about 120 and the reserve of 50", n)
		}
	})
}

func TestAPartIsNotTriedAgainBeyondTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, gmailtest.Config{}, nil).fillMailbox(t, 30)
		r.google.Inject(gmailtest.Fault{
			Op: opGet, Status: 429, Body: bodyTooMany, Header: http.Header{"Retry-After": {"90"}},
			Match: func(q *http.Request) bool { return strings.HasSuffix(q.URL.Path, r.refs[3].ID) },
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		_, failed, end := r.fetch(ctx)
		limited, _ := errors.AsType[*gmailsvc.RateLimitError](failed[r.refs[3].ID])
		if limited == nil || limited.RetryAfter != 90*time.Second || time.Since(began) > time.Minute {
			t.Errorf("%v and %v after %v; want *RateLimitError of the one message", failed, end, time.Since(began))
		}
	})
}

func TestARefusedTokenIsReplacedOnceAndTheCallsRepeated(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*world){
		"of the batch": func(w *world) { w.google.ExpireAccessTokens(ada) },
		"of a part":    func(w *world) { w.google.Inject(gmailtest.Fault{Op: opGet, Status: 401, Body: `{}`, Times: 3}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				ids := w.deliver(t, 20)
				svc := w.service(t, w.consent(t), nil)
				spoil(w)
				refs := make([]gmailsvc.MessageRef, len(ids))
				for i, id := range ids {
					refs[i].ID = id
				}
				got, failed, end := collect(svc.FetchMessages(t.Context(), gmailsvc.Refs(refs...)))
				if !slices.Equal(got, ids) || len(failed) > 0 || end != nil {
					t.Errorf("%d messages, %v, %v", len(got), failed, end)
				}
				if n := w.google.Count("token.refresh"); n != 1 {
					t.Errorf("%d refreshes, want 1", n)
				}
			})
		})
	}
}

func TestATokenThatIsRefusedAgainIsTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		refs := make([]gmailsvc.MessageRef, 20)
		for i, id := range w.deliver(t, 20) {
			refs[i].ID = id
		}
		svc := w.service(t, w.consent(t), nil)
		w.google.Inject(gmailtest.Fault{Op: opGet, Status: 401, Body: `{"error":{"code":401,"message":"No."}}`})
		_, failed, end := collect(svc.FetchMessages(t.Context(), gmailsvc.Refs(refs...)))
		final, _ := errors.AsType[*gmailsvc.UnauthorizedError](end)
		if final == nil || final.Err == nil || final.Err.Code != 401 || !strings.Contains(final.Path, refs[0].ID) || len(failed) > 0 {
			t.Errorf("%v and %v, want *UnauthorizedError alone", failed, end)
		}
	})
}

func TestAGuardedServiceFetchesInBatches(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]gmailsvc.ServiceOption{"ReadOnly": gmailsvc.ReadOnly(), "NoSend": gmailsvc.NoSend()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newReader(t, gmailtest.Config{}, nil, opt).fillMailbox(t, 30)
				got, failed, end := r.fetch(t.Context())
				r.wantAll(t, got, failed, end, 0)
				if n := r.google.Count("batch"); n != 2 {
					t.Errorf("%d batches, want 2", n)
				}
			})
		})
	}
}
