package gmailsvc_test

import (
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/oauth2"
	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/option"

	"github.com/mailgrant/mailgrant/gmailsvc"
)

// BenchmarkManyUsers has 500 users make one call each over TLS, 10 at once, each through a service of its own.
func BenchmarkManyUsers(b *testing.B) {
	const users, atOnce = 500, 10
	google := startLean(b)
	for _, of := range []struct {
		by    string
		setUp func() (call func() error, tearDown func())
	}{
		{"peer", func() (func() error, func()) { return peerUsers(b, google) }},
		{"mailgrant", func() (func() error, func()) {
			transport := google.transport(b)
			builder := gmailsvc.New(gmailsvc.Config{Endpoint: google.endpoint(4, 0), HTTPClient: &http.Client{Transport: transport}})
			return func() error {
				svc, err := builder.BuildService(b.Context(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "ya29.lean"}))
				if err != nil {
					return err
				}
				_, err = svc.Users.GetProfile("me").Context(b.Context()).Do()
				return err
			}, transport.CloseIdleConnections
		}},
	} {
		b.Run("by="+of.by, func(b *testing.B) {
			before := google.dials.Load()
			for b.Loop() {
				b.StopTimer()
				call, tearDown := of.setUp()
				b.StartTimer()
				var group sync.WaitGroup
				room := make(chan struct{}, atOnce)
				for range users {
					room <- struct{}{}
					group.Go(func() {
						if err := call(); err != nil {
							b.Error(err)
						}
						<-room
					})
				}
				group.Wait()
				b.StopTimer()
				tearDown()
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N*users)/b.Elapsed().Seconds(), "users/s")
			b.ReportMetric(float64(google.dials.Load()-before)/float64(b.N), "connections")
		})
	}
}

// peerUsers has the official client make a service for each user, as its documents say. It clones http.DefaultTransport for each.
func peerUsers(b *testing.B, google *leanGoogle) (call func() error, tearDown func()) {
	b.Helper()
	standard := http.DefaultTransport
	http.DefaultTransport = google.transport(b)
	return func() error {
		svc, err := gmail.NewService(b.Context(), option.WithEndpoint(google.endpoint(4, 0)),
			option.WithTokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "ya29.lean"})))
		if err != nil {
			return err
		}
		_, err = svc.Users.GetProfile("me").Context(b.Context()).Do()
		return err
	}, func() { http.DefaultTransport = standard }
}

// BenchmarkIdleService is the memory of the service of a user who does nothing at the moment.
func BenchmarkIdleService(b *testing.B) {
	const users = 10_000
	builder := gmailsvc.New(gmailsvc.Config{})
	creds := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "ya29.lean"})
	for _, of := range []struct {
		by    string
		build func() (any, error)
	}{
		{"peer", func() (any, error) { return gmail.NewService(b.Context(), option.WithTokenSource(creds)) }},
		{"mailgrant", func() (any, error) { return builder.BuildService(b.Context(), creds) }},
	} {
		b.Run(fmt.Sprintf("by=%s", of.by), func(b *testing.B) {
			for b.Loop() {
				services := make([]any, users)
				before := liveBytes()
				for i := range services {
					svc, err := of.build()
					if err != nil {
						b.Fatal(err)
					}
					services[i] = svc
				}
				b.ReportMetric(float64(liveBytes()-before)/users, "B/user")
				runtime.KeepAlive(services)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// liveBytes returns the bytes of live objects.
func liveBytes() uint64 {
	runtime.GC()
	runtime.GC() // what the first one's finalizers and pools let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
