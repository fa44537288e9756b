package gmailsvc_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"runtime"
	"runtime/metrics"
	"syscall"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/sync/errgroup"
	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/option"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// generated is the Gmail service that the official client makes.
func (g *leanGoogle) generated(b *testing.B, kb int, latency time.Duration) *gmail.Service {
	b.Helper()
	t := &oauth2.Transport{
		Base:   g.transport(b),
		Source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "ya29.lean"}),
	}
	svc, err := gmail.NewService(b.Context(), option.WithHTTPClient(&http.Client{Transport: t}),
		option.WithEndpoint(g.endpoint(kb, latency)))
	if err != nil {
		b.Fatal(err)
	}
	svc.UserAgent = "(gzip)"
	return svc
}

// getAll gets messages as an application does with the generated client, and decodes their bodies.
func getAll(ctx context.Context, svc *gmail.Service, ids []string, atOnce int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, id := range ids {
		g.Go(func() error {
			m, err := svc.Users.Messages.Get("me", id).Format("full").Context(ctx).Do()
			if err != nil {
				return err
			}
			return decodeBodies(m.Payload)
		})
	}
	return g.Wait()
}

func decodeBodies(p *gmail.MessagePart) error {
	if p.Body != nil {
		if _, err := base64.URLEncoding.DecodeString(p.Body.Data); err != nil {
			return err
		}
	}
	for _, child := range p.Parts {
		if err := decodeBodies(child); err != nil {
			return err
		}
	}
	return nil
}

func fetchAll(ctx context.Context, svc *gmailsvc.Service, ids []string) error {
	refs := make([]gmailsvc.MessageRef, len(ids))
	for i, id := range ids {
		refs[i] = gmailsvc.MessageRef{ID: id, ThreadID: id}
	}
	got := 0
	for m, err := range svc.FetchMessages(ctx, gmailsvc.Refs(refs...)) {
		if err != nil {
			return err
		}
		if len(m.Text()) == 0 {
			return fmt.Errorf("message %d has no text", got)
		}
		got++
	}
	if got != len(ids) {
		return fmt.Errorf("got %d messages of %d", got, len(ids))
	}
	return nil
}

func leanIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = leanID(i)
	}
	return ids
}

// BenchmarkFetchCPU is what a message costs its client: of CPU, and of allocations.
func BenchmarkFetchCPU(b *testing.B) {
	google := startLean(b)
	ids := leanIDs(500)
	for _, kb := range leanSizes {
		svc, peer := google.service(b, kb, 0), google.generated(b, kb, 0)
		for _, of := range []struct {
			by    string
			fetch func() error
		}{
			{"peer", func() error { return getAll(b.Context(), peer, ids, 10) }},
			{"mailgrant", func() error { return fetchAll(b.Context(), svc, ids) }},
		} {
			b.Run(fmt.Sprintf("message=%dKB/by=%s", kb, of.by), func(b *testing.B) {
				perMessage(b, len(ids), of.fetch)
			})
		}
	}
}

// perMessage reports CPU time, allocations and memory per message instead of per call of f.
func perMessage(b *testing.B, messages int, f func() error) {
	b.Helper()
	if err := f(); err != nil { // connects, and fills pools
		b.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := cpuTime(b)
	for b.Loop() {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
	spent := cpuTime(b) - began
	runtime.ReadMemStats(&after)
	n := float64(b.N * messages)
	b.ReportMetric(float64(spent)/n, "cpu-ns/message")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/n, "allocs/message")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/n, "B/message")
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFetchLatency lists and reads 2,000 messages of 4 KB from a server that takes 50 ms for each request and has no quota. The
// guide's loop is measured on the first 100: it takes as long for each of the others.
func BenchmarkFetchLatency(b *testing.B) {
	const latency, messages = 50 * time.Millisecond, 2000
	google := startLean(b)
	svc, peer := google.service(b, 4, latency), google.generated(b, 4, latency)
	fetch := func() error { return fetchListed(b.Context(), svc, messages) }
	for _, of := range []struct {
		name  string
		reads int
		read  func() error
	}{
		{"peer=loop/by=peer", 100, func() error { return getListed(b.Context(), peer, 100, 1) }},
		{"peer=loop/by=mailgrant", messages, fetch},
		{"peer=errgroup100/by=peer", messages, func() error { return getListed(b.Context(), peer, messages, 100) }},
		{"peer=errgroup100/by=mailgrant", messages, fetch},
	} {
		b.Run(of.name, func(b *testing.B) {
			for b.Loop() {
				if err := of.read(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N*of.reads), "ns/message")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// getListed lists messages page by page and gets them, as getAll does.
func getListed(ctx context.Context, svc *gmail.Service, n, atOnce int) error {
	var ids []string
	for page := ""; len(ids) < n; {
		res, err := svc.Users.Messages.List("me").MaxResults(500).PageToken(page).Context(ctx).Do()
		if err != nil {
			return err
		}
		for _, m := range res.Messages {
			ids = append(ids, m.Id)
		}
		page = res.NextPageToken
	}
	return getAll(ctx, svc, ids[:n], atOnce)
}

func fetchListed(ctx context.Context, svc *gmailsvc.Service, n int) error {
	got := 0
	for _, err := range svc.FetchMessages(ctx, svc.ListMessages(ctx, gmailsvc.Query{Limit: n})) {
		if err != nil {
			return err
		}
		got++
	}
	if got != n {
		return fmt.Errorf("got %d messages of %d", got, n)
	}
	return nil
}

// BenchmarkFetchMemory is the most that the heap holds while messages are read: ten times as many should not take more.
func BenchmarkFetchMemory(b *testing.B) {
	google := startLean(b)
	svc, err := gmailsvc.New(gmailsvc.Config{
		Endpoint: google.endpoint(4, 0), HTTPClient: &http.Client{Transport: google.transport(b)},
	}).BuildService(b.Context(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "ya29.lean"}))
	if err != nil {
		b.Fatal(err)
	}
	for _, messages := range []int{2000, leanMessages} {
		b.Run(fmt.Sprintf("messages=%d/by=mailgrant", messages), func(b *testing.B) {
			most := uint64(0)
			for b.Loop() {
				runtime.GC()
				got := 0
				for _, err := range svc.FetchMessages(b.Context(), svc.ListMessages(b.Context(), gmailsvc.Query{Limit: messages})) {
					if err != nil {
						b.Fatal(err)
					}
					if got++; got%50 == 0 {
						most = max(most, heapInUse())
					}
				}
			}
			b.ReportMetric(float64(most), "B-peak")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkThreadUnits is what a mailbox costs of the quota whose threads are of geometric length, three messages on average.
func BenchmarkThreadUnits(b *testing.B) {
	r := newReader(b, gmailtest.Config{}, nil).fillThreads(b, geometricThreads(200)...)
	for _, of := range []struct {
		by   string
		opts []gmailsvc.FetchOption
	}{{"peer", []gmailsvc.FetchOption{gmailsvc.WithoutThreads()}}, {"mailgrant", nil}} {
		b.Run("by="+of.by, func(b *testing.B) {
			before := r.google.Usage(ada).Units
			for b.Loop() {
				if _, failed, end := r.fetch(b.Context(), of.opts...); end != nil || len(failed) > 0 {
					b.Fatal(failed, end)
				}
			}
			b.ReportMetric(float64(r.google.Usage(ada).Units-before)/float64(b.N*len(r.refs)), "units/message")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// heapInUse returns the bytes of objects on the heap, those that are garbage already included.
func heapInUse() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
