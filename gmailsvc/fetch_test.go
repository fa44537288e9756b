package gmailsvc_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/googleapi"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

const (
	opGet    = "gmail.users.messages.get"
	opThread = "gmail.users.threads.get"
)

// A reader is a mailbox with a service that reads it. Tests run it in a synctest bubble, which no goroutine may outlive.
type reader struct {
	*world
	svc  *gmailsvc.Service
	refs []gmailsvc.MessageRef // all messages, newest first

	mu    sync.Mutex
	calls []gmailsvc.Call
}

func newReader(tb testing.TB, cfg gmailtest.Config, change func(*gmailsvc.Config), opts ...gmailsvc.ServiceOption) *reader {
	tb.Helper()
	google, err := gmailtest.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { google.Close() })
	r := &reader{world: &world{google: google, box: google.AddUser(gmailtest.User{Email: ada})}}
	token, _, err := google.Grant(ada, gmail.GmailModifyScope)
	if err != nil {
		tb.Fatal(err)
	}
	c := gmailsvc.Config{HTTPClient: google.Client(), Observer: func(c gmailsvc.Call) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.calls = append(r.calls, c)
	}}
	if change != nil {
		change(&c)
	}
	creds := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token})
	r.svc, err = gmailsvc.New(c).BuildService(tb.Context(), creds, append(opts, gmailsvc.ForUser(ada))...)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// fillMailbox delivers n messages, each in a thread of its own.
func (r *reader) fillMailbox(t *testing.T, n int) *reader {
	t.Helper()
	for _, id := range r.deliver(t, n) {
		thread, err := r.box.ThreadID(id)
		if err != nil {
			t.Fatal(err)
		}
		r.refs = append(r.refs, gmailsvc.MessageRef{ID: id, ThreadID: thread})
	}
	return r
}

// fetch reads all that refs name: messages, and errors by message.
func (r *reader) fetch(ctx context.Context, opts ...gmailsvc.FetchOption) (got []string, failed map[string]error, end error) {
	return collect(r.svc.FetchMessages(ctx, gmailsvc.Refs(r.refs...), opts...))
}

func collect(messages iter.Seq2[*gmailsvc.Message, error]) (got []string, failed map[string]error, end error) {
	failed = make(map[string]error)
	for m, err := range messages {
		if one, ok := errors.AsType[*gmailsvc.FetchError](err); ok && end == nil {
			failed[one.ID] = err
			got = append(got, one.ID)
			continue
		}
		if err != nil || end != nil {
			end = errors.Join(end, err)
			continue
		}
		got = append(got, m.ID)
	}
	return got, failed, end
}

func idsOf(refs []gmailsvc.MessageRef) (ids []string) {
	for _, ref := range refs {
		ids = append(ids, ref.ID)
	}
	return ids
}

func (r *reader) wantAll(t *testing.T, got []string, failed map[string]error, end error, failures int) {
	t.Helper()
	if end != nil || len(failed) != failures || !slices.Equal(got, idsOf(r.refs)) {
		t.Errorf("%d of %d in order: %v; %d errors %v, end %v; want all in order and %d errors",
			len(got), len(r.refs), slices.Equal(got, idsOf(r.refs)), len(failed), failed, end, failures)
	}
}

func TestMessagesComeInTheOrderOfTheirRefs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		google         gmailtest.Config
		batches        int
		batched, alone int // calls in flight at most
	}{
		"in batches":                        {gmailtest.Config{}, 6, 25, 1},
		"in batches answered back to front": {gmailtest.Config{ReverseBatches: true}, 6, 25, 1},
		"one by one where there are none":   {gmailtest.Config{NoBatch: true}, 1, 25, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newReader(t, c.google, nil).fillMailbox(t, 130)
				r.google.Inject(gmailtest.Fault{Op: opGet, Delay: 50 * time.Millisecond})
				for _, refs := range []iter.Seq2[gmailsvc.MessageRef, error]{
					gmailsvc.Refs(r.refs...), r.svc.ListMessages(t.Context(), gmailsvc.Query{PageSize: 40}),
				} {
					got, failed, end := collect(r.svc.FetchMessages(t.Context(), refs))
					r.wantAll(t, got, failed, end, 0)
				}
				u := r.google.Usage(ada)
				if n := r.google.Count("batch"); n > 2*c.batches+2 || u.MostInBatches > c.batched || u.MostInFlight > c.alone {
					t.Errorf("%d batches, %d calls in batches and %d alone at once; want about %d, and no more than %d and %d",
						n, u.MostInBatches, u.MostInFlight, 2*c.batches, c.batched, c.alone)
				}
				if n := r.google.Count(opGet); n != 2*130 {
					t.Errorf("%d gets, want each message once", n)
				}
			})
		})
	}
}

func TestADeletedMessageIsNotTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, gmailtest.Config{}, nil).fillMailbox(t, 60)
		gone := r.refs[30]
		if err := r.box.Delete(gone.ID); err != nil {
			t.Fatal(err)
		}
		got, failed, end := r.fetch(t.Context())
		r.wantAll(t, got, failed, end, 1)
		one, _ := errors.AsType[*gmailsvc.FetchError](failed[gone.ID])
		missing, ok := errors.AsType[*gmailsvc.NotFoundError](failed[gone.ID])
		if !ok || missing.Method != opGet || one.ThreadID != gone.ThreadID || !strings.Contains(one.Error(), gone.ID) {
			t.Errorf("got %v, want *NotFoundError in *FetchError", failed[gone.ID])
		}
	})
}

func TestADamagedMessageComesBesideItsError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, gmailtest.Config{}, nil).fillMailbox(t, 3)
		r.google.Inject(gmailtest.Fault{
			Op: opGet, Match: func(q *http.Request) bool { return strings.Contains(q.URL.Path, r.refs[1].ID) },
			Body: fmt.Sprintf(`{"id":%q,"snippet":"Hello","payload":{"mimeType":"text/plain","body":{"data":"SGVs*bG8"}}}`, r.refs[1].ID),
		})
		i := 0
		for m, err := range r.svc.FetchMessages(t.Context(), gmailsvc.Refs(r.refs...)) {
			if m == nil || m.ID != r.refs[i].ID || (err != nil) != (i == 1) {
				t.Errorf("message %d is %v, %v", i, m, err)
			}
			if i == 1 && (!errors.As(err, new(*gmailsvc.MessageError)) || !errors.As(err, new(*gmailsvc.FetchError)) || m.Snippet != "Hello") {
				t.Errorf("got %v beside it, want *MessageError in *FetchError", err)
			}
			i++
		}
		if i != 3 {
			t.Errorf("%d messages, want 3", i)
		}
	})
}

func TestAnErrorOfAllMessagesIsTheEnd(t *testing.T) {
	t.Parallel()
	mark := errors.New("a mark")
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	refuse := func(status int, body string) func(*reader) {
		return func(r *reader) { r.google.Inject(gmailtest.Fault{Op: opGet, Status: status, Body: body}) }
	}
	for name, c := range map[string]struct {
		spoil func(*reader)
		refs  iter.Seq2[gmailsvc.MessageRef, error]
		want  func(error) bool
	}{
		"of the listing": {refs: func(yield func(gmailsvc.MessageRef, error) bool) {
			_ = yield(gmailsvc.MessageRef{}, mark)
		}, want: is(mark)},
		"a scope that is missing": {spoil: refuse(403, bodyScope), want: func(err error) bool {
			return errors.As(err, new(*gmailsvc.InsufficientScopeError))
		}},
		"the limit of the day": {spoil: refuse(403, bodyDaily), want: func(err error) bool {
			return errors.As(err, new(*gmailsvc.RateLimitError))
		}},
		"a token that can't be replaced": {spoil: refuse(401, `{}`), want: func(err error) bool {
			e, ok := errors.AsType[*googleapi.Error](err)
			return ok && e.Code == 401
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newReader(t, gmailtest.Config{}, nil).fillMailbox(t, 60)
				if c.spoil != nil {
					c.spoil(r)
				}
				refs := c.refs
				if refs == nil {
					refs = gmailsvc.Refs(r.refs...)
				}
				got, failed, end := collect(r.svc.FetchMessages(t.Context(), refs))
				if len(got) != 0 || len(failed) != 0 || !c.want(end) {
					t.Errorf("%d messages, %d errors, and %v at the end", len(got), len(failed), end)
				}
			})
		})
	}
}

