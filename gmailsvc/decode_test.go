package gmailsvc_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func b64(text string) string { return base64.URLEncoding.EncodeToString([]byte(text)) }

// Text reaches the decoder in pieces of any length, and a window's end may fall anywhere.
func TestDecodingDoesNotDependOnHowTheBytesCome(t *testing.T) {
	t.Parallel()
	r := newMailroom(t, gmailtest.Config{})
	long := strings.Replace(everything, "A footer.", strings.Repeat("Ein längerer Fuß. ", 9000), 1)
	for _, raw := range []string{everything, long} {
		id := r.deliver(t, raw)
		for _, format := range []string{"full", "raw", "metadata"} {
			answer := string(r.get(t, "messages/"+id+"?format="+format))
			want, err := gmailsvc.DecodeMessage(strings.NewReader(answer))
			if err != nil {
				t.Fatal(err)
			}
			for name, reader := range map[string]io.Reader{
				"byte by byte":               iotest.OneByteReader(strings.NewReader(answer)),
				"by halves":                  iotest.HalfReader(strings.NewReader(answer)),
				"with its end at once":       iotest.DataErrReader(strings.NewReader(answer)),
				"with blanks before":         strings.NewReader(strings.Repeat(" ", 32<<10-3) + answer),
				"with blanks all over":       strings.NewReader(strings.ReplaceAll(strings.ReplaceAll(answer, `,"`, " ,\r\n\t\""), `":`, `" : `)),
				"with escapes, in names too": strings.NewReader(strings.ReplaceAll(answer, "a", `\u0061`)),
				"with blanks and byte-wise":  iotest.OneByteReader(strings.NewReader(strings.ReplaceAll(answer, `":`, `" : `) + "\n ")),
			} {
				got, err := gmailsvc.DecodeMessage(reader)
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%s, %s: got %+v, %v; want %+v", format, name, got, err, want)
				}
			}
		}
	}
}

func TestDecodeMessageTakesWhatTheAPIMaySend(t *testing.T) {
	t.Parallel()
	text := func(m *gmailsvc.Message) string { return m.Text() }
	subject := func(m *gmailsvc.Message) string { return m.Header().Get("Subject") }
	html := func(m *gmailsvc.Message) string { return m.HTML() }
	id := func(m *gmailsvc.Message) string { return m.ID }
	history := func(m *gmailsvc.Message) string { return fmt.Sprint(m.HistoryID) }
	date := func(m *gmailsvc.Message) string { return m.InternalDate.Format("2006-01-02T15:04:05.000Z07:00") }
	body := func(kind, charset, data string) string {
		return `{"payload":{"mimeType":"` + kind + `","headers":[{"name":"Content-Type","value":"` + kind + `; charset=` + charset + `"}],` +
			`"body":{"size":1,"data":"` + data + `"}}}`
	}
	for name, c := range map[string]struct {
		json string
		get  func(*gmailsvc.Message) string
		want string
	}{
		"nothing":                 {`{}`, id, ""},
		"null":                    {`null`, id, ""},
		"null wherever it may be": {`{"id":null,"labelIds":null,"historyId":null,"internalDate":null,"sizeEstimate":null,"payload":{"headers":[null],"body":{"data":null},"parts":[null]},"raw":null}`, id, ""},
		"members in any order":    {`{"payload":{"body":{"data":"` + b64("<p>") + `","size":3},"filename":"","mimeType":"text/html"},"id":"1"}`, html, "<p>"},
		"members that are new":    {`{"new":{"a":[1,-2.5e3,true,false,null,"x\"\u0041",{}]},"id":"1"}`, id, "1"},
		"the last of two":         {`{"id":"1","id":"2"}`, id, "2"},
		"the last of two headers": {`{"payload":{"headers":[{"name":"subject","value":"1"}],"headers":[{"name":"subject","value":"2"}]}}`, subject, "2"},
		"the last of two lists of parts": {`{"payload":{"mimeType":"multipart/x","parts":[{"mimeType":"text/html","body":{"data":"*MQ"},"parts":[{}]}],` +
			`"parts":[{"mimeType":"text/html","body":{"data":"Mg"}}]}}`, html, "2"},
		"UTF-8 with an escape character":      {body("text/plain", "shift_jis", b64("\x1b[1mfür")), text, "\x1b[1mfür"},
		"escapes":                             {`{"id":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}`, id, "\"\\/\b\f\n\r\té😀"},
		"escapes of half a character":         {`{"id":"\ud83d-\ude00\ud83d\u0041\ud83d\n"}`, id, "\uFFFD-\uFFFD\uFFFDA\uFFFD\n"},
		"bytes that are no UTF-8":             {"{\"id\":\"a\xff\xfeb\xc3\"}", id, "a\uFFFD\uFFFDb\uFFFD"},
		"a history ID in quotes":              {`{"historyId":"18446744073709551615"}`, history, "18446744073709551615"},
		"a history ID as a number":            {`{"historyId":12}`, history, "12"},
		"a date to the millisecond":           {`{"internalDate":"1795161600123"}`, date, "2026-11-20T08:00:00.123Z"},
		"a date before 1970":                  {`{"internalDate":"-1"}`, date, "1969-12-31T23:59:59.999Z"},
		"a decoded subject":                   {`{"payload":{"headers":[{"name":"SUBJECT","value":"Gr\u00fc\u00dfe"}]}}`, subject, "Grüße"},
		"a subject that is not decoded":       {`{"payload":{"headers":[{"value":"=?utf-8?Q?Gr=C3=BC=C3=9Fe?=","name":"subject"}]}}`, subject, "Grüße"},
		"base64url with padding":              {body("text/plain", "utf-8", "Pz8_Pj4-w78="), text, "???>>>ÿ"},
		"base64url without padding":           {body("text/plain", "utf-8", "SGVsbG8"), text, "Hello"},
		"the other base64":                    {body("text/plain", "utf-8", `Pz8\/Pj4+`), text, "???>>>"},
		"base64url with escapes":              {body("text/plain", "utf-8", `SGVs\u0062G8\u003d`), text, "Hello"},
		"UTF-8 whose header says otherwise":   {body("text/plain", "windows-1252", b64("für 10 €")), text, "für 10 €"},
		"UTF-8 whose header says Shift_JIS":   {body("text/plain", "shift_jis", b64("こんにちは")), text, "こんにちは"},
		"UTF-8 whose header says ISO-2022-JP": {body("text/plain", "iso-2022-jp", b64("こんにちは")), text, "こんにちは"},
		"UTF-8 whose header says nonsense":    {body("text/plain", "x-klingon", b64("für")), text, "für"},
		"Windows-1252 as it was sent":         {body("text/plain", "windows-1252", b64("f\xfcr 10 \x80")), text, "für 10 €"},
		"ISO-2022-JP as it was sent":          {body("text/html", "iso-2022-jp", b64("\x1b$B$3$s\x1b(B")), html, "こん"},
		"a type in capitals":                  {body("TEXT/Plain", "utf-8", b64("Hello")), text, "Hello"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, reader := range []io.Reader{strings.NewReader(c.json), iotest.OneByteReader(strings.NewReader(c.json))} {
				if m, err := gmailsvc.DecodeMessage(reader); err != nil || c.get(m) != c.want {
					t.Errorf("got %+v, %v; want %q", m, err, c.want)
				}
			}
		})
	}
}

