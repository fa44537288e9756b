package gmailtest_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// A part is the answer to one call of a batch.
type part struct {
	id string
	answer
}

// batchOf puts calls into a batch, with Content-IDs <item0>, <item1> and so on. A call is what stands in its part.
func batchOf(calls ...string) string {
	var b strings.Builder
	for i, call := range calls {
		fmt.Fprintf(&b, "--x\r\nContent-Type: application/http\r\nContent-ID: <item%d>\r\n\r\n%s\r\n", i, call)
	}
	return b.String() + "--x--\r\n"
}

func (a account) batchRequest(t testing.TB, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.APIURL()+"batch/gmail/v1", strings.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", "multipart/mixed; boundary=x")
	req.Header.Set("Authorization", "Bearer "+a.token)
	return req
}

// batch sends calls and returns the answers in the order in which they came.
func (a account) batch(t testing.TB, calls ...string) []part {
	t.Helper()
	res, err := a.Client().Do(a.batchRequest(t, batchOf(calls...)))
	must(t, err)
	defer res.Body.Close()
	return partsOf(t, res)
}

func partsOf(t testing.TB, res *http.Response) []part {
	t.Helper()
	mediaType, params, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if res.StatusCode != 200 || err != nil || mediaType != "multipart/mixed" {
		t.Fatalf("the batch answers %s, %q, %v", res.Status, mediaType, err)
	}
	var parts []part
	for r := multipart.NewReader(res.Body, params["boundary"]); ; {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return parts
		}
		must(t, err)
		inner, err := http.ReadResponse(bufio.NewReader(p), nil)
		must(t, err)
		raw, err := io.ReadAll(inner.Body)
		must(t, err)
		if kind := p.Header.Get("Content-Type"); kind != "application/http" || inner.ContentLength != int64(len(raw)) {
			t.Errorf("a part is %q and says it has %d bytes, of %d", kind, inner.ContentLength, len(raw))
		}
		got := part{p.Header.Get("Content-ID"), answer{status: inner.StatusCode, header: inner.Header, raw: string(raw)}}
		if err := json.Unmarshal(raw, &got.body); err != nil && len(raw) > 0 {
			t.Errorf("a part is no JSON: %s", raw)
		}
		parts = append(parts, got)
	}
}

func (p part) String() string { return fmt.Sprintf("%s:%d", p.id, p.status) }

func TestABatchAnswersEachCallAsIfItWereAlone(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, modifyScope)
	id := acc.deliver(t, raw("Hello", "Subject: S"))
	calls := []string{
		"GET /gmail/v1/users/me/messages/" + id + "?format=minimal&fields=id,snippet",
		"GET /gmail/v1/users/me/messages/1 HTTP/1.1\r\nAccept: application/json\r\n\r\n",
		"POST /gmail/v1/users/me/messages/" + id + "/modify HTTP/1.1\r\nContent-Type: application/json\r\n\r\n" + `{"removeLabelIds":["UNREAD"]}`,
		"GET https://gmail.googleapis.com/gmail/v1/users/me/profile\nAccept: application/json\n",
		"GET /gmail/v1/users/me/messages?nope=1",
		"GET /oauth2/v3/certs",
		"GET /gmail/v1/users/me/nothing",
	}
	parts := acc.batch(t, calls...)
	want := "[<response-item0>:200 <response-item1>:404 <response-item2>:200 <response-item3>:200 <response-item4>:400 <response-item5>:404 <response-item6>:404]"
	if fmt.Sprint(parts) != want {
		t.Fatalf("parts = %v, want %s", parts, want)
	}
	if parts[0].raw != `{"id":"`+id+`","snippet":"Hello"}` || parts[0].header.Get("Content-Type") != "application/json; charset=UTF-8" {
		t.Errorf("the first call answers %v %s", parts[0].header, parts[0].raw)
	}
	wantAPIError(t, parts[1].answer, 404, "NOT_FOUND", "notFound", "Requested entity was not found.")
	if got := fmt.Sprint(parts[2].body["labelIds"]); got != "[INBOX]" {
		t.Errorf("the change answers %s", parts[2].raw)
	}
	if got := acc.Counts(); got["batch"] != 1 || got["gmail.users.messages.get"] != 2 || got["gmail.users.messages.modify"] != 1 ||
		got["gmail.users.getProfile"] != 1 || got["gmail.users.messages.list"] != 1 || got["certs"] != 0 {
		t.Errorf("counts = %v, want each call once and the batch", got)
	}
}

func TestContentIDsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	var body strings.Builder
	for _, line := range []string{"Content-ID: <a:b@c>\r\n", "Content-ID: plain\r\n", "content-id: <0>\r\n", ""} {
		body.WriteString("--x\r\nContent-Type: application/http; msgtype=request\r\n" + line + "\r\nGET /gmail/v1/users/me/profile\r\n\r\n")
	}
	res, err := acc.Client().Do(acc.batchRequest(t, "a preamble\r\n"+body.String()+"--x--"))
	must(t, err)
	defer res.Body.Close()
	if got := fmt.Sprint(partsOf(t, res)); got != "[<response-a:b@c>:200 response-plain:200 <response-0>:200 :200]" {
		t.Errorf("parts = %s", got)
	}
}

func TestACallOfABatchMayHaveItsOwnToken(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	grace := acc.AddUser(gmailtest.User{Email: "grace@example.com"})
	token, _, err := acc.Grant(grace.User().Email, readonlyScope)
	must(t, err)
	const call = "GET /gmail/v1/users/me/profile HTTP/1.1\r\n"
	inner := call + "authorization: Bearer " + token + "\r\n"
	for name, tc := range map[string]struct {
		outer string
		want  string
	}{
		"beside the batch's":  {acc.token, "[ada@example.com grace@example.com]"},
		"without the batch's": {"", "[<nil> grace@example.com]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parts := account{acc.Server, nil, tc.outer}.batch(t, call, inner)
			if got := fmt.Sprint([]any{parts[0].body["emailAddress"], parts[1].body["emailAddress"]}); got != tc.want {
				t.Errorf("addresses = %s, want %s", got, tc.want)
			}
		})
	}
}

func TestHeadersOfABatchHoldForItsCalls(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	var got []string
	acc.Inject(gmailtest.Fault{Op: "gmail.*", Match: func(r *http.Request) bool {
		got = append(got, fmt.Sprintf("%s %s %s", r.Header.Get("X-Outer"), r.Header.Get("X-Both"), r.Header.Get("Content-Type")))
		return false
	}})
	req := acc.batchRequest(t, batchOf("GET /gmail/v1/users/me/profile", "GET /gmail/v1/users/me/profile HTTP/1.1\r\nx-both: in\r\nContent-Type: a/b"))
	req.Header.Set("X-Outer", "out")
	req.Header.Set("X-Both", "out")
	res, err := acc.Client().Do(req)
	must(t, err)
	_ = res.Body.Close()
	if want := []string{"out out ", "out in a/b"}; !slices.Equal(got, want) {
		t.Errorf("the calls have %q, want %q", got, want)
	}
}

func TestBatchesThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	const profile = "GET /gmail/v1/users/me/profile"
	for name, tc := range map[string]struct{ contentType, body, message string }{
		"JSON":                     {"application/json", "{}", "Failed to parse batch request, error: 0 items. the content type is not multipart/mixed with a boundary"},
		"no boundary":              {"multipart/mixed", batchOf(profile), "Failed to parse batch request, error: 0 items. the content type is not multipart/mixed with a boundary"},
		"nothing":                  {"", "", "Failed to parse batch request, error: 0 items. multipart: NextPart: EOF"},
		"no part":                  {"", "--x--\r\n", "Failed to parse batch request, error: 0 items. EOF"},
		"no end":                   {"", strings.TrimSuffix(batchOf(profile), "--x--\r\n"), "Failed to parse batch request, error: 0 items. unexpected EOF"},
		"a part that is no call":   {"", batchOf(profile, "hello"), `Failed to parse batch request, error: 1 items. "hello" is no request line`},
		"a part of another type":   {"", strings.Replace(batchOf(profile), "application/http", "text/plain", 1), "Failed to parse batch request, error: 0 items. the content type of a part is not application/http"},
		"a header that is none":    {"", batchOf(profile + "\r\nno header\r\n"), `Failed to parse batch request, error: 0 items. the header of "GET /gmail/v1/users/me/profile" cannot be read`},
		"an address that is none":  {"", batchOf("GET /%zz"), `Failed to parse batch request, error: 0 items. "/%zz" is no address`},
		"a hundred and one parts":  {"", batchOf(slices.Repeat([]string{profile}, 101)...), "Inner request count exceeds the limit. Received: 101, Limit: 100"},
		"a part without a content": {"", batchOf(""), "Failed to parse batch request, error: 0 items. a part is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := acc.batchRequest(t, tc.body)
			if tc.contentType != "" {
				req.Header.Set("Content-Type", tc.contentType)
			}
			wantAPIError(t, do(t, acc.Server, req), 400, "INVALID_ARGUMENT", "badRequest", tc.message)
		})
	}
	if got := acc.Count("gmail.*"); got != 0 {
		t.Errorf("%d calls of refused batches were made", got)
	}
	if parts := acc.batch(t, slices.Repeat([]string{profile}, 100)...); len(parts) != 100 || parts[99].status != 200 {
		t.Errorf("a hundred calls have %d answers", len(parts))
	}
}

