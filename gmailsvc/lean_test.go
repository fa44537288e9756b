package gmailsvc_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// A leanGoogle answers from memory, over TLS and HTTP/2, in a process of its own: what benchmarks measure is the client. Its first
// path segment is the size of messages in KB, its second the latency of each request.
type leanGoogle struct {
	url   string
	root  *x509.CertPool
	dials atomic.Int64
}

const (
	leanVariable = "MAILGRANT_LEAN_GOOGLE"
	leanMessages = 20_000
	leanBoundary = "batch_0123456789"
	leanVariants = 32 // of messages of a size
)

var leanSizes = []int{4, 75}

func TestMain(m *testing.M) {
	if dir := os.Getenv(leanVariable); dir != "" {
		serveLean(dir)
		return
	}
	os.Exit(m.Run())
}

// startLean starts the process. It ends with the benchmark.
func startLean(b *testing.B) *leanGoogle {
	b.Helper()
	dir := b.TempDir()
	room := newMailroom(b, gmailtest.Config{})
	for _, kb := range leanSizes {
		for i := range leanVariants {
			answer := room.get(b, "messages/"+room.deliver(b, leanMail(kb, i))+"?format=full&prettyPrint=false")
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%d", kb, i)), answer, 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), leanVariable+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	address, certificate, _ := strings.Cut(strings.TrimSpace(line), " ")
	der, err := base64.StdEncoding.DecodeString(certificate)
	if err != nil {
		b.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		b.Fatal(err)
	}
	g := &leanGoogle{url: address, root: x509.NewCertPool()}
	g.root.AddCert(parsed)
	return g
}

// leanMail is a mail of about that size, with the header that mail has after a few hops, a text and an HTML as newsletters have it: prose
// between tags with long styles, of which there are not many. Its JSON packs to about a third.
func leanMail(kb, seed int) string {
	r := rand.New(rand.NewPCG(uint64(kb), uint64(seed)))
	words, tags := make([]string, 2000), make([]string, 12)
	for i := range words {
		for range 2 + r.IntN(7) {
			words[i] += string(rune('a' + int(min(r.ExpFloat64()*6, 25))))
		}
	}
	for i := range tags {
		tags[i] = fmt.Sprintf(`<td align="left" valign="top" style="font-family:Helvetica,Arial,sans-serif;font-size:%dpx;line-height:%d%%;`+
			`color:#%06x;padding:%dpx 0 0 %dpx;mso-line-height-rule:exactly" class="%s">`,
			10+r.IntN(9), 110+r.IntN(50), r.IntN(1<<24), r.IntN(30), r.IntN(30), words[i])
	}
	var raw strings.Builder
	prose := func(size int, html bool) {
		for from := raw.Len(); raw.Len() < from+size; {
			if html {
				raw.WriteString(tags[r.IntN(len(tags))])
			}
			for range 8 {
				raw.WriteString(words[int(min(r.ExpFloat64()*200, 1999))] + " ")
			}
			if html {
				raw.WriteString("</td></tr><tr>")
			}
			raw.WriteString("\r\n")
		}
	}
	for hop := range 3 {
		fmt.Fprintf(&raw, "Received: from mx%d.example.net (mx%d.example.net [192.0.2.%d])\r\n        by mail.example.com with ESMTPS id %x;"+
			"\r\n        Thu, 19 Nov 2026 20:55:0%d +0000\r\n", hop, hop, hop, r.Uint64(), hop)
	}
	fmt.Fprintf(&raw, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=s1;\r\n b=%x%x%x%x\r\n"+
		"From: Grace Hopper <grace@example.net>\r\nTo: Ada Lovelace <ada@example.com>\r\nSubject: Tides %d\r\n"+
		"Date: Thu, 19 Nov 2026 20:55:01 +0000\r\nMessage-ID: <%x@example.net>\r\nIn-Reply-To: <%x@example.com>\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
		r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), seed, r.Uint64(), r.Uint64())
	prose(kb<<10/5, false)
	raw.WriteString("--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n")
	prose(kb<<10-raw.Len(), true)
	raw.WriteString("--b--\r\n")
	return raw.String()
}

// transport returns a transport with connections of its own.
func (g *leanGoogle) transport(b *testing.B) *http.Transport {
	b.Helper()
	t := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: g.root, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			g.dials.Add(1)
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	b.Cleanup(t.CloseIdleConnections)
	return t
}

func (g *leanGoogle) endpoint(kb int, latency time.Duration) string {
	return fmt.Sprintf("%s/%d/%v/", g.url, kb, latency)
}

// service returns a service without limits: five batches of 100 at once.
func (g *leanGoogle) service(b *testing.B, kb int, latency time.Duration) *gmailsvc.Service {
	b.Helper()
	limiter, err := quota.New(quota.Config{PerUser: -1, PerProject: -1, BatchSize: 500})
	if err != nil {
		b.Fatal(err)
	}
	svc, err := gmailsvc.New(gmailsvc.Config{
		Endpoint: g.endpoint(kb, latency), HTTPClient: &http.Client{Transport: g.transport(b)}, Limiter: limiter,
	}).BuildService(b.Context(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "ya29.lean"}), gmailsvc.ForUser("ada"))
	if err != nil {
		b.Fatal(err)
	}
	return svc
}

