package gmailsvc_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestFormatsBringWhatTheySay(t *testing.T) {
	t.Parallel()
	type has struct {
		subject, from, text bool
		query               string // what the request says
	}
	for name, c := range map[string]struct {
		opts []gmailsvc.FetchOption
		want has
	}{
		"full":            {nil, has{true, true, true, "format=full"}},
		"metadata":        {[]gmailsvc.FetchOption{gmailsvc.InFormat(gmailsvc.FormatMetadata)}, has{true, true, false, "payload%28mimeType%2Cheaders%29"}},
		"just one header": {[]gmailsvc.FetchOption{gmailsvc.HeadersOnly("Subject")}, has{true, false, false, "metadataHeaders=Subject"}},
		"minimal":         {[]gmailsvc.FetchOption{gmailsvc.InFormat(gmailsvc.FormatMinimal)}, has{false, false, false, "format=minimal"}},
		"raw":             {[]gmailsvc.FetchOption{gmailsvc.InFormat(gmailsvc.FormatRaw)}, has{true, true, true, "format=raw"}},
		"the last option": {[]gmailsvc.FetchOption{gmailsvc.HeadersOnly("To"), gmailsvc.InFormat(gmailsvc.FormatFull)}, has{true, true, true, "format=full"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newReader(t, gmailtest.Config{}, nil).fillMailbox(t, 3)
				var mu sync.Mutex
				var queries []string
				r.google.Inject(gmailtest.Fault{Op: opGet, Match: func(q *http.Request) bool {
					mu.Lock()
					defer mu.Unlock()
					queries = append(queries, q.URL.RawQuery)
					return false
				}})
				n := 0
				for m, err := range r.svc.FetchMessages(t.Context(), gmailsvc.Refs(r.refs...), c.opts...) {
					if err != nil {
						t.Fatal(err)
					}
					got := has{m.Header().Get("Subject") != "", m.Header().Get("From") != "", m.Text() != "", c.want.query}
					if got != c.want || m.ID != r.refs[n].ID || m.HistoryID == 0 || len(m.LabelIDs) == 0 || m.InternalDate.IsZero() {
						t.Errorf("got %+v of %+v, want %+v", got, m, c.want)
					}
					n++
				}
				if n != 3 || !strings.Contains(strings.Join(queries, " "), c.want.query) {
					t.Errorf("%d messages by %q, want 3 by %q", n, queries, c.want.query)
				}
			})
		})
	}
}

func TestWhatCannotBeFetchedIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, gmailtest.Config{}, nil).fillMailbox(t, 2)
		_, failed, end := r.fetch(t.Context(), gmailsvc.InFormat("whole"))
		if end == nil || !strings.Contains(end.Error(), "whole") || len(failed) > 0 {
			t.Errorf("a format that there is not: %v, %v", failed, end)
		}
		for thread, err := range r.svc.FetchThreads(t.Context(), gmailsvc.IDs("t"), gmailsvc.InFormat(gmailsvc.FormatRaw)) {
			if thread != nil || err == nil || errors.As(err, new(*gmailsvc.FetchError)) {
				t.Errorf("raw threads: %v, %v", thread, err)
			}
		}
		if n := r.google.Count("gmail.*"); n != 0 {
			t.Errorf("%d calls were made", n)
		}
		r.refs = []gmailsvc.MessageRef{{ID: ""}, r.refs[0], {ID: ".."}, {ID: "a/../b?x"}, r.refs[1]}
		got, failed, end := r.fetch(t.Context())
		if len(got) != 5 || len(failed) != 3 || end != nil {
			t.Errorf("IDs that are none: %v, %v, %v; want three errors between two messages", got, failed, end)
		}
	})
}
