package gmailsvc_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc"
)

func TestDamagedMailIsReadAsFarAsItMakesSense(t *testing.T) {
	t.Parallel()
	const b = "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	for name, c := range map[string]struct {
		raw, text, problem string // problem: part of the error, "" for none
	}{
		"base64 with rubbish in it":           {"Content-Transfer-Encoding: base64\r\n\r\nSGV!s\r\nbG8=\r\n", "Hello", "base64"},
		"base64 that is cut off":              {"Content-Transfer-Encoding: BASE64\r\n\r\nSGVsbG8gd", "Hello ", "base64"},
		"base64 in two texts":                 {"Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\nIHdvcmxk\r\n", "Hello world", ""},
		"base64 without its padding":          {"Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8\r\n", "Hello", ""},
		"base64 in lines of odd lengths":      {"Content-Transfer-Encoding: base64\r\n\r\nSGVsb\r\nG8gd29ybGQs\nIGhvd\tyBhcmUg eW91\r\n", "Hello world, how are you", ""},
		"quoted-printable that is none":       {"Content-Transfer-Encoding: quoted-printable\r\n\r\n50 =XX =4a=\r\n", "50 =XX J", "quoted-printable"},
		"an encoding that is not known":       {"Content-Transfer-Encoding: x-uue\r\n\r\nHello", "Hello", "transfer encoding"},
		"an encoding with a comment":          {"Content-Transfer-Encoding: base64 (of course);\r\n\r\nSGVsbG8=", "Hello", ""},
		"a header that ends without an end":   {"Subject: x\r\nHello\r\n", "Hello\r\n", "header"},
		"a header with a space too many":      {"Content-Transfer-Encoding : base64\r\n\r\nSGVsbG8=", "Hello", ""},
		"the first line of an mbox":           {"From ada Thu Nov 19 20:55:01 2026\nContent-Transfer-Encoding: base64\n\nSGVsbG8=\n", "Hello", ""},
		"a multipart without a boundary":      {"Content-Type: multipart/mixed\r\n\r\nHello", "", "no part begins"},
		"a multipart without a part":          {b + "Hello", "", "no part begins"},
		"a multipart that ends at once":       {b + "--b--\r\nHello", "", "no part begins"},
		"a multipart without its end":         {b + "--b\r\n\r\none\r\n--bb\r\n", "one\r\n--bb\r\n", "cut off"},
		"a boundary without quotes":           {"Content-Type: multipart/mixed; boundary=----=_Part 1; x=y\r\n\r\n------=_Part 1\r\n\r\none\r\n------=_Part 1--", "one", ""},
		"a boundary that is given twice":      {"Content-Type: multipart/mixed; boundary=b; boundary=c\r\n\r\n--b\r\n\r\none\r\n--b--", "one", ""},
		"a charset that is given twice":       {"Content-Type: text/plain; charset=iso-8859-1; charset=x\r\n\r\nf\xfcr", "für", ""},
		"a charset in quotes":                 {"Content-Type: text/plain; charset=\" Windows-1252 \"\r\n\r\n\x80", "€", ""},
		"a charset that is not known":         {"Content-Type: text/plain; charset=x-klingon\r\n\r\nHello\xff", "", "x-klingon"},
		"an unknown charset of ASCII":         {"Content-Type: text/plain; charset=unknown-8bit\r\n\r\nHello", "Hello", ""},
		"UTF-8 that says ISO-8859-1":          {"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nfür", "für", ""},
		"Windows-1252 that says ISO-8859-1":   {"Content-Type: text/plain; charset=iso-8859-1\r\n\r\n\x80", "€", ""},
		"UTF-8 that says ASCII":               {"Content-Type: text/plain; charset=us-ascii\r\n\r\nfür", "für", ""},
		"Windows-1252 that says nothing":      {"\r\n\x93f\xfcr\x94", "“für”", ""},
		"bytes that are not the UTF-8 said":   {"Content-Type: text/plain; charset=utf-8\r\n\r\nf\xfcr", "f\uFFFDr", "utf-8"},
		"bytes that are not the charset said": {"Content-Type: text/plain; charset=shift_jis\r\n\r\nf\xff\xffr", "f\uFFFD\uFFFDr", "shift_jis"},
		"ISO-2022-JP":                         {"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B$3$s\x1b(B", "こん", ""},
		"line feeds alone":                    {"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\ntwo\n--b--\n", "one\ntwo", ""},
		"a NUL":                               {"Subject: a\x00b\r\n\r\na\x00b", "a\x00b", ""},
		"nothing at all":                      {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := gmailsvc.ParseMessage(strings.NewReader(c.raw))
			if m == nil {
				t.Fatalf("no message, and %v", err)
			}
			if got := m.Text(); got != c.text {
				t.Errorf("the text is %q, want %q", got, c.text)
			}
			switch damage, ok := errors.AsType[*gmailsvc.MessageError](err); {
			case c.problem == "" && err != nil:
				t.Errorf("the error is %v, want none", err)
			case c.problem != "" && (!ok || !strings.Contains(damage.Error(), c.problem)):
				t.Errorf("the error is %v, want one about %q", err, c.problem)
			}
			if c.text == "" && strings.Contains(c.raw, "Hello") && !strings.Contains(string(m.Root.Data), "Hello") {
				t.Errorf("what could not be read is %q, want it kept", m.Root.Data)
			}
		})
	}
}

