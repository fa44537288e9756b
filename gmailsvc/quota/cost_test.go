package quota_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

const batchURL = "https://gmail.googleapis.com/batch/gmail/v1"

// batchOf returns the body of a batch with these parts.
func batchOf(parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteString("--b\r\nContent-Type: application/http\r\nContent-ID: <1>\r\n\r\n" + part + "\r\n")
	}
	b.WriteString("--b--\r\n")
	return b.String()
}

func batchRequest(t testing.TB, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, batchURL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "multipart/mixed; boundary=b")
	return req
}

func TestCostOfARequest(t *testing.T) {
	t.Parallel()
	const get = "GET /gmail/v1/users/me/messages/1?format=full HTTP/1.1\r\n"
	for name, tc := range map[string]struct {
		verb, target, body string
		units, calls       int
	}{
		"a call":                  {"GET", "https://gmail.googleapis.com/gmail/v1/users/me/threads/1", "", 40, 1},
		"a call of nothing known": {"GET", "https://gmail.googleapis.com/nowhere", "", 100, 1},
		"a batch":                 {"POST", batchURL, batchOf(get, get, get), 60, 3},
		"a batch at the old endpoint": {"POST", "https://www.googleapis.com/batch",
			batchOf(get, "POST /gmail/v1/users/me/messages/1/modify\r\nContent-Type: application/json\r\n\r\n{}"), 25, 2},
		"a part with its host":         {"POST", batchURL, batchOf("GET https://gmail.googleapis.com/gmail/v1/users/me/profile"), 1, 1},
		"a part after blank lines":     {"POST", batchURL, batchOf("\r\n\r\n" + get), 20, 1},
		"a part that is no request":    {"POST", batchURL, batchOf("hello"), 100, 1},
		"a part with nothing in it":    {"POST", batchURL, batchOf(""), 100, 1},
		"a batch of nothing":           {"POST", batchURL, "--b--\r\n", 0, 0},
		"a part with an endless line":  {"POST", batchURL, batchOf(strings.Repeat("x", 1<<20), get), 120, 2},
		"reading at a batch's address": {"GET", batchURL, "", 100, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequest(tc.verb, tc.target, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", `multipart/mixed; boundary="b"`)
			units, calls, err := quota.Since2026().Cost(req)
			if err != nil || units != tc.units || calls != tc.calls {
				t.Errorf("%d units, %d calls, error %v; want %d and %d", units, calls, err, tc.units, tc.calls)
			}
			if rest, err := io.ReadAll(req.Body); err != nil || string(rest) != tc.body {
				t.Errorf("the body was touched: %d bytes are left of %d, %v", len(rest), len(tc.body), err)
			}
		})
	}
}

func TestABatchThatCannotBePriced(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	for name, tc := range map[string]struct {
		change func(*http.Request)
		want   string
	}{
		"whose body is read once only":  {func(r *http.Request) { r.GetBody = nil }, "set GetBody"},
		"whose body can't be had again": {func(r *http.Request) { r.GetBody = func() (io.ReadCloser, error) { return nil, broken } }, "on fire"},
		"whose type is not given":       {func(r *http.Request) { r.Header.Del("Content-Type") }, "content type"},
		"whose type has no boundary":    {func(r *http.Request) { r.Header.Set("Content-Type", "multipart/mixed") }, "no boundary"},
		"whose body ends early": {func(r *http.Request) {
			r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("--b\r\n\r\nGET")), nil }
		}, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := batchRequest(t, batchOf("GET /gmail/v1/users/me/profile"))
			tc.change(req)
			_, _, err := quota.Since2026().Cost(req)
			if bad, ok := errors.AsType[*quota.BatchError](err); !ok || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want a *BatchError that says %q", err, tc.want)
			} else if bad.Unwrap() == nil || bad.LogValue().String() != err.Error() {
				t.Errorf("unwraps to %v, logged as %q", bad.Unwrap(), bad.LogValue())
			}
		})
	}
}

func FuzzCost(f *testing.F) {
	f.Add(batchOf("GET /gmail/v1/users/me/messages/1?format=full HTTP/1.1\r\n"))
	f.Add(batchOf("POST /gmail/v1/users/me/settings/cse/keypairs/1:enable", "", "\r\n", "GET"))
	f.Add("--b\r\n\r\n--b\r\n--b--")
	f.Fuzz(func(t *testing.T, body string) {
		units, calls, err := quota.Since2026().Cost(batchRequest(t, body))
		if err == nil && (units < calls || units > 100*calls) {
			t.Errorf("%d units for %d calls", units, calls)
		}
	})
}
