package gmailtest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// upload sends a request under /upload, with these header lines.
func (a account) upload(t testing.TB, method, path, body string, header ...string) answer {
	t.Helper()
	req := a.request(t, method, path, body)
	req.URL.Path = "/upload" + req.URL.Path
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	return a.perform(t, req)
}

const relatedType = "Content-Type: multipart/related; boundary=b"

func related(metadata, media string) string {
	return "--b\r\nContent-Type: application/json\r\n\r\n" + metadata + "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n" + media + "\r\n--b--\r\n"
}

// uploaded is a mailbox with a thread to reply to and a draft, and what to upload to it.
type uploaded struct {
	account
	question, draft string
	message         string
}

func newUploaded(t testing.TB) uploaded {
	t.Helper()
	acc := newAccount(t, mailScope)
	question := acc.deliver(t, raw("", "Subject: S", "Message-ID: <1@x.example>"))
	draft := acc.post(t, "me/drafts", draftJSON(raw("old", "Subject: S"), "")).str("id")
	return uploaded{acc, question, draft, raw("Hello", "To: b@example.com", "Subject: Re: S", "In-Reply-To: <1@x.example>")}
}

// stores says what is wrong with an answer after which the uploaded message should be in the thread.
func (u uploaded) stores(a answer) error {
	got := a.body
	if m, ok := a.body["message"].(map[string]any); ok {
		got = m
	}
	id, _ := got["id"].(string)
	stored, err := u.box.Raw(id)
	if err != nil || !strings.HasSuffix(string(stored), "\r\n\r\nHello") || got["threadId"] != u.question {
		return errors.Join(err, fmt.Errorf("answer = %d %s, stored is %q", a.status, a.raw, stored))
	}
	return nil
}

// uploads are the methods that take one, and their JSON.
func (u uploaded) uploads() map[string]string {
	const metadata = `{"threadId":"THREAD"}`
	all := map[string]string{
		"POST me/messages/send":     metadata,
		"POST me/messages":          metadata,
		"POST me/messages/import":   metadata,
		"POST me/drafts":            `{"message":` + metadata + `}`,
		"PUT me/drafts/" + u.draft:  `{"message":` + metadata + `}`,
		"POST me/drafts/send":       `{"id":"` + u.draft + `","message":` + metadata + `}`,
		"POST " + ada + "/messages": metadata,
	}
	for method, metadata := range all {
		all[method] = strings.ReplaceAll(metadata, "THREAD", u.question)
	}
	return all
}

func TestMessagesAreUploadedBesideTheirJSON(t *testing.T) {
	t.Parallel()
	for call := range newUploaded(t).uploads() {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			u := newUploaded(t)
			method, path, _ := strings.Cut(call, " ")
			if err := u.stores(u.upload(t, method, path+"?uploadType=multipart", related(u.uploads()[call], u.message), relatedType)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMessagesAreUploadedAlone(t *testing.T) {
	t.Parallel()
	u := newUploaded(t)
	for _, path := range []string{"me/messages/send", "me/messages", "me/messages/import", "me/drafts"} {
		if err := u.stores(u.upload(t, "POST", path+"?uploadType=media", u.message, "Content-Type: message/rfc822")); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestMessagesAreUploadedInPieces(t *testing.T) {
	t.Parallel()
	for call := range newUploaded(t).uploads() {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			u := newUploaded(t)
			method, path, _ := strings.Cut(call, " ")
			before := u.Usage("").Units
			begun := u.upload(t, method, path+"?uploadType=resumable", u.uploads()[call], "Content-Type: application/json", "X-Upload-Content-Type: message/rfc822")
			to, err := url.Parse(begun.header.Get("Location"))
			must(t, err)
			if begun.status != 200 || begun.raw != "" || to.Query().Get("upload_id") == "" || to.Host != "gmail.googleapis.com" {
				t.Fatalf("the beginning answers %d %v %s", begun.status, begun.header, begun.raw)
			}
			charged := u.Usage("").Units
			piece := func(verb string, from, until int, total string, header ...string) answer {
				req, err := http.NewRequestWithContext(t.Context(), verb, to.String(), strings.NewReader(u.message[from:until]))
				must(t, err)
				req.Header.Set("Authorization", "Bearer "+u.token)
				req.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%s", from, until-1, total))
				for _, line := range header {
					name, value, _ := strings.Cut(line, ": ")
					req.Header.Set(name, value)
				}
				return u.perform(t, req)
			}
			size := len(u.message)
			for name, a := range map[string]answer{
				"the first piece":              piece("PUT", 0, 10, "*"),
				"the same piece again":         piece("PUT", 0, 10, "*"),
				"a piece that is not the next": piece("PUT", 20, 30, "*"),
			} {
				if a.status != 308 || a.header.Get("Range") != "bytes=0-9" {
					t.Errorf("%s answers %d %v", name, a.status, a.header)
				}
			}
			if a := piece("POST", 10, 20, "*", "X-GUploader-No-308: yes"); a.status != 200 || a.header.Get("X-Http-Status-Code-Override") != "308" ||
				a.header.Get("Range") != "bytes=0-19" {
				t.Errorf("the second piece answers %d %v", a.status, a.header)
			}
			if err := u.stores(piece("POST", 20, size, fmt.Sprint(size))); err != nil {
				t.Error(err)
			}
			wantAPIError(t, piece("POST", 20, size, fmt.Sprint(size)), 404, "NOT_FOUND", "notFound", "Requested entity was not found.")
			if charged == before || u.Usage("").Units != charged || u.Count("upload") != 6 {
				t.Errorf("units went from %d over %d to %d with %d pieces, want one charge for all", before, charged, u.Usage("").Units, u.Count("upload"))
			}
		})
	}
}

func TestAnUploadGoesOnWhereItsServerListens(t *testing.T) {
	t.Parallel()
	for name, s := range reached(t, gmailtest.Config{}) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := s.AddUser(gmailtest.User{Email: ada})
			token, _, err := s.Grant(ada, mailScope)
			must(t, err)
			acc := account{s, box, token}
			req := acc.request(t, http.MethodPost, "me/messages?uploadType=resumable", `{"labelIds":["INBOX"]}`)
			req.URL.Path = "/upload" + req.URL.Path
			begun, err := s.Client().Do(req)
			must(t, err)
			_ = begun.Body.Close()
			req, err = http.NewRequestWithContext(t.Context(), http.MethodPut, begun.Header.Get("Location"), strings.NewReader("Subject: S"))
			must(t, err)
			req.Header.Set("Authorization", "Bearer "+token)
			if a := do(t, s, req); fmt.Sprint(a.body["labelIds"]) != "[INBOX]" || len(box.MessageIDs()) != 1 {
				t.Errorf("the upload answers %d %s", a.status, a.raw)
			}
		})
	}
}

func TestUploadsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	u := newUploaded(t)
	begun := u.upload(t, "POST", "me/messages/send?uploadType=resumable", "{}")
	to, err := url.Parse(begun.header.Get("Location"))
	must(t, err)
	id := to.Query().Get("upload_id")
	other := u.AddUser(gmailtest.User{Email: grace})
	token, _, err := u.Grant(grace, mailScope)
	must(t, err)
	stranger := account{u.Server, other, token}
	const required = "'raw' RFC822 payload message string or uploading message via /upload/* URL required"
	for name, tc := range map[string]struct {
		answer  answer
		code    int
		status  string
		reason  string
		message string
	}{
		"no type": {u.upload(t, "POST", "me/messages/send", "a: b"), 400, "INVALID_ARGUMENT", "invalidArgument", `Invalid value "" for query parameter 'uploadType'`},
		"nothing": {u.upload(t, "POST", "me/messages/send?uploadType=media", ""), 400, "INVALID_ARGUMENT", "invalidArgument", required},
		"no multipart": {u.upload(t, "POST", "me/messages/send?uploadType=multipart", "a: b"), 400, "INVALID_ARGUMENT", "badContent",
			"Bad content. The content type of a multipart upload must be multipart/related."},
		"one part": {u.upload(t, "POST", "me/messages/send?uploadType=multipart", "--b\r\n\r\n{}\r\n--b--", relatedType), 400, "INVALID_ARGUMENT", "badContent",
			"Missing end boundary in multipart body, or 1 parts where there must be two."},
		"bad JSON": {u.upload(t, "POST", "me/messages/send?uploadType=multipart", related("{", "a: b"), relatedType), 400, "INVALID_ARGUMENT", "invalidArgument",
			"Invalid JSON payload received. unexpected EOF"},
		"too much": {u.upload(t, "POST", "me/messages/send?uploadType=media", strings.Repeat("a", 35<<20+1)), 413, "FAILED_PRECONDITION", "uploadTooLarge",
			"Media larger than allowed limit: 36700160"},
		"another verb":      {u.upload(t, "PUT", "me/messages/send?uploadType=media", "a: b"), 404, "NOT_FOUND", "notFound", "The requested URL /upload/gmail/v1/users/me/messages/send was not found on this server."},
		"an unknown upload": {u.upload(t, "PUT", "me/messages/send?uploadType=resumable&upload_id=x", "a: b"), 404, "NOT_FOUND", "notFound", "Requested entity was not found."},
		"another method's":  {u.upload(t, "PUT", "me/messages?uploadType=resumable&upload_id="+id, "a: b"), 404, "NOT_FOUND", "notFound", "Requested entity was not found."},
		"another user's":    {stranger.upload(t, "PUT", "me/messages/send?uploadType=resumable&upload_id="+id, "a: b"), 404, "NOT_FOUND", "notFound", "Requested entity was not found."},
		"a method that takes none": {u.upload(t, "POST", "me/labels?uploadType=media", "a: b"), 404, "NOT_FOUND", "notFound",
			"The requested URL /upload/gmail/v1/users/me/labels was not found on this server."},
		"upload_id elsewhere": {u.send(t, "GET", "me/profile?upload_id=x", ""), 400, "INVALID_ARGUMENT", "invalidArgument",
			`Invalid JSON payload received. Unknown name "upload_id": Cannot bind query parameter. Field 'upload_id' could not be found in request message.`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantAPIError(t, tc.answer, tc.code, tc.status, tc.reason, tc.message)
		})
	}
	for _, span := range []string{"x", "bytes 0-3", "bytes 0-9/20", "bytes 4-1/20", "bytes 0-3/2", "bytes 0-3/x", "bytes x-3/4", "bytes */4", "bytes 0-3/-1"} {
		a := u.upload(t, "PUT", "me/messages/send?uploadType=resumable&upload_id="+id, "a: b", "Content-Range: "+span)
		wantAPIError(t, a, 400, "INVALID_ARGUMENT", "invalidArgument", "Failed to parse Content-Range header.")
	}
	if a := u.upload(t, "PUT", "me/messages/send?uploadType=resumable&upload_id="+id, "", "Content-Range: bytes */*"); a.status != 308 || a.header.Get("Range") != "" {
		t.Errorf("asked how much there is, it answers %d %v", a.status, a.header)
	}
	if a := u.upload(t, "PUT", "me/messages/send?uploadType=resumable&upload_id="+id, u.message); a.status != 200 || fmt.Sprint(a.body["labelIds"]) != "[SENT]" {
		t.Errorf("a single piece answers %d %s", a.status, a.raw)
	}
}
