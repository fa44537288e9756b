package gmailtest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Transport returns a RoundTripper that serves requests in process, in the goroutine of the caller,
// whatever their host. It treats requests and responses as http.Transport does: it adds a User-Agent, asks
// for gzip and decodes it where the request has no Accept-Encoding of its own, returns the context's error
// when that ends first, and follows no redirect.
func (s *Server) Transport() http.RoundTripper { return roundTripper{s} }

type roundTripper struct{ handler http.Handler }

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
				err = fmt.Errorf("gmailtest: the server broke the connection: %w", cmp.Or(w.broken, io.EOF))
			}
		} else if p != nil {
			panic(p)
		}
	}()
	t.handler.ServeHTTP(w, in)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return w.response(req, gunzip)
}