func TestDecodeMessageRefusesWhatIsNoJSONOfAMessage(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":                         ``,
		"blanks":                          "  \n",
		"a text":                          `"id"`,
		"a list":                          `[]`,
		"HTML":                            `<html>`,
		"an end that is missing":          `{"id":"1"`,
		"a text without an end":           `{"id":"1`,
		"data without an end":             `{"payload":{"body":{"data":"SGVs`,
		"something behind":                `{"id":"1"}{`,
		"a comma too many":                `{"id":"1",}`,
		"a comma too few":                 `{"id":"1" "threadId":"2"}`,
		"a colon too few":                 `{"id" "1"}`,
		"a name without quotes":           `{id:"1"}`,
		"a number for an ID":              `{"id":1}`,
		"a text for labels":               `{"labelIds":"INBOX"}`,
		"a word for a number":             `{"historyId":"many"}`,
		"a number that is too large":      `{"historyId":"18446744073709551616"}`,
		"a fraction of a byte":            `{"sizeEstimate":1.5}`,
		"a number with a zero first":      `{"new":01}`,
		"a sign alone":                    `{"new":-}`,
		"an unknown word":                 `{"new":nil}`,
		"a line end in a text":            "{\"id\":\"a\nb\"}",
		"a line end in data":              "{\"payload\":{\"body\":{\"data\":\"SGVs\nbG8=\"}}}",
		"a NUL in a text nobody asks for": "{\"new\":\"\x00\"}",
		"an unknown escape":               `{"id":"\x41"}`,
		"an escape that is cut off":       `{"id":"\u00`,
		"an escape that is no number":     `{"id":"\u00g0"}`,
		"a list of parts that is none":    `{"payload":{"parts":{}}}`,
		"a depth without end":             strings.Repeat(`{"new":`, 20_000),
		"too deep a list":                 `{"new":` + strings.Repeat(`[`, 20_000) + strings.Repeat(`]`, 20_000) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, reader := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
				if m, err := gmailsvc.DecodeMessage(reader); err == nil || m != nil {
					t.Errorf("got %+v, %v; want an error alone", m, err)
				}
			}
		})
	}
	if _, err := gmailsvc.DecodeMessage(strings.NewReader(`{"id":"1`)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("what is cut off answers %v, want io.ErrUnexpectedEOF", err)
	}
}

