package gmailsvc_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// serving is a service whose every call is answered with body.
func serving(tb testing.TB, body io.Reader) *gmailsvc.Service {
	tb.Helper()
	transport := roundTripper(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(body), Request: req}, nil
	})
	svc, err := gmailsvc.New(gmailsvc.Config{HTTPClient: &http.Client{Transport: transport}}).
		BuildService(tb.Context(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "token"}))
	if err != nil {
		tb.Fatal(err)
	}
	return svc
}

func TestAttachmentsAreFetched(t *testing.T) {
	t.Parallel()
	r := newMailroom(t, gmailtest.Config{})
	for _, size := range []int{1, 2, 3, 1000, 24<<10 - 1, 24 << 10, 24<<10 + 1, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			data := make([]byte, size)
			random := rand.New(rand.NewPCG(1, uint64(size)))
			for i := range data {
				data[i] = byte(random.Uint32())
			}
			m := &gmailsvc.Compose{Subject: fmt.Sprint(size), Attachments: []gmailsvc.File{{Name: "x.bin", Open: gmailsvc.FromReader(bytes.NewReader(data))}}}
			var raw strings.Builder
			if _, err := m.WriteTo(&raw); err != nil {
				t.Fatal(err)
			}
			got, err := r.fetch(t, r.deliver(t, raw.String()), "full")
			if err != nil {
				t.Fatal(err)
			}
			p := got.Attachments()[0]
			if p.AttachmentID == "" || p.Size != int64(size) || len(p.Data) > 0 {
				t.Errorf("got %+v, want it apart", p)
			}
			if !bytes.Equal(r.attachment(t, got.ID, p.AttachmentID), data) {
				t.Error("the attachment is not what was attached")
			}
			body, err := r.svc.Attachment(t.Context(), got.ID, p.AttachmentID)
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			if err := iotest.TestReader(body, data); err != nil {
				t.Error(err)
			}
		})
	}
}

// endless is the answer with an attachment of n bytes, never in memory as a whole.
func endless(n int64) io.Reader {
	zeros := io.LimitReader(repeated('A'), n/3*4)
	return io.MultiReader(strings.NewReader(`{"size":`+fmt.Sprint(n)+`,"data":"`), zeros, strings.NewReader(`"}`))
}

type repeated byte

func (r repeated) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r)
	}
	return len(p), nil
}

// It runs alone: it measures memory.
func TestAnAttachmentIsNeverInMemoryAsAWhole(t *testing.T) {
	const size = 60 << 20
	body, err := serving(t, endless(size)).Attachment(t.Context(), "m", "a")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	took := memoryOf(func() {
		if n, err := io.Copy(sha256.New(), body); err != nil || n != size {
			t.Errorf("read %d bytes, %v", n, err)
		}
	})
	if took > 1<<20 {
		t.Errorf("an attachment of %d bytes took %d of memory", size, took)
	}
}

// memoryOf returns how many bytes f allocates, if nothing else runs.
func memoryOf(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestAnAttachmentThatIsNotWholeEndsWithAnError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer, data string
		want         error // nil: any
	}{
		"cut off within its data":     {`{"size":5,"data":"SGVsb`, "Hel", io.ErrUnexpectedEOF},
		"cut off behind its data":     {`{"size":5,"data":"SGVsbG8="`, "Hello", io.ErrUnexpectedEOF},
		"cut off before its data":     {`{"size":5`, "", io.ErrUnexpectedEOF},
		"nothing":                     {``, "", io.ErrUnexpectedEOF},
		"damaged data":                {`{"data":"SGVs*bG8="}`, "Hello", nil},
		"a line end in its data":      {"{\"data\":\"SGVs\nbG8=\"}", "Hel", nil},
		"an escape that is none":      {`{"data":"SGVs\xbG8="}`, "Hel", nil},
		"something behind":            {`{"data":"SGVsbG8="}{}`, "Hello", nil},
		"a list":                      {`[]`, "", nil},
		"a number":                    {`{"data":1}`, "", nil},
		"something behind its data":   {`{"data":"SGVsbG8=" "size":5}`, "Hello", nil},
		"a page instead of an answer": {`<html>`, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := serving(t, strings.NewReader(c.answer)).Attachment(t.Context(), "m", "a")
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			data, err := io.ReadAll(iotest.OneByteReader(body))
			if string(data) != c.data || err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %q, %v; want %q, %v", data, err, c.data, c.want)
			}
		})
	}
}