func TestAListingThatFailsComesAfterWhatItHadListed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, gmailtest.Config{}, nil).fillMailbox(t, 60)
		mark := errors.New("a mark")
		got, failed, end := collect(r.svc.FetchMessages(t.Context(), func(yield func(gmailsvc.MessageRef, error) bool) {
			for _, ref := range r.refs {
				if !yield(ref, nil) {
					return
				}
			}
			_ = yield(gmailsvc.MessageRef{}, mark)
		}))
		if !errors.Is(end, mark) || len(failed) != 0 || !slices.Equal(got, idsOf(r.refs)) {
			t.Errorf("%d messages, %v and %v; want all, and then the error of the listing", len(got), failed, end)
		}
	})
}

func TestTheEndOfTheContextIsTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, gmailtest.Config{}, nil).fillMailbox(t, 100)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last error
		n := 0
		for _, err := range r.svc.FetchMessages(ctx, r.svc.ListMessages(ctx, gmailsvc.Query{})) {
			if last = err; n == 10 {
				cancel()
			}
			n++
		}
		if !errors.Is(last, context.Canceled) || n != 12 {
			t.Errorf("%d turns, the last with %v; want 11 messages and context.Canceled", n, last)
		}
	})
}

func TestAnEndedGrantIsTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deliver(t, 60)
		svc := w.service(t, w.consent(t), nil)
		var last error
		n := 0
		for _, err := range svc.FetchMessages(t.Context(), svc.ListMessages(t.Context(), gmailsvc.Query{})) {
			if last = err; n == 0 {
				w.google.Revoke(ada)
			}
			n++
		}
		if !errors.As(last, new(*authflow.ReauthorizationRequiredError)) || n > 51 {
			t.Errorf("%d turns, the last with %v; want *ReauthorizationRequiredError", n, last)
		}
	})
}

func TestABrokenLoopEndsEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // which fails when a goroutine is left
		r := newReader(t, gmailtest.Config{}, nil).fillMailbox(t, 200)
		r.google.Inject(gmailtest.Fault{Op: opGet, Delay: time.Second})
		r.google.Inject(gmailtest.Fault{Op: opList, Delay: time.Second})
		began := time.Now()
		for _, err := range r.svc.FetchMessages(t.Context(), r.svc.ListMessages(t.Context(), gmailsvc.Query{PageSize: 30})) {
			if err != nil {
				t.Error(err)
			}
			break
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("the loop ended after %v, want no longer than a page more", took)
		}
		before := r.google.Count("gmail.*")
		time.Sleep(time.Hour)
		if after := r.google.Count("gmail.*"); after != before {
			t.Errorf("%d calls after the loop's end", after-before)
		}
	})
}

func TestASlowLoopStopsTheFetching(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, gmailtest.Config{}, nil).fillMailbox(t, 300)
		n := 0
		for _, err := range r.svc.FetchMessages(t.Context(), r.svc.ListMessages(t.Context(), gmailsvc.Query{PageSize: 10})) {
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			n++
			if got := r.google.Count(opGet); got > n+75 {
				t.Fatalf("%d messages were fetched when %d had been read", got, n)
			}
			if listed := 10 * r.google.Count(opList); n == 1 && listed > 300 {
				t.Errorf("%d messages were listed when one had been read", listed)
			}
		}
		if n != 300 {
			t.Errorf("read %d, want 300", n)
		}
	})
}

func TestRefsThatComeSlowlyAreNotHeldBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, gmailtest.Config{}, nil).fillMailbox(t, 5)
		slowly := func(yield func(gmailsvc.MessageRef, error) bool) {
			for _, ref := range r.refs {
				time.Sleep(time.Minute)
				if !yield(ref, nil) {
					return
				}
			}
		}
		began, n := time.Now(), 0
		for _, err := range r.svc.FetchMessages(t.Context(), slowly) {
			if n++; err != nil {
				t.Fatal(err)
			}
			if late := time.Since(began) - time.Duration(n)*time.Minute; late > 100*time.Millisecond {
				t.Errorf("message %d came %v after its ref", n, late)
			}
		}
		if n != 5 {
			t.Errorf("read %d, want 5", n)
		}
	})
}

func TestAPanicOfTheRefsReachesTheLoop(t *testing.T) {
	t.Parallel()
	r := newReader(t, gmailtest.Config{}, nil)
	defer func() {
		if v := recover(); v != "a mark" {
			t.Errorf("recovered %v, want what the refs panicked with", v)
		}
	}()
	_, _, end := collect(r.svc.FetchMessages(t.Context(), func(func(gmailsvc.MessageRef, error) bool) { panic("a mark") }))
	t.Errorf("the loop ended with %v", end)
}