func TestAServerMayHaveNoBatches(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{NoBatch: true})
	acc := account{Server: s}
	wantAPIError(t, do(t, s, acc.batchRequest(t, batchOf("GET /gmail/v1/users/me/profile"))), 404, "NOT_FOUND", "notFound",
		"The requested URL /batch/gmail/v1 was not found on this server.")
}

func TestAnswersOfABatchMayComeInAnotherOrder(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{ReverseBatches: true})
	acc := account{s, s.AddUser(gmailtest.User{Email: ada}), accessToken(t, s, readonlyScope)}
	parts := acc.batch(t, "GET /gmail/v1/users/me/profile", "GET /gmail/v1/users/me/labels/x")
	if got := fmt.Sprint(parts); got != "[<response-item1>:404 <response-item0>:200]" {
		t.Errorf("parts = %s", got)
	}
}

func TestABatchIsPackedAsAWhole(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	req := acc.batchRequest(t, batchOf("GET /gmail/v1/users/me/profile HTTP/1.1\r\nAccept-Encoding: gzip\r\nUser-Agent: gzip"))
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("User-Agent", "test (gzip)")
	res, err := acc.Client().Do(req)
	must(t, err)
	defer res.Body.Close()
	if res.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("the batch came as %v", res.Header)
	}
	plain, err := gzip.NewReader(res.Body)
	must(t, err)
	res.Body = plain
	if parts := partsOf(t, res); len(parts) != 1 || parts[0].body["emailAddress"] != ada || parts[0].header.Get("Content-Encoding") != "" {
		t.Errorf("parts = %v %v", parts, parts[0].raw)
	}
}

func TestFaultsHitCallsOfABatchAlone(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	id := acc.deliver(t, raw("", "Subject: S"))
	fault := gmailtest.RateLimited("gmail.users.messages.get", time.Time{})
	fault.Times, fault.Match = 2, func(r *http.Request) bool { return r.FormValue("format") == "minimal" }
	acc.Inject(fault)
	get := "GET /gmail/v1/users/me/messages/" + id
	parts := acc.batch(t, get, get+"?format=minimal", get+"?format=minimal", get+"?format=minimal", "GET /gmail/v1/users/me/profile")
	if got := fmt.Sprint(parts); got != "[<response-item0>:200 <response-item1>:429 <response-item2>:429 <response-item3>:200 <response-item4>:200]" {
		t.Errorf("parts = %s", got)
	}
	remove := acc.Inject(gmailtest.Fault{Op: "batch", Status: 503})
	res, err := acc.Client().Do(acc.batchRequest(t, batchOf(get)))
	must(t, err)
	_ = res.Body.Close()
	if res.StatusCode != 503 {
		t.Errorf("a batch that a fault hits answers %s", res.Status)
	}
	remove()
	for name, f := range map[string]gmailtest.Fault{
		"at once": {Op: "gmail.users.messages.get", Drop: true}, "later": {Op: "gmail.users.messages.get", Delay: 1, Drop: true},
		"in the middle": {Op: "gmail.users.messages.get", CutAfter: 10},
	} {
		remove := acc.Inject(f)
		if _, err := acc.Client().Do(acc.batchRequest(t, batchOf(get, get))); !errors.Is(err, io.EOF) {
			t.Errorf("a call that breaks the connection %s ends in %v", name, err)
		}
		remove()
	}
}

func TestDelaysOfABatchPassTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		acc := newAccount(t, readonlyScope)
		acc.Inject(gmailtest.Fault{Op: "batch", Delay: time.Second})
		acc.Inject(gmailtest.Fault{Op: "gmail.*", Delay: 2 * time.Second})
		began := time.Now()
		parts := acc.batch(t, slices.Repeat([]string{"GET /gmail/v1/users/me/profile"}, 10)...)
		if took := time.Since(began); took != 3*time.Second || len(parts) != 10 {
			t.Errorf("%d parts took %v, want 10 and 3s", len(parts), took)
		}
	})
}

func FuzzBatch(f *testing.F) {
	for _, seed := range []string{
		batchOf("GET /gmail/v1/users/me/profile"), batchOf("POST /gmail/v1/users/me/messages/1/modify HTTP/1.1\r\nA: b\r\n\r\n{}", "x"),
		"--x\r\nContent-Type: application/http\r\n\r\nGET //x\r\n\r\n--x--", "--x--", "--x\r\n\r\n", "",
	} {
		f.Add(seed)
	}
	acc := newAccount(f, readonlyScope)
	f.Fuzz(func(t *testing.T, body string) {
		res, err := acc.Client().Do(acc.batchRequest(t, body))
		must(t, err)
		defer res.Body.Close()
		switch res.StatusCode {
		case 200:
			partsOf(t, res)
		case 400:
		default:
			t.Errorf("the answer is %s", res.Status)
		}
	})
}
