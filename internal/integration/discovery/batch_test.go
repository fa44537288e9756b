package discovery_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/api/gmail/v1"

	"github.com/mailgrant/mailgrant/internal/integration/discovery"
)

const batchURL = "https://gmail.googleapis.com/batch/gmail/v1"

func batchRequest(t *testing.T, calls ...string) *http.Request {
	t.Helper()
	var body strings.Builder
	for i, call := range calls {
		fmt.Fprintf(&body, "--x\r\nContent-Type: application/http\r\nContent-ID: <%d>\r\n\r\n%s\r\n\r\n\r\n", i, call)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, batchURL, strings.NewReader(body.String()+"--x--"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "multipart/mixed; boundary=x")
	return req
}

func TestCallsOfABatchFitTheDocument(t *testing.T) {
	t.Parallel()
	google := newGoogle(t)
	s := google.session(t, google.token(t, gmail.GmailReadonlyScope))
	res, err := s.client.Do(batchRequest(t,
		"GET /gmail/v1/users/me/messages/"+google.report+"?format=full HTTP/1.1",
		"GET /gmail/v1/users/me/threads/"+google.question+" HTTP/1.1",
		"GET /gmail/v1/users/me/messages/1 HTTP/1.1",
	))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := s.checker.Err(); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%s: %v", res.Status, err)
	}
	if got := fmt.Sprint(s.checker.Answered()); got != "[gmail.users.messages.get gmail.users.threads.get]" {
		t.Errorf("answered: %s", got)
	}
}

func TestCheckerLooksIntoBatches(t *testing.T) {
	t.Parallel()
	const call = "GET /gmail/v1/users/me/profile HTTP/1.1"
	answers := func(parts ...string) string { return strings.Join(append(parts, "--x--"), "") }
	part := func(id, body string) string {
		return fmt.Sprintf("--x\r\nContent-Type: application/http\r\nContent-ID: %s\r\n\r\n"+
			"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s\r\n", id, len(body), body)
	}
	const good = `{"historyId":"1"}`
	for name, tc := range map[string]struct {
		call, contentType, answer string
		wrong                     string // what the error must name; "": nothing is wrong
	}{
		"a good answer":              {call, "multipart/mixed; boundary=x", answers(part("<response-0>", good)), ""},
		"an answer of another type":  {call, "application/json", good, "want multipart/mixed"},
		"an answer to nothing":       {call, "multipart/mixed; boundary=x", answers(part("<response-1>", good)), "no answer to <0>"},
		"no answer":                  {call, "multipart/mixed; boundary=x", answers(), "0 answers to 1 calls"},
		"the same answer twice":      {call, "multipart/mixed; boundary=x", answers(part("<response-0>", good), part("<response-0>", good)), "repeated"},
		"a part that is wrong":       {call, "multipart/mixed; boundary=x", answers(part("<response-0>", `{"messages":[]}`)), "messages: unknown property"},
		"a call that does not exist": {"GET /gmail/v1/users/me/mail HTTP/1.1", "multipart/mixed; boundary=x", answers(part("<response-0>", good)), "no such method"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checker := &discovery.Checker{Document: gmailDocument(t), Base: roundTripper{200, tc.contentType, tc.answer}}
			res, err := checker.RoundTrip(batchRequest(t, tc.call))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if body, err := io.ReadAll(res.Body); err != nil || string(body) != tc.answer {
				t.Errorf("the body reads %q, %v", body, err)
			}
			switch err := checker.Err(); {
			case tc.wrong == "" && err != nil:
				t.Errorf("nothing is wrong, but got %v", err)
			case tc.wrong != "" && (err == nil || !strings.Contains(err.Error(), tc.wrong)):
				t.Errorf("got %v, want an error that names %q", err, tc.wrong)
			}
		})
	}
}
