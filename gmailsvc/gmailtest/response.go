package gmailtest

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// A responseBuffer keeps what a handler answers.
type responseBuffer struct {
	header http.Header // the handler's
	sent   http.Header // as it was when the status was written
	code   int
	body   bytes.Buffer

	broken error // what the client is told where the answer never came
	cut    int   // how much of the body comes before the connection breaks; 0: all, and it doesn't
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
	bodiless := req.Method == http.MethodHead || b.code == http.StatusNoContent
	if !bodiless && b.sent.Get("Content-Length") == "" {
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
	if bodiless || len(body) == 0 {
		return res, nil
	}
	wire := io.Reader(bytes.NewReader(body))
	if b.cut > 0 {
		wire = io.MultiReader(bytes.NewReader(body[:b.cut]), brokenReader{})
	}
	if gunzip && b.sent.Get("Content-Encoding") == "gzip" {
		res.Header.Del("Content-Encoding")
		res.Header.Del("Content-Length")
		res.ContentLength, res.Uncompressed = -1, true
		plain, err := gzip.NewReader(wire)
		if err != nil {
			res.Body = io.NopCloser(brokenReader{fmt.Errorf("gmailtest: transport: decode gzip: %w", err)})
			return res, nil
		}
		res.Body = plain
		return res, nil
	}
	res.Body = io.NopCloser(wire)
	return res, nil
}

// A brokenReader is the rest of a body whose connection broke.
type brokenReader struct{ err error }

func (b brokenReader) Read([]byte) (int, error) { return 0, cmp.Or(b.err, io.ErrUnexpectedEOF) }
