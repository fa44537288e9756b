package authflow

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

// What an answer of the provider may take. Google's are a few KB and come within a second.
const (
	answerTimeout  = 10 * time.Second
	maxAnswerBytes = 64 << 10
)

// baseClient returns the HTTP client that speaks to the provider, without its limits.
func baseClient(cfg Config) *http.Client {
	base := cfg.HTTPClient
	if base == nil {
		base = new(http.Client)
	}
	if base.Transport == nil && !cfg.AllowPrivateEndpoints {
		base = new(*base)
		base.Transport = publicOnly()
	}
	return base
}

// limited returns a copy of base that follows no redirects (a 307 would send the client secret to another
// host), keeps no cookies, and bounds the time, size and, if it wants JSON, the type of answers.
func limited(base *http.Client, wantJSON bool) *http.Client {
	c := *base
	c.Jar = nil
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if c.Timeout <= 0 || c.Timeout > answerTimeout {
		c.Timeout = answerTimeout
	}
	next := c.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	c.Transport = &limitedTransport{next: next, wantJSON: wantJSON}
	return &c
}

type limitedTransport struct {
	next     http.RoundTripper
	wantJSON bool
}

func (t *limitedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if t.wantJSON && resp.StatusCode/100 == 2 && resp.ContentLength != 0 && !isJSON(resp.Header.Get("Content-Type")) {
		resp.Body.Close()
		return nil, fmt.Errorf("the answer is %s instead of JSON; is this the right endpoint, and is a proxy in between",
			mediaType(resp.Header.Get("Content-Type")))
	}
	resp.Body = &limitedBody{ReadCloser: resp.Body, left: maxAnswerBytes}
	return resp, nil
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

type limitedBody struct {
	io.ReadCloser
	left int
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left+1)])
	if n > b.left {
		return b.left, fmt.Errorf("the answer is longer than %d bytes", maxAnswerBytes)
	}
	b.left -= n
	return n, err
}

// publicOnly returns a transport that dials no address inside the caller's own network, whatever the provider's names
// resolve to. A proxy may be anywhere.
func publicOnly() http.RoundTripper {
	var proxies sync.Map // by host
	open := &net.Dialer{Timeout: answerTimeout}
	guarded := &net.Dialer{Timeout: answerTimeout, Control: refusePrivate}
	return &http.Transport{
		Proxy: func(req *http.Request) (*url.URL, error) {
			proxy, err := http.ProxyFromEnvironment(req)
			if proxy != nil {
				proxies.Store(proxy.Hostname(), true)
			}
			return proxy, err
		},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if host, _, err := net.SplitHostPort(addr); err == nil {
				if _, ok := proxies.Load(host); ok {
					return open.DialContext(ctx, network, addr)
				}
			}
			return guarded.DialContext(ctx, network, addr)
		},
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        10,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: answerTimeout,
	}
}

func refusePrivate(_, address string, _ syscall.RawConn) error {
	addr, err := netip.ParseAddrPort(address)
	if err != nil || isPrivateAddr(addr.Addr()) {
		return fmt.Errorf("%s is a loopback, link-local or private address; AllowPrivateEndpoints permits that in tests", address)
	}
	return nil
}

// mediaType names a content type that is common, and no other: it may repeat what was sent.
func mediaType(contentType string) string {
	switch media, _, _ := mime.ParseMediaType(contentType); media {
	case "text/html", "text/plain", "text/xml", "application/xml", "application/x-www-form-urlencoded":
		return media
	}
	return "another type"
}