func TestDamagedBodiesOfTheAPIComeWithAnError(t *testing.T) {
	t.Parallel()
	const one = `{"id":"m","payload":{"mimeType":"multipart/mixed","parts":[{"partId":"0","mimeType":"text/plain","body":{"data":"`
	deep := strings.Repeat(`{"parts":[`, 100) + `{}` + strings.Repeat(`]}`, 100)
	for name, c := range map[string]struct{ json, text, problem string }{
		"rubbish in it":      {one + `SGVs*bG8="}}]}}`, "Hello", `part 0: base64`},
		"an escaped NUL":     {one + `SGVs\u0000bG8="}}]}}`, "Hello", `part 0: base64`},
		"a line end":         {one + `SGVs\nbG8="}}]}}`, "Hello", ""},
		"cut off":            {one + `SGVsb"}}]}}`, "Hel", "part 0: base64"},
		"an unknown charset": {one + `SGVs_w==","size":4},"headers":[{"name":"content-type","value":"text/plain; charset=x-odd"}]}]}}`, "", `charset \"x-odd\"`},
		"depth":              {`{"payload":` + deep + `}`, "", "deeper"},
		"number of parts":    {`{"payload":{"parts":[{}` + strings.Repeat(`,{}`, 5000) + `]}}`, "", "more parts"},
		"number of fields":   {`{"payload":{"headers":[{}` + strings.Repeat(`,{}`, 30_000) + `]}}`, "", "more header"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := gmailsvc.DecodeMessage(strings.NewReader(c.json))
			if m == nil || m.Text() != c.text {
				t.Fatalf("got %+v, %v; want the text %q", m, err, c.text)
			}
			_, ok := errors.AsType[*gmailsvc.MessageError](err)
			if ok != (c.problem != "") || ok && !strings.Contains(strings.ReplaceAll(err.Error(), `"`, `\"`), c.problem) {
				t.Errorf("the error is %v, want one about %q", err, c.problem)
			}
		})
	}
}

func TestDecodeThreadYieldsMessagesAsTheyCome(t *testing.T) {
	t.Parallel()
	r := newMailroom(t, gmailtest.Config{})
	first := r.deliver(t, everything)
	second := r.deliver(t, "Date: Fri, 20 Nov 2026 10:00:00 +0100\r\n\r\nAnswer\r\n", gmailtest.InThread(first))
	answer := r.get(t, "threads/"+first+"?format=full")
	// All but the last bytes: each message must be yielded before the thread ends.
	var ids []string
	var last error
	for m, err := range gmailsvc.DecodeThread(brokenReader{strings.NewReader(string(answer[:len(answer)-2]))}) {
		if last = err; err == nil {
			ids = append(ids, m.ID)
		}
	}
	if len(ids) != 2 || ids[0] != first || ids[1] != second || !errors.Is(last, errBroken) {
		t.Errorf("got %v and then %v; want %s, %s and the reader's error", ids, last, first, second)
	}
	for m, err := range gmailsvc.DecodeThread(strings.NewReader(string(answer))) {
		if err != nil || m.ID != first {
			t.Errorf("got %+v, %v; want the first message", m, err)
		}
		break
	}
}

func TestDecodeThreadGoesOnAfterADamagedMessage(t *testing.T) {
	t.Parallel()
	const thread = `{"id":"t","historyId":"7","messages":[{"id":"1","payload":{"mimeType":"text/plain","body":{"data":"*"}}},` +
		`{"id":"2"}],"snippet":"x"}`
	var got []string
	for m, err := range gmailsvc.DecodeThread(strings.NewReader(thread)) {
		_, damaged := errors.AsType[*gmailsvc.MessageError](err)
		got = append(got, fmt.Sprint(m.ID, damaged))
	}
	if want := []string{"1true", "2false"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for name, text := range map[string]string{"none": `{}`, "null": `{"messages":null}`, "nothing": `null`} {
		for m, err := range gmailsvc.DecodeThread(strings.NewReader(text)) {
			t.Errorf("%s: got %v, %v", name, m, err)
		}
	}
}

// Working memory is used again: nothing of one message may be seen in another, nor change when the next is read.
func TestMessagesDoNotShareMemory(t *testing.T) {
	t.Parallel()
	r := newMailroom(t, gmailtest.Config{})
	id := r.deliver(t, everything)
	answer := string(r.get(t, "messages/"+id+"?format=raw"))
	first, err := gmailsvc.DecodeMessage(strings.NewReader(answer))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%#v", *first.Root.Parts[1]) + first.Text() + string(first.Attachments()[0].Data)
	image := `{"payload":{"mimeType":"image/png","body":{"data":"ZZZZZZZZ"}}}`
	var others sync.WaitGroup
	for range 4 * runtime.GOMAXPROCS(0) { // working memory stays with a processor
		others.Go(func() {
			for range 20 {
				m, err := gmailsvc.DecodeMessage(strings.NewReader(image))
				if err != nil || m.ID != "" || len(m.LabelIDs) > 0 || len(m.Root.Header) > 0 || !m.InternalDate.IsZero() {
					t.Errorf("got %+v, %v", m, err)
				}
				runtime.Gosched()
			}
		})
	}
	others.Wait()
	if got := fmt.Sprintf("%#v", *first.Root.Parts[1]) + first.Text() + string(first.Attachments()[0].Data); got != want {
		t.Errorf("the first message now is %s, was %s", got, want)
	}
}