func TestFilenamesAreDecoded(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]string{
		`Content-Disposition: attachment; filename=plain.txt`:                                                 "plain.txt",
		`Content-Disposition: attachment; filename="a \"b\" \\ c.txt"`:                                        `a "b" \ c.txt`,
		`Content-Disposition: attachment; filename="C:\temp\new.txt"`:                                         `C:\temp\new.txt`,
		`Content-Disposition: attachment; filename="a;b.txt"; size=3`:                                         "a;b.txt",
		`Content-Disposition: attachment; FileName = "open`:                                                   "open",
		`Content-Disposition: attachment; filename=two words.txt`:                                             "two words.txt",
		`Content-Disposition: attachment; filename*=UTF-8''%e2%82%ac%20rates.txt; filename=x`:                 "€ rates.txt",
		`Content-Disposition: attachment; filename*=iso-8859-1'de'f%fcr.txt`:                                  "für.txt",
		`Content-Disposition: attachment; filename*=100%.txt`:                                                 "100%.txt",
		`Content-Disposition: attachment; filename*0*=UTF-8''%e2%82; filename*1*=%ac; filename*2=" 5%20.txt"`: "€ 5%20.txt",
		`Content-Disposition: attachment; filename*1=b.txt; filename*0=a`:                                     "ab.txt",
		`Content-Disposition: attachment; filename="=?utf-8?B?w7wudHh0?="`:                                    "ü.txt",
		"Content-Disposition: attachment; filename=f\xfcr.txt":                                                "für.txt",
		`Content-Type: text/plain; name="=?iso-8859-1?Q?=FC.txt?="`:                                           "ü.txt",
		"Content-Type: text/plain;\r\n\tcharset=utf-8;\r\n\tname=\"folded\r\n name.txt\"":                     "folded name.txt",
		`Content-Disposition: attachment`:                                                                     "",
		`Content-Disposition: attachment;;; =; x; filename=late.txt`:                                          "late.txt",
		`Content-Disposition: attachment` + strings.Repeat("; a=b", 100) + `; filename=beyond.txt`:            "",
		`Content-Disposition: attachment; filename*=x-klingon''%ff`:                                           "x-klingon''%ff",
	} {
		t.Run(fields, func(t *testing.T) {
			t.Parallel()
			m, err := gmailsvc.ParseMessage(strings.NewReader(fields + "\r\n\r\nx"))
			if m == nil || m.Root.Filename != want || (err != nil) != strings.Contains(fields, "klingon") {
				t.Errorf("got %+v, %v; want the name %q", m, err, want)
			}
		})
	}
}

func TestWhatIsReadOfAMessageIsBounded(t *testing.T) {
	t.Parallel()
	deep := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
		}
		return b.String() + "\r\nbottom"
	}
	for name, c := range map[string]struct {
		raw, problem string
		parts        int // at most
	}{
		"depth of multiparts":        {deep(500), "deeper", 40},
		"depth of messages":          {strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 5000), "deeper", 40},
		"depth of encoded messages":  {strings.Repeat("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", 5000), "deeper", 40},
		"number of parts":            {"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 50_000) + "--b--\r\n", "more parts", 3000},
		"number of fields":           {strings.Repeat("a:\r\n", 500_000) + "\r\nbody", "more header", 1},
		"size of the header":         {strings.Repeat("a: "+strings.Repeat("x", 1000)+"\r\n", 5000) + "\r\nbody", "more header", 1},
		"length of one field":        {"a:" + strings.Repeat(" x\r\n", 1_000_000) + "\r\n\r\nbody", "more header", 1},
		"number of a field's params": {"Content-Type: text/plain" + strings.Repeat(";a=b", 100_000) + "\r\n\r\nbody", "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := gmailsvc.ParseMessage(strings.NewReader(c.raw))
			if m == nil || c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)) {
				t.Fatalf("got %v, want one about %q", err, c.problem)
			}
			parts, fields, bytes := 0, 0, 0
			for p := range m.Root.All() {
				parts++
				fields += len(p.Header)
				for _, f := range p.Header {
					bytes += len(f.Name) + len(f.Value)
				}
			}
			if parts > c.parts || fields > 20_000 || bytes > 1<<20 {
				t.Errorf("read %d parts, %d fields and %d bytes of header", parts, fields, bytes)
			}
		})
	}
}

// An attached message is kept as a file and as parts. Those share their memory, or messages within messages would
// need the size of a message for each.
func TestMessagesWithinMessagesShareTheirBytes(t *testing.T) {
	t.Parallel()
	m, err := gmailsvc.ParseMessage(strings.NewReader(
		strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 30) + "Content-Type: application/pdf\r\n\r\n%PDF"))
	if err != nil {
		t.Fatal(err)
	}
	last := func(p *gmailsvc.Part) *byte { return &p.Data[len(p.Data)-1] }
	parts := 0
	for p := range m.Root.All() {
		if parts++; last(p) != last(&m.Root) {
			t.Errorf("part %q has a copy of its own", p.ID)
		}
	}
	if parts != 31 {
		t.Errorf("got %d parts, want 31", parts)
	}
}