func leanID(i int) string { return fmt.Sprintf("18c%013x", i) }

// serveLean is the process.
func serveLean(dir string) {
	s := httptest.NewUnstartedServer(newLeanHandler(dir))
	s.EnableHTTP2 = true
	s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 1000}
	s.Config.IdleTimeout = 5 * time.Second // of the peer, which never closes a connection
	s.StartTLS()
	fmt.Println(s.URL, base64.StdEncoding.EncodeToString(s.Certificate().Raw))
	select {}
}

type leanHandler struct {
	plain    map[string][][]byte // messages, by size
	messages map[string][][]byte // packed
	pages    map[string][]byte   // of the listing, by page token
	profile  []byte

	mu      sync.Mutex
	batches map[string][]byte // packed, by size and number of parts
}

func newLeanHandler(dir string) *leanHandler {
	h := &leanHandler{
		plain: make(map[string][][]byte), messages: make(map[string][][]byte), pages: make(map[string][]byte), batches: make(map[string][]byte),
		profile: packed([]byte(`{"emailAddress":"ada@example.com","messagesTotal":20000,"threadsTotal":20000,"historyId":"1"}`)),
	}
	for _, kb := range leanSizes {
		name := strconv.Itoa(kb)
		for i := range leanVariants {
			message, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%s-%d", name, i)))
			if err != nil {
				panic(err)
			}
			h.plain[name] = append(h.plain[name], message)
			h.messages[name] = append(h.messages[name], packed(message))
		}
	}
	for first := 0; first < leanMessages; first += 500 {
		page := []byte(`{"messages":[`)
		for i := first; i < first+500; i++ {
			page = fmt.Appendf(page, `{"id":%q,"threadId":%q},`, leanID(i), leanID(i))
		}
		page[len(page)-1] = ']'
		if next := first + 500; next < leanMessages {
			page = fmt.Appendf(page, `,"nextPageToken":"%d"`, next)
		}
		token := strconv.Itoa(first)
		if first == 0 {
			token = ""
		}
		h.pages[token] = packed(append(page, '}'))
	}
	return h
}

func (h *leanHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	segments := strings.SplitN(r.URL.Path, "/", 4)
	latency, err := time.ParseDuration(segments[2])
	if err != nil {
		panic(err)
	}
	body, _ := io.ReadAll(r.Body)
	if latency > 0 {
		<-time.After(latency)
	}
	w.Header().Set("Content-Encoding", "gzip")
	switch path := segments[3]; path {
	case "batch/gmail/v1":
		w.Header().Set("Content-Type", "multipart/mixed; boundary="+leanBoundary)
		w.Write(h.batch(segments[1], bytes.Count(body, []byte("Content-ID: <"))))
	case "gmail/v1/users/me/profile":
		w.Header().Set("Content-Type", "application/json")
		w.Write(h.profile)
	case "gmail/v1/users/me/messages":
		w.Header().Set("Content-Type", "application/json")
		w.Write(h.pages[r.URL.Query().Get("pageToken")])
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Write(h.messages[segments[1]][path[len(path)-1]%leanVariants])
	}
}

// batch returns the answer to a batch of so many calls, which it makes the first time.
func (h *leanHandler) batch(size string, parts int) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := size + " " + strconv.Itoa(parts)
	if h.batches[name] == nil {
		var b []byte
		for i := range parts {
			b = fmt.Appendf(b, "--%s\r\nContent-Type: application/http\r\nContent-ID: <response-%d>\r\n\r\nHTTP/1.1 200 OK\r\n"+
				"Content-Type: application/json; charset=UTF-8\r\nVary: Origin\r\nVary: X-Origin\r\nVary: Referer\r\n\r\n%s\r\n",
				leanBoundary, i, h.plain[size][i%leanVariants])
		}
		h.batches[name] = packed(fmt.Appendf(b, "--%s--\r\n", leanBoundary))
	}
	return h.batches[name]
}

// packed returns text as a gzip stream.
func packed(text []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}
