package gmailsvc_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// batchServer answers batches with what the test makes of the number of parts, and other requests with 404.
func batchServer(answer func(parts int) string) http.RoundTripper {
	return roundTripper(func(q *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: 404, Header: make(http.Header), Body: http.NoBody, Request: q}
		if q.Body == nil {
			return resp, nil
		}
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return nil, err
		}
		resp.StatusCode = 200
		resp.Header.Set("Content-Type", `multipart/mixed; boundary="b b"`)
		resp.Body = io.NopCloser(strings.NewReader(answer(strings.Count(string(body), "Content-ID: <"))))
		return resp, nil
	})
}

func TestAnswersAreMatchedByTheirContentIDsAlone(t *testing.T) {
	t.Parallel()
	good := func(id string, i int) string {
		return fmt.Sprintf("--b b\r\nContent-Type: application/http\r\nContent-ID: %s\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\n\r\n{\"id\":\"m%d\"}\r\n", id, i)
	}
	each := func(part func(i int) string, tail string) func(int) string {
		return func(n int) string {
			var b strings.Builder
			for i := range n {
				b.WriteString(part(i))
			}
			return b.String() + tail
		}
	}
	const end = "--b b--\r\n"
	response := func(i int) string { return good(fmt.Sprintf("<response-%d>", i), i) }
	for name, c := range map[string]struct {
		answer func(int) string
		failed []string
	}{
		"as Google has them": {each(response, end), nil},
		"without brackets":   {each(func(i int) string { return good(fmt.Sprintf("response-%d", i), i) }, end), nil},
		"with bare line feeds": {func(n int) string {
			return strings.ReplaceAll(each(response, end)(n), "\r\n", "\n")
		}, nil},
		"after a preamble":         {func(n int) string { return "Hello\r\n--b\r\n" + each(response, end)(n) }, nil},
		"and one nobody asked for": {func(n int) string { return good("<response-99>", 1) + each(response, end)(n) }, nil},
		"and each twice":           {each(func(i int) string { return response(i) + good(fmt.Sprintf("<response-%d>", i), 9) }, end), nil},
		"but one is missing": {each(func(i int) string {
			if i == 1 {
				return ""
			}
			return response(i)
		}, end), []string{"m1"}},
		"but one has no name": {each(func(i int) string {
			if i == 1 {
				return good("", 1)
			}
			return response(i)
		}, end), []string{"m1"}},
		"but the end is missing":      {each(response, ""), []string{"m3"}},
		"but a part is no HTTP":       {each(func(int) string { return "--b b\r\nContent-ID: <response-0>\r\n\r\nhello\r\n" }, end), []string{"m0", "m1", "m2", "m3"}},
		"but the boundary only seems": {each(func(i int) string { return strings.Replace(response(i), "{", "\r\n--b bc\r\n{", 1) }, end), []string{"m0", "m1", "m2", "m3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newReader(t, gmailtest.Config{}, func(cfg *gmailsvc.Config) {
					cfg.HTTPClient = &http.Client{Transport: batchServer(c.answer)}
				})
				for i := range 4 {
					r.refs = append(r.refs, gmailsvc.MessageRef{ID: fmt.Sprintf("m%d", i)})
				}
				got, failed, end := r.fetch(t.Context())
				r.wantAll(t, got, failed, end, len(c.failed))
				for _, id := range c.failed {
					if failed[id] == nil {
						t.Errorf("%s did not fail; %v did", id, failed)
					}
				}
			})
		})
	}
}

// FuzzBatchAnswer feeds anything as the answer to a batch: each message must come once, or fail, and nothing else may happen.
func FuzzBatchAnswer(f *testing.F) {
	const part = "--b b\r\nContent-Type: application/http\r\nContent-ID: <response-%d>\r\n\r\nHTTP/1.1 %s\r\nX: y\r\n\r\n%s\r\n"
	whole := fmt.Sprintf(part, 0, "200 OK", `{"id":"m0"}`) + fmt.Sprintf(part, 1, "404 Not Found", bodyGone)
	f.Add(whole + "--b b--")
	f.Add(whole)
	f.Add("preamble\n" + whole + "--b b--\r\nepilogue")
	f.Add(fmt.Sprintf(part, 1, "401 No", `{}`) + fmt.Sprintf(part, 1, "503 No", ``) + "--b b--")
	f.Add("--b b\n\nHTTP/1.1 200\n\n\n--b b")
	f.Add("--b b\r\nContent-ID: response-0\r\n\r\nHTTP/1.1 099 x\r\n\r\n")
	f.Fuzz(func(t *testing.T, answer string) {
		r := newReader(t, gmailtest.Config{}, func(cfg *gmailsvc.Config) {
			cfg.HTTPClient = &http.Client{Transport: batchServer(func(int) string { return answer })}
			cfg.Retry.Attempts = 1
		})
		r.refs = []gmailsvc.MessageRef{{ID: "m0"}, {ID: "m1"}}
		n := 0
		for m, err := range r.svc.FetchMessages(t.Context(), gmailsvc.Refs(r.refs...)) {
			if n++; m == nil && err == nil {
				t.Error("neither a message nor an error")
			}
		}
		if n == 0 || n > len(r.refs)+1 {
			t.Errorf("%d turns for %d messages", n, len(r.refs))
		}
	})
}