func TestAttachmentReadsWhateverTheAPIMaySend(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"data first":        ` { "data" : "SGVsbG8=" , "size" : 5 , "attachmentId" : "x" } `,
		"escapes":           `{"size":5,"data":"SGVs\u0062G8\u003d"}`,
		"without padding":   `{"size":5,"data":"SGVsbG8"}`,
		"members like data": `{"Data":"no","new":{"data":"no"},"data":"SGVsbG8"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := serving(t, iotest.OneByteReader(strings.NewReader(answer))).Attachment(t.Context(), "m", "a")
			if err != nil {
				t.Fatal(err)
			}
			if data, err := io.ReadAll(body); string(data) != "Hello" || err != nil {
				t.Errorf("got %q, %v", data, err)
			}
			for range 2 {
				if err := body.Close(); err != nil {
					t.Error(err)
				}
			}
			if _, err := body.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("reading after Close answers %v, want another error", err)
			}
		})
	}
	for name, answer := range map[string]string{"no data": `{"size":0}`, "null": `{"data":null}`, "empty": `{"data":""}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := serving(t, strings.NewReader(answer)).Attachment(t.Context(), "m", "a")
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			if data, err := io.ReadAll(body); len(data) > 0 || err != nil {
				t.Errorf("got %q, %v; want nothing", data, err)
			}
		})
	}
}

func TestAttachmentAnswersGmailsErrors(t *testing.T) {
	t.Parallel()
	r := newMailroom(t, gmailtest.Config{})
	id := r.deliver(t, everything)
	for name, c := range map[string]struct{ message, attachment string }{
		"no such message":    {"1", "x"},
		"no such attachment": {id, "x"},
	} {
		_, err := r.svc.Attachment(t.Context(), c.message, c.attachment)
		if refused, ok := errors.AsType[*googleapi.Error](err); !ok || refused.Code < 400 {
			t.Errorf("%s: got %v, want Gmail's error", name, err)
		}
	}
}

func TestAttachmentAsksNothingForWhatIsNoID(t *testing.T) {
	t.Parallel()
	svc := serving(t, brokenReader{})
	for name, c := range map[string]struct{ message, attachment string }{
		"no message": {"", "x"}, "no attachment": {"m", ""}, "a path": {"..", "x"}, "another path": {"m", "."},
	} {
		if _, err := svc.Attachment(t.Context(), c.message, c.attachment); err == nil {
			t.Errorf("%s: the call was made", name)
		}
	}
}

func TestLoadTextFetchesTextsThatCameApart(t *testing.T) {
	t.Parallel()
	r := newMailroom(t, gmailtest.Config{InlineBodyLimit: 12})
	m, err := r.fetch(t, r.deliver(t, everything), "full")
	if err != nil {
		t.Fatal(err)
	}
	if m.Text() != "A footer." || m.HTML() != "" {
		t.Errorf("before: %q, %q", m.Text(), m.HTML())
	}
	if err := r.svc.LoadText(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if m.Text() != "10 € für Fisch\r\nA footer." || !strings.HasPrefix(m.HTML(), "<p>10") || len(m.Attachments()) != 3 {
		t.Errorf("after: %q, %q and %d attachments", m.Text(), m.HTML(), len(m.Attachments()))
	}
	calls := r.google.Count("gmail.users.messages.attachments.get")
	if err := r.svc.LoadText(t.Context(), m); err != nil || calls != 2 || r.google.Count("gmail.users.messages.attachments.get") != 2 {
		t.Errorf("%d calls for two texts, and more for what is there; %v", calls, err)
	}
}

func TestLoadTextKnowsThatGmailTranscodes(t *testing.T) {
	t.Parallel()
	m, err := gmailsvc.DecodeMessage(strings.NewReader(`{"payload":{"mimeType":"text/plain","body":{"attachmentId":"a","size":2},` +
		`"headers":[{"name":"Content-Type","value":"text/plain; charset=shift_jis"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	m.ID = "m"
	if err := serving(t, strings.NewReader(`{"data":"`+b64("für")+`"}`)).LoadText(t.Context(), m); err != nil || m.Text() != "für" {
		t.Errorf("got %q, %v", m.Text(), err)
	}
}

func TestLoadTextSaysWhatItCannotRead(t *testing.T) {
	t.Parallel()
	m, err := gmailsvc.DecodeMessage(strings.NewReader(`{"id":"m","payload":{"partId":"","mimeType":"text/plain","body":{"attachmentId":"a","size":2},` +
		`"headers":[{"name":"Content-Type","value":"text/plain; charset=x-odd"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	err = serving(t, strings.NewReader(`{"data":"`+b64("a\xff")+`"}`)).LoadText(t.Context(), m)
	if damage, ok := errors.AsType[*gmailsvc.MessageError](err); !ok || damage.MessageID != "m" || string(m.Root.Data) != "a\xff" {
		t.Errorf("got %v and %q, want *MessageError and the bytes", err, m.Root.Data)
	}
	m.Root.Data = nil
	if err := serving(t, strings.NewReader(`{"data":"SG`)).LoadText(t.Context(), m); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want io.ErrUnexpectedEOF", err)
	}
}
