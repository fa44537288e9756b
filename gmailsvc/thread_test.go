package gmailsvc_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// fillThreads delivers threads with so many messages each, in turns, so that no thread lies together.
func (r *reader) fillThreads(tb testing.TB, sizes ...int) *reader {
	tb.Helper()
	heads := make([]string, len(sizes))
	for round := range slices.Max(sizes) {
		for i, size := range sizes {
			if round >= size {
				continue
			}
			var opts []gmailtest.DeliverOption
			if heads[i] != "" {
				opts = append(opts, gmailtest.InThread(heads[i]))
			}
			raw := fmt.Sprintf("From: g@example.com\r\nSubject: thread %d\r\nDate: Mon, 02 Nov 2026 %02d:%02d:00 +0000\r\n\r\nHello %d.\r\n", i, round, i%60, round)
			id, err := r.box.Deliver([]byte(raw), opts...)
			if err != nil {
				tb.Fatal(err)
			}
			if heads[i], err = r.box.ThreadID(id); err != nil {
				tb.Fatal(err)
			}
		}
	}
	for _, id := range r.box.MessageIDs() {
		thread, err := r.box.ThreadID(id)
		if err != nil {
			tb.Fatal(err)
		}
		r.refs = append(r.refs, gmailsvc.MessageRef{ID: id, ThreadID: thread})
	}
	return r
}

func TestMessagesOfOneThreadComeByOneCall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prices        quota.Prices
		opts          []gmailsvc.FetchOption
		threads, gets int
	}{
		"where that is no dearer":     {nil, nil, 3, 2},
		"not where it is":             {quota.Prices{"gmail.users.messages.get": 1, "gmail.users.threads.get": 4}, nil, 1, 7},
		"not where that is forbidden": {nil, []gmailsvc.FetchOption{gmailsvc.WithoutThreads()}, 0, 12},
		"not in the format raw":       {nil, []gmailsvc.FetchOption{gmailsvc.InFormat(gmailsvc.FormatRaw)}, 0, 12},
		"in the format metadata":      {nil, []gmailsvc.FetchOption{gmailsvc.HeadersOnly("Subject")}, 3, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newReader(t, gmailtest.Config{}, func(cfg *gmailsvc.Config) { cfg.Prices = c.prices }).fillThreads(t, 5, 1, 2, 3, 1)
				got, failed, end := r.fetch(t.Context(), c.opts...)
				r.wantAll(t, got, failed, end, 0)
				if threads, gets := r.google.Count(opThread), r.google.Count(opGet); threads != c.threads || gets != c.gets {
					t.Errorf("%d threads and %d messages were got, want %d and %d", threads, gets, c.threads, c.gets)
				}
			})
		})
	}
}

func TestOnlyWantedMessagesOfAThreadAreDelivered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, gmailtest.Config{}, nil).fillThreads(t, 6, 6)
		r.refs = []gmailsvc.MessageRef{r.refs[9], r.refs[0], r.refs[1], r.refs[9], r.refs[3]}
		got, failed, end := r.fetch(t.Context())
		r.wantAll(t, got, failed, end, 0)
		if n := r.google.Count(opThread); n != 1 {
			t.Errorf("%d threads were got, want the one of four of them", n)
		}
	})
}

func TestMessagesThatTheirThreadLacksAreAskedForAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, gmailtest.Config{}, nil).fillThreads(t, 4, 4)
		gone := r.refs[2].ID
		if err := r.box.Delete(gone); err != nil {
			t.Fatal(err)
		}
		stray := r.refs[3]
		r.refs[3].ThreadID = r.refs[2].ThreadID // where it is not
		if stray.ThreadID == r.refs[3].ThreadID {
			t.Fatal("the stray is in its own thread")
		}
		got, failed, end := r.fetch(t.Context())
		r.wantAll(t, got, failed, end, 1)
		if !errors.As(failed[gone], new(*gmailsvc.NotFoundError)) || r.google.Count(opGet) != 2 {
			t.Errorf("%v after %d gets, want *NotFoundError, and both asked for", failed, r.google.Count(opGet))
		}
	})
}

func TestMessagesOfADeletedThreadAreNotFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, gmailtest.Config{}, nil).fillThreads(t, 3, 2)
		gone := r.refs[0].ThreadID
		failures := 0
		for _, ref := range r.refs {
			if ref.ThreadID == gone {
				failures++
				if err := r.box.Delete(ref.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		got, failed, end := r.fetch(t.Context())
		r.wantAll(t, got, failed, end, failures)
		for id, err := range failed {
			if !errors.As(err, new(*gmailsvc.NotFoundError)) {
				t.Errorf("%s: %v, want *NotFoundError", id, err)
			}
		}
	})
}

