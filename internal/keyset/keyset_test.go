package keyset_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/internal/keyset"
)

// An answer is a transport that gives it, and counts.
type answer struct {
	status int
	body   string
	header http.Header
	err    error
	asked  int
}

func (a *answer) RoundTrip(req *http.Request) (*http.Response, error) {
	a.asked++
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{
		StatusCode: a.status, Status: http.StatusText(a.status), Header: a.header, Request: req,
		Body: io.NopCloser(strings.NewReader(a.body)),
	}, nil
}

func get(t *testing.T, c *http.Client) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://keys.example/certs", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestOnlyWholeJSONAnswersAreKeys(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer answer
		ok     bool
	}{
		"keys":           {answer{status: 200, body: `{"keys":[]}`}, true},
		"a proxy's page": {answer{status: 200, body: "<h1>Log in</h1>"}, false},
		"half an answer": {answer{status: 200, body: `{"keys":[`}, false},
		"a megabyte":     {answer{status: 200, body: `{"keys":"` + strings.Repeat("k", 1<<20) + `"}`}, false},
		"not found":      {answer{status: 404, body: `{}`}, false},
		"a redirect":     {answer{status: 302, body: `{}`, header: http.Header{"Location": {"https://evil.example/"}}}, false},
		"no answer":      {answer{err: errors.New("no route to host")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := get(t, keyset.Client(&http.Client{Transport: &c.answer}))
			if (err == nil) != c.ok || c.ok && body != c.answer.body || c.answer.asked != 1 {
				t.Errorf("%.50q, %v after %d requests", body, err, c.answer.asked)
			}
		})
	}
}

func TestKeysAreFetchedEveryTenSecondsAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &answer{status: 200, body: `{}`}
		client := keyset.Client(&http.Client{Transport: a})
		for range 100 {
			_, _ = get(t, client)
			time.Sleep(time.Second)
		}
		if a.asked != 10 {
			t.Errorf("100 seconds saw %d requests", a.asked)
		}
	})
}
