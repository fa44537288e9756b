package discovery

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
)

// batchPath is where Google's documents put the batch endpoint. The discovery document has an older path for
// all APIs.
// https://developers.google.com/workspace/gmail/api/guides/batch
const batchPath = "/batch/gmail/v1"

// checkBatch checks each call of a batch and its answer as if they had passed alone.
func (c *Checker) checkBatch(req *http.Request, sent []byte, res *http.Response, received []byte) error {
	calls, err := parts(req.Header, sent)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	if res.StatusCode >= 300 {
		return checkError(res, received)
	}
	answers, err := parts(res.Header, received)
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if len(answers) != len(calls) {
		return fmt.Errorf("%d answers to %d calls", len(answers), len(calls))
	}
	for id, call := range calls {
		answer, ok := answers["<response-"+strings.TrimPrefix(id, "<")]
		if !ok {
			return fmt.Errorf("no answer to %s", id)
		}
		inner, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(call)))
		if err != nil {
			return fmt.Errorf("call %s: %w", id, err)
		}
		innerSent, err := drain(&inner.Body)
		if err != nil {
			return fmt.Errorf("call %s: %w", id, err)
		}
		got, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), inner)
		if err != nil {
			return fmt.Errorf("answer to %s: %w", id, err)
		}
		innerReceived, err := io.ReadAll(got.Body)
		if err = errors.Join(err, got.Body.Close()); err != nil {
			return fmt.Errorf("answer to %s: %w", id, err)
		}
		c.check(inner, innerSent, got, innerReceived)
	}
	return nil
}

// parts returns the HTTP messages in a batch or its answer by their Content-IDs.
func parts(header http.Header, body []byte) (map[string][]byte, error) {
	kind, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" {
		return nil, fmt.Errorf("content type %q, want multipart/mixed", header.Get("Content-Type"))
	}
	found := make(map[string][]byte)
	for r := multipart.NewReader(bytes.NewReader(body), params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		id := p.Header.Get("Content-ID")
		if kind := p.Header.Get("Content-Type"); kind != "application/http" {
			return nil, fmt.Errorf("part %s: content type %q, want application/http", id, kind)
		}
		if _, repeated := found[id]; repeated {
			return nil, fmt.Errorf("part %s: repeated", id)
		}
		if found[id], err = io.ReadAll(p); err != nil {
			return nil, err
		}
	}
}
