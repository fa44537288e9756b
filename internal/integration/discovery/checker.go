package discovery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// A Checker is an http.RoundTripper that checks what passes through it against a Document: requests for
// a method, parameters and a body that the API has, answers against the schema of the method, and errors
// against the form that all of Google's APIs give them. Find out by Err. It is safe for concurrent use.
type Checker struct {
	Document *Document
	Base     http.RoundTripper

	mu       sync.Mutex
	problems []error
	answered map[string]int // successes by method ID
}

// RoundTrip sends req by Base and checks both directions.
func (c *Checker) RoundTrip(req *http.Request) (*http.Response, error) {
	sent, err := drain(&req.Body)
	if err != nil {
		return nil, err
	}
	res, err := c.Base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	received, err := drain(&res.Body)
	if err != nil {
		return nil, err
	}
	if req.Method == http.MethodPost && req.URL.Path == batchPath {
		if err := c.checkBatch(req, sent, res, received); err != nil {
			c.found("batch: %w", err)
		}
		return res, nil
	}
	c.check(req, sent, res, received)
	return res, nil
}

// check checks one call and its answer.
func (c *Checker) check(req *http.Request, sent []byte, res *http.Response, received []byte) {
	method := c.Document.Find(req.Method, req.URL.Path)
	switch {
	case method == nil:
		c.found("%s %s: the API has no such method", req.Method, req.URL.Path)
	case res.StatusCode >= 300:
		c.note(method, req, checkError(res, received))
	case isUpload(req):
		c.note(method, req, c.Document.checkParameters(method, req))
		c.note(method, req, c.Document.checkUpload(method, req, sent))
		if !isPartial(req, res) {
			c.note(method, req, c.Document.checkBody("answer", method.Response, res.Header, received))
			c.succeeded(method)
		}
	default:
		c.note(method, req, c.Document.checkParameters(method, req))
		c.note(method, req, c.Document.checkBody("request", method.Request, req.Header, sent))
		c.note(method, req, c.Document.checkBody("answer", method.Response, res.Header, received))
		c.succeeded(method)
	}
}

// Err returns everything that was wrong so far, or nil.
func (c *Checker) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.problems...)
}

// Answered returns the IDs of the methods that were called with success, sorted.
func (c *Checker) Answered() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.answered))
}

func (c *Checker) succeeded(m *Method) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answered == nil {
		c.answered = make(map[string]int)
	}
	c.answered[m.ID]++
}

func (c *Checker) note(m *Method, req *http.Request, err error) {
	if err != nil {
		c.found("%s (%s): %w", m.ID, req.URL.RawQuery, err)
	}
}

func (c *Checker) found(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems = append(c.problems, fmt.Errorf(format, args...))
}

func (d *Document) checkParameters(m *Method, req *http.Request) error {
	var problems []error
	for name, values := range req.URL.Query() {
		p := m.Parameters[name]
		if p == nil || p.Location != "query" {
			p = d.Parameters[name]
		}
		switch {
		case p == nil && name == "upload_id" && isUpload(req):
		case p == nil:
			problems = append(problems, fmt.Errorf("unknown query parameter %q", name))
		case len(values) > 1 && !p.Repeated:
			problems = append(problems, fmt.Errorf("query parameter %q is given %d times", name, len(values)))
		}
	}
	return errors.Join(problems...)
}

func (d *Document) checkBody(what string, s *Schema, header http.Header, body []byte) error {
	if s == nil {
		if len(body) > 0 {
			return fmt.Errorf("%s: %d bytes, want none", what, len(body))
		}
		return nil
	}
	if kind, _, err := mime.ParseMediaType(header.Get("Content-Type")); err != nil || kind != "application/json" {
		return fmt.Errorf("%s: content type %q, want application/json", what, header.Get("Content-Type"))
	}
	if len(body) == 0 {
		return fmt.Errorf("%s: empty, want %s", what, s.Ref)
	}
	if err := d.Validate(s, body); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// errorDocument is the form of every error of Google's JSON APIs. The discovery document leaves it out.
// https://cloud.google.com/apis/design/errors
var errorDocument = func() *Document {
	str, number := &Schema{Type: "string"}, &Schema{Type: "integer", Format: "int32"}
	list := func(properties map[string]*Schema) *Schema {
		return &Schema{Type: "array", Items: &Schema{Type: "object", Properties: properties}}
	}
	return &Document{Schemas: map[string]*Schema{"Error": {Type: "object", Properties: map[string]*Schema{
		"error": {Type: "object", Properties: map[string]*Schema{
			"code":    number,
			"message": str,
			"status":  str,
			"errors": list(map[string]*Schema{
				"message": str, "domain": str, "reason": str, "location": str, "locationType": str, "extendedHelp": str,
			}),
			"details": list(map[string]*Schema{
				"@type": str, "reason": str, "domain": str,
				"metadata":        {Type: "object", Properties: map[string]*Schema{"method": str, "service": str}},
				"fieldViolations": list(map[string]*Schema{"field": str, "description": str}),
			}),
		}},
	}}}}
}()

func checkError(res *http.Response, body []byte) error {
	if err := errorDocument.checkBody("error", &Schema{Ref: "Error"}, res.Header, body); err != nil {
		return err
	}
	var e struct {
		Error struct {
			Code    int
			Message string
			Status  string
			Errors  []struct{ Message, Domain, Reason string }
		}
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return err
	}
	if e.Error.Code != res.StatusCode {
		return fmt.Errorf("error: code %d under HTTP status %d", e.Error.Code, res.StatusCode)
	}
	if e.Error.Message == "" || strings.ToUpper(e.Error.Status) != e.Error.Status || len(e.Error.Errors) == 0 {
		return fmt.Errorf("error: message, status or errors is missing: %s", body)
	}
	for _, detail := range e.Error.Errors {
		// Requests that do not parse are refused before Gmail sees them, by a front end that names no domain.
		if detail.Message == "" || detail.Reason == "" || detail.Domain == "" && detail.Reason != "invalid" {
			return fmt.Errorf("error: message, domain or reason is missing: %s", body)
		}
	}
	return nil
}

// drain reads a body whole and puts one in its place that can be read once more.
func drain(body *io.ReadCloser) ([]byte, error) {
	if *body == nil {
		return nil, nil
	}
	data, err := io.ReadAll(*body)
	err = errors.Join(err, (*body).Close())
	*body = io.NopCloser(bytes.NewReader(data))
	return data, err
}
