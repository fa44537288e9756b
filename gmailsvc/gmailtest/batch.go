package gmailtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// maxBatch is how many calls a batch may hold.
// https://developers.google.com/workspace/gmail/api/guides/batch
const maxBatch = 100

// batch answers the calls in a multipart/mixed body, each as if it had come alone.
func (s *Server) batch(w http.ResponseWriter, r *http.Request) {
	if s.cfg.NoBatch {
		s.writeAPIError(w, r, notServed(r))
		return
	}
	parts, bad := readBatch(r)
	if bad != nil {
		s.writeAPIError(w, r, bad)
		return
	}
	for _, p := range parts {
		admitted, leave := s.meter.enter(s.userOf(p.request), true)
		defer leave()
		p.request = p.request.WithContext(context.WithValue(r.Context(), inBatch{}, admitted))
	}
	answers := s.serveParts(parts)
	if s.cfg.ReverseBatches {
		slices.Reverse(parts)
		slices.Reverse(answers)
	}
	var body bytes.Buffer
	size := 0
	for _, a := range answers {
		size += a.body.Len() + 512 // for the headers
	}
	body.Grow(size)
	mw := multipart.NewWriter(&body)
	_ = mw.SetBoundary("batch_" + rand.Text()) // its characters are allowed
	for i, p := range parts {
		part, _ := mw.CreatePart(p.answerHeader()) // into memory, like all below
		answers[i].writeTo(part)
	}
	_ = mw.Close()
	w.Header().Set("Content-Type", "multipart/mixed; boundary="+mw.Boundary())
	s.writeAPI(w, r, http.StatusOK, body.Bytes())
}

// inBatch is the key under which the context of a call in a batch says whether the call is let in.
type inBatch struct{}

// readBatch takes a batch apart. A batch with a part that is none is refused whole.
func readBatch(r *http.Request) ([]*batchPart, *apiError) {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/mixed" || params["boundary"] == "" {
		return nil, unreadableBatch(0, "the content type is not multipart/mixed with a boundary")
	}
	var parts []*batchPart
	for mr := multipart.NewReader(r.Body, params["boundary"]); ; {
		p, err := mr.NextRawPart()
		if errors.Is(err, io.EOF) && len(parts) > maxBatch {
			return nil, &apiError{code: http.StatusBadRequest, reason: "badRequest",
				message: fmt.Sprintf("Inner request count exceeds the limit. Received: %d, Limit: %d", len(parts), maxBatch)}
		}
		if errors.Is(err, io.EOF) && len(parts) > 0 {
			return parts, nil
		}
		if err != nil {
			return nil, unreadableBatch(len(parts), err.Error())
		}
		raw, err := io.ReadAll(p)
		if err != nil {
			return nil, unreadableBatch(len(parts), err.Error())
		}
		part, err := parsePartOfBatch(r, p.Header, raw)
		if err != nil {
			return nil, unreadableBatch(len(parts), err.Error())
		}
		parts = append(parts, part)
	}
}

func unreadableBatch(items int, why string) *apiError {
	return &apiError{code: http.StatusBadRequest, reason: "badRequest",
		message: fmt.Sprintf("Failed to parse batch request, error: %d items. %s", items, why)}
}

// serveParts answers the calls in their order, so that a batch does the same each time; Google promises no
// order. Where a fault could hold one up they run all at once, as Google's do.
func (s *Server) serveParts(parts []*batchPart) []*responseBuffer {
	answers := make([]*responseBuffer, len(parts))
	serve := func(i int) {
		answers[i] = newResponseBuffer()
		// The mux would redirect a path that is not clean.
		if r := parts[i].request; strings.HasPrefix(r.URL.Path, "/gmail/v1/") && path.Clean(r.URL.Path) == r.URL.Path {
			s.mux.ServeHTTP(answers[i], r)
		} else {
			s.writeAPIError(answers[i], r, notServed(r))
		}
		if answers[i].cut > 0 {
			panic(http.ErrAbortHandler) // there is no connection that could break within a part
		}
	}
	if !s.faults.hold() {
		for i := range parts {
			serve(i)
		}
		return answers
	}
	var wg sync.WaitGroup
	broken := make(chan any, len(parts)) // what parts panicked with
	for i := range parts {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					broken <- p
				}
			}()
			serve(i)
		})
	}
	wg.Wait()
	if len(broken) > 0 {
		panic(<-broken) // a part that breaks the connection breaks that of all
	}
	return answers
}

// writeTo writes the answer as HTTP/1.1 puts it on the wire.
func (b *responseBuffer) writeTo(w io.Writer) {
	b.WriteHeader(http.StatusOK)
	_, _ = fmt.Fprintf(w, "HTTP/1.1 %d %s\r\n", b.code, http.StatusText(b.code))
	if b.sent.Get("Content-Length") == "" {
		b.sent.Set("Content-Length", strconv.Itoa(b.body.Len()))
	}
	_ = b.sent.Write(w)
	_, _ = io.WriteString(w, "\r\n")
	_, _ = b.body.WriteTo(w)
}
