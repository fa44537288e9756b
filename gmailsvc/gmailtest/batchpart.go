package gmailtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// A batchPart is one call of a batch.
type batchPart struct {
	id      string // its Content-ID
	request *http.Request
}

// answerHeader is that of the part that answers. Content-IDs come back as response- and what was sent.
func (p *batchPart) answerHeader() textproto.MIMEHeader {
	h := textproto.MIMEHeader{"Content-Type": {"application/http"}}
	if inner, ok := strings.CutPrefix(p.id, "<"); ok {
		h["Content-ID"] = []string{"<response-" + inner}
	} else if p.id != "" {
		h["Content-ID"] = []string{"response-" + p.id}
	}
	return h
}

// parsePartOfBatch reads the HTTP request in a part: a request line, with or without a version, a header and
// a body. What the batch's own header says holds for each call, unless that says otherwise, but for what
// describes the content.
func parsePartOfBatch(batch *http.Request, header textproto.MIMEHeader, raw []byte) (*batchPart, error) {
	kind, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/http") {
		return nil, errors.New("the content type of a part is not application/http")
	}
	in := textproto.NewReader(bufio.NewReader(bytes.NewReader(bytes.TrimLeft(raw, "\r\n"))))
	line, err := in.ReadLine()
	if err != nil {
		return nil, errors.New("a part is empty")
	}
	fields := strings.Fields(line)
	if len(fields) < 2 || len(fields) > 3 {
		return nil, fmt.Errorf("%q is no request line", line)
	}
	target, err := url.Parse(fields[1])
	if err != nil {
		return nil, fmt.Errorf("%q is no address", fields[1])
	}
	inner, err := in.ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the header of %q cannot be read", line)
	}
	body, err := io.ReadAll(in.R)
	if err != nil {
		return nil, err
	}
	r := &http.Request{
		Method: fields[0],
		URL:    &url.URL{Path: target.Path, RawPath: target.RawPath, RawQuery: target.RawQuery},
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Host: batch.Host, RemoteAddr: batch.RemoteAddr,
		ContentLength: int64(len(body)),
		Body:          io.NopCloser(bytes.NewReader(body)),
		GetBody:       func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
	}
	r.RequestURI = r.URL.RequestURI()
	for name, values := range batch.Header {
		if !strings.HasPrefix(name, "Content-") {
			r.Header[name] = values
		}
	}
	maps.Copy(r.Header, http.Header(inner))
	r.Header.Del("Accept-Encoding") // the batch's answer is packed as a whole
	return &batchPart{id: header.Get("Content-ID"), request: r.WithContext(batch.Context())}, nil
}
