package gmailtest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// Transport returns a RoundTripper that serves requests in process, in the goroutine of the caller,
// whatever their host. It treats requests and responses as http.Transport does: it adds a User-Agent, asks
// for gzip and decodes it where the request has no Accept-Encoding of its own, returns the context's error
// when that ends first, and follows no redirect.
func (s *Server) Transport() http.RoundTripper { return roundTripper{s} }

type roundTripper struct{ server *Server }

func (t roundTripper) RoundTrip(req *http.Request) (_ *http.Response, err error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if req.URL == nil || req.URL.Host == "" || req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return nil, fmt.Errorf("gmailtest: transport: %v is not an http or https URL with a host: %w", req.URL, errors.ErrUnsupported)
	}
	in := req.Clone(ctx)
	in.RequestURI = req.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:1"
	in.URL.Scheme, in.URL.Host, in.URL.User, in.URL.Fragment = "", "", nil, ""
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	if in.Method == "" {
		in.Method = http.MethodGet
	}
	if in.Header == nil {
		in.Header = make(http.Header)
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if _, set := in.Header["User-Agent"]; !set {
		in.Header.Set("User-Agent", "Go-http-client/1.1")
	}
	gunzip := false
	if in.Header.Get("Accept-Encoding") == "" && in.Header.Get("Range") == "" && in.Method != http.MethodHead {
		in.Header.Set("Accept-Encoding", "gzip")
		gunzip = true
	}

	w := newResponseBuffer()
	defer func() {
		p := recover()
		if aborted, ok := p.(error); ok && errors.Is(aborted, http.ErrAbortHandler) {
			if err = ctx.Err(); err == nil {
				err = fmt.Errorf("gmailtest: the server broke the connection: %w", io.EOF)
			}
		} else if p != nil {
			panic(p)
		}
	}()
	t.server.ServeHTTP(w, in)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return w.response(req, gunzip)
}

// A responseBuffer keeps what a handler answers.
type responseBuffer struct {
	header http.Header // the handler's
	sent   http.Header // as it was when the status was written
	code   int
	body   bytes.Buffer
}

func newResponseBuffer() *responseBuffer { return &responseBuffer{header: make(http.Header)} }

func (b *responseBuffer) Header() http.Header { return b.header }

func (b *responseBuffer) WriteHeader(code int) {
	if b.code == 0 {
		b.code = code
		b.sent = b.header.Clone()
	}
}

func (b *responseBuffer) Write(p []byte) (int, error) {
	b.WriteHeader(http.StatusOK)
	return b.body.Write(p)
}

func (b *responseBuffer) response(req *http.Request, gunzip bool) (*http.Response, error) {
	b.WriteHeader(http.StatusOK)
	body := b.body.Bytes()
	if len(body) > 0 && b.sent.Get("Content-Type") == "" {
		b.sent.Set("Content-Type", http.DetectContentType(body))
	}
	if req.Method != http.MethodHead && b.sent.Get("Content-Length") == "" {
		b.sent.Set("Content-Length", strconv.Itoa(len(body)))
	}
	res := &http.Response{
		Status:        fmt.Sprintf("%d %s", b.code, http.StatusText(b.code)),
		StatusCode:    b.code,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        b.sent,
		ContentLength: int64(len(body)),
		Body:          http.NoBody,
		Request:       req,
	}
	if req.Method == http.MethodHead || len(body) == 0 {
		return res, nil
	}
	if gunzip && b.sent.Get("Content-Encoding") == "gzip" {
		plain, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("gmailtest: transport: decode gzip: %w", err)
		}
		res.Header.Del("Content-Encoding")
		res.Header.Del("Content-Length")
		res.ContentLength, res.Uncompressed, res.Body = -1, true, plain
		return res, nil
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}
