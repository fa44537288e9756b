package gmailtest_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestAServerSpeaksTheProtocolThatItWasToldTo(t *testing.T) {
	t.Parallel()
	for name, s := range reached(t, gmailtest.Config{}) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.AddUser(gmailtest.User{Email: ada})
			token, _, err := s.Grant(ada, readonlyScope)
			must(t, err)
			acc := account{Server: s, token: token}
			secured := strings.Contains(name, "TLS")
			proto := map[bool]string{true: "HTTP/2.0", false: "HTTP/1.1"}[name == "HTTP/2 over TLS"]
			res, err := s.Client().Do(acc.request(t, http.MethodGet, "me/profile", ""))
			must(t, err)
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil || !strings.Contains(string(body), ada) || res.Proto != proto || secured != (res.TLS != nil) {
				t.Errorf("answer = %s %s %q, %v; want %s", res.Proto, res.Status, body, err, proto)
			}
			if s.URL != "" && strings.HasPrefix(s.URL, "https://") != secured || (s.Certificate() != nil) != secured {
				t.Errorf("the server is at %q with the certificate %v", s.URL, s.Certificate())
			}
		})
	}
}

func TestOnlyWhoTrustsTheCertificateIsServed(t *testing.T) {
	t.Parallel()
	s := start(t, gmailtest.Config{TLS: true})
	trusted := x509.NewCertPool()
	trusted.AddCert(s.Certificate())
	for name, tc := range map[string]struct {
		roots *x509.CertPool
		works bool
	}{"it is trusted": {trusted, true}, "it is not": {x509.NewCertPool(), false}} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: tc.roots, MinVersion: tls.VersionTLS12}}}
		for _, host := range []string{"127.0.0.1", "localhost"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(s.JWKSURL(), "127.0.0.1", host, 1), nil)
			must(t, err)
			res, err := client.Do(req)
			if (err == nil) != tc.works {
				t.Errorf("where %s, a request to %s ends with %v", name, host, err)
			}
			if err == nil {
				_ = res.Body.Close()
			}
		}
		client.CloseIdleConnections()
	}
}

func TestConnectionsAreCounted(t *testing.T) {
	t.Parallel()
	const atOnce = 20
	for name, s := range reached(t, gmailtest.Config{}) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Over HTTP/1.1 the first connection may not be free again before the others are asked for.
			least, most := atOnce, atOnce+1
			switch name {
			case "in process":
				least, most = 0, 0
			case "HTTP/2 over TLS":
				least, most = 1, 1
			}
			ask := func() {
				res, err := s.Client().Do(postRequest(t, s.TokenURL(), nil))
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
			ask()
			// All are in flight before one is answered.
			var arrived sync.WaitGroup
			arrived.Add(atOnce)
			remove := s.Inject(gmailtest.Fault{Op: "token.*", Match: func(*http.Request) bool {
				arrived.Done()
				arrived.Wait()
				return false
			}})
			var wg sync.WaitGroup
			for range atOnce {
				wg.Go(ask)
			}
			wg.Wait()
			remove()
			ask()
			if got := s.Connections(); got < least || got > most {
				t.Errorf("%d requests at once took %d connections, want %d to %d", atOnce, got, least, most)
			}
		})
	}
}

func TestConnectionsBreakAsTold(t *testing.T) {
	t.Parallel()
	for name, s := range reached(t, gmailtest.Config{}) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := s.AddUser(gmailtest.User{Email: ada})
			token, _, err := s.Grant(ada, modifyScope)
			must(t, err)
			acc := account{s, box, token}
			id := acc.deliver(t, raw(strings.Repeat("x", 2000), "Subject: S"))
			streamError := "stream error"
			if name != "HTTP/2 over TLS" {
				streamError = ""
			}
			for what, tc := range map[string]struct {
				fault gmailtest.Fault
				want  error // with HTTP/2 it is the stream's
				takes bool  // effect
			}{
				"in good order":               {gmailtest.Fault{Drop: true}, io.EOF, false},
				"in good order, after":        {gmailtest.Fault{DropAfter: true}, io.EOF, true},
				"by a reset":                  {gmailtest.Fault{Drop: true, Reset: true}, syscall.ECONNRESET, false},
				"by a reset, after":           {gmailtest.Fault{DropAfter: true, Reset: true}, syscall.ECONNRESET, true},
				"within the answer":           {gmailtest.Fault{CutAfter: 10}, io.ErrUnexpectedEOF, true},
				"before the answer's last":    {gmailtest.Fault{CutAfter: 1 << 20}, io.ErrUnexpectedEOF, true},
				"within an answer that waits": {gmailtest.Fault{CutAfter: 10, Delay: 1}, io.ErrUnexpectedEOF, true},
			} {
				must(t, box.SetLabels(id, "INBOX"))
				tc.fault.Op, tc.fault.Times = "gmail.users.messages.modify", 1
				s.Inject(tc.fault)
				err := func() error {
					res, err := s.Client().Do(acc.request(t, http.MethodPost, "me/messages/"+id+"/modify", `{"addLabelIds":["STARRED"]}`))
					if err != nil {
						return err
					}
					defer res.Body.Close()
					body, err := io.ReadAll(res.Body)
					if len(body) == 0 || int64(len(body)) >= res.ContentLength || res.StatusCode != 200 ||
						tc.fault.CutAfter == 10 && len(body) != 10 || tc.fault.CutAfter > 10 && int64(len(body)) != res.ContentLength-1 {
						t.Errorf("%s: %d bytes of %d came under %s", what, len(body), res.ContentLength, res.Status)
					}
					return err
				}()
				if err == nil || streamError == "" && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), streamError) {
					t.Errorf("%s it broke with %v, want %v", what, err, tc.want)
				}
				if labels, err := box.Labels(id); err != nil || tc.takes != (fmt.Sprint(labels) == "[INBOX STARRED]") {
					t.Errorf("%s: the labels are %v, %v; took effect: want %t", what, labels, err, tc.takes)
				}
				if a := acc.get(t, "me/profile"); a.status != 200 {
					t.Errorf("%s: the next request answers %s", what, a.raw)
				}
			}
		})
	}
}

func TestAPackedAnswerBreaksToo(t *testing.T) {
	t.Parallel()
	for name, s := range reached(t, gmailtest.Config{}) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.AddUser(gmailtest.User{Email: ada})
			token, _, err := s.Grant(ada, readonlyScope)
			must(t, err)
			acc := account{Server: s, token: token}
			for _, after := range []int{1, 20, 1 << 20} { // in the header of gzip, in the text, in the checksum
				s.Inject(gmailtest.Fault{Op: "gmail.*", Times: 1, CutAfter: after})
				req := acc.request(t, http.MethodGet, "me/profile", "")
				req.Header.Set("User-Agent", "test (gzip)")
				res, err := s.Client().Do(req)
				must(t, err)
				body, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err == nil || !res.Uncompressed {
					t.Errorf("cut after %d bytes it reads %q", after, body)
				}
			}
		})
	}
}