func TestThreadsComeInOrderWithTheirMessages(t *testing.T) {
	t.Parallel()
	for name, google := range map[string]gmailtest.Config{"in batches": {}, "one by one": {NoBatch: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newReader(t, google, nil).fillThreads(t, 3, 1, 2, 4, 1, 1)
				var listed []string
				for id, err := range r.svc.ListThreads(t.Context(), gmailsvc.Query{PageSize: 4}) {
					if err != nil {
						t.Fatal(err)
					}
					listed = append(listed, id)
				}
				if len(listed) != 6 || r.google.Count("gmail.users.threads.list") != 2 {
					t.Fatalf("listed %v in %d pages", listed, r.google.Count("gmail.users.threads.list"))
				}
				n, messages := 0, 0
				for thread, err := range r.svc.FetchThreads(t.Context(), r.svc.ListThreads(t.Context(), gmailsvc.Query{PageSize: 4})) {
					if err != nil {
						t.Fatal(err)
					}
					if thread.ID != listed[n] || thread.HistoryID == 0 || len(thread.Messages) == 0 || thread.Messages[0].Text() == "" ||
						!slices.IsSortedFunc(thread.Messages, func(a, b *gmailsvc.Message) int { return a.InternalDate.Compare(b.InternalDate) }) {
						t.Errorf("thread %d is %+v, want %s with its messages, oldest first", n, thread, listed[n])
					}
					n++
					messages += len(thread.Messages)
				}
				if n != 6 || messages != 12 {
					t.Errorf("%d threads with %d messages, want 6 with 12", n, messages)
				}
			})
		})
	}
}

func TestAThreadFailsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, gmailtest.Config{}, nil).fillThreads(t, 2, 2)
		ids := []string{r.refs[0].ThreadID, "19a0000000000000", "..", r.refs[1].ThreadID}
		r.google.Inject(gmailtest.Fault{
			Op: opThread, Match: func(q *http.Request) bool { return strings.HasSuffix(q.URL.Path, ids[3]) },
			Body: fmt.Sprintf(`{"messages":[{"id":"a"},{"id":"b","payload":{"mimeType":"text/plain","body":{"data":"*"}}}],"id":%q}`, ids[3]),
		})
		n := 0
		for thread, err := range r.svc.FetchThreads(t.Context(), gmailsvc.IDs(ids...)) {
			one, _ := errors.AsType[*gmailsvc.FetchError](err)
			missing, _ := errors.AsType[*gmailsvc.NotFoundError](err)
			damaged, _ := errors.AsType[*gmailsvc.MessageError](err)
			ok := one != nil && one.ThreadID == ids[n] && strings.Contains(one.Error(), "thread")
			switch n {
			case 0:
				ok = err == nil && len(thread.Messages) == 2
			case 1:
				ok = ok && thread == nil && missing != nil && missing.Method == opThread
			case 2:
				ok = ok && thread == nil
			case 3:
				ok = ok && damaged != nil && damaged.MessageID == "b" && thread != nil && len(thread.Messages) == 2
			}
			if !ok {
				t.Errorf("thread %d: %+v, %v", n, thread, err)
			}
			n++
		}
		if n != 4 {
			t.Errorf("%d turns, want 4", n)
		}
	})
}

// A mailbox whose threads are of geometric length, three messages on average, costs three fifths of what it does message by
// message, or less.
func TestThreadsSaveUnits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, gmailtest.Config{}, nil).fillThreads(t, geometricThreads(200)...)
		got, failed, end := collect(r.svc.FetchMessages(t.Context(), r.svc.ListMessages(t.Context(), gmailsvc.Query{})))
		r.wantAll(t, got, failed, end, 0)
		units := r.google.Usage(ada).Units - 5*r.google.Count(opList)
		if share := float64(units) / float64(20*len(r.refs)); share > 0.6 {
			t.Errorf("%d units for %d messages, %.2f of what messages.get costs; want 0.6 at most", units, len(r.refs), share)
		}
	})
}

// geometricThreads returns the lengths of n threads as their distribution with the mean 3 has them, in an order of no meaning.
func geometricThreads(n int) []int {
	sizes := make([]int, 0, n)
	for size, left := 1, float64(n); len(sizes) < n; size++ {
		for range max(1, int(left/3+0.5)) {
			sizes = append(sizes, size)
		}
		left -= left / 3
	}
	sizes = sizes[:n]
	for i := range sizes { // deals them out
		j := i * 37 % n
		sizes[i], sizes[j] = sizes[j], sizes[i]
	}
	return sizes
}
