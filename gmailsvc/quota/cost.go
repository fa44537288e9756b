package quota

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
)

// maxRequestLine is the most that is read of a part of a batch to find what it calls.
const maxRequestLine = 64 << 10

// Cost returns how many units req costs and how many calls it makes: one, or as many as a batch has parts, each of
// which Google counts as a call of its own. It reads the body of a batch by req.GetBody and leaves req as it is.
//
// Errors: *BatchError.
func (p Prices) Cost(req *http.Request) (units, calls int, err error) {
	if !isBatch(req) {
		return p.Units(MethodOf(req)), 1, nil
	}
	if units, calls, err = p.batch(req); err != nil {
		return 0, 0, &BatchError{Err: err}
	}
	return units, calls, nil
}

// isBatch reports whether req goes to a batch endpoint:
// https://developers.google.com/workspace/gmail/api/guides/batch.
func isBatch(req *http.Request) bool {
	path := strings.TrimSuffix(req.URL.Path, "/")
	return req.Method == http.MethodPost && (strings.HasSuffix(path, "/batch") || strings.HasSuffix(path, "/batch/gmail/v1"))
}

func (p Prices) batch(req *http.Request) (units, calls int, err error) {
	if req.GetBody == nil {
		return 0, 0, errors.New("its body can be read once only; set GetBody")
	}
	_, params, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil {
		return 0, 0, fmt.Errorf("content type: %w", err)
	}
	if params["boundary"] == "" {
		return 0, 0, errors.New("its content type has no boundary")
	}
	body, err := req.GetBody()
	if err != nil {
		return 0, 0, err
	}
	defer body.Close()
	for parts := multipart.NewReader(body, params["boundary"]); ; {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return units, calls, nil
		}
		if err != nil {
			return 0, 0, err
		}
		method, err := methodOfPart(part)
		if err != nil {
			return 0, 0, err
		}
		units += p.Units(method)
		calls++
	}
}

// methodOfPart reads the request line of an HTTP request in a part of a batch.
func methodOfPart(part io.Reader) (string, error) {
	for lines := bufio.NewReader(io.LimitReader(part, maxRequestLine)); ; {
		line, err := lines.ReadString('\n')
		words := strings.Fields(line)
		switch {
		case len(words) >= 2 && (err == nil || errors.Is(err, io.EOF)):
			return Method(words[0], words[1]), nil
		case errors.Is(err, io.EOF):
			return "", nil
		case err != nil || len(words) == 1:
			return "", err
		}
	}
}

// A BatchError says that a batch could not be priced.
type BatchError struct {
	Err error
}

// Error says why not.
func (e *BatchError) Error() string { return fmt.Sprintf("quota: price a batch: %v", e.Err) }

// Unwrap returns the cause.
func (e *BatchError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *BatchError) LogValue() slog.Value { return slog.StringValue(e.Error()) }
