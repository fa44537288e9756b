package gmailsvc_test

import (
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// everything is a message with one of everything: encoded header, alternatives, an inline image, files, another
// message.
const everything = "From: =?UTF-8?Q?J=C3=BCrgen?= <juergen@example.org>\r\n" +
	"To: Ada <ada@example.com>\r\nSubject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n =?iso-8859-1?Q?_aus_K=F6ln?=\r\n" +
	"Date: Fri, 20 Nov 2026 09:00:00 +0100\r\nMessage-ID: <one@example.org>\r\nReceived: from a\r\nReceived: from b\r\n" +
	"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"out er\"\r\n\r\nA preamble.\r\n" +
	"--out er\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n" +
	"--in\r\nContent-Type: text/plain; charset=windows-1252\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n10 =80 f=FCr =\r\nFisch\r\n" +
	"--in\r\nContent-Type: multipart/related; boundary=rel\r\n\r\n" +
	"--rel\r\nContent-Type: TEXT/HTML\r\n\r\n<p>10 &euro;<img src=\"cid:logo\"></p>\r\n" +
	"--rel\r\nContent-Type: image/png\r\nContent-ID: <logo>\r\nContent-Disposition: inline\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0K\r\n" +
	"--rel--\r\n--in--\r\n" +
	"--out er  \r\nContent-Type: text/csv; name=\"a.csv\"\r\nContent-Disposition: attachment; filename*=UTF-8''%C3%BCber.csv\r\n" +
	"Content-Transfer-Encoding: base64\r\n\r\nYSxi\r\nCjEsMgo=\r\n" +
	"--out er\r\nContent-Type: message/rfc822\r\n\r\nSubject: Inner\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n" +
	"--i\r\n\r\nInner text\r\n--i\r\nContent-Type: application/pdf\r\n\r\n%PDF\r\n--i--\r\n" +
	"--out er\r\nContent-Type: text/plain\r\n\r\nA footer.\r\n" +
	"--out er--\r\nAn epilogue.\r\n"

// nasty is mail that is whole, but seldom seen.
var nasty = map[string]string{
	"one of everything":      everything,
	"no body":                "Subject: x\r\n\r\n",
	"no header":              "\r\nHello\r\n",
	"an empty part":          "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n\r\n--b--\r\n",
	"no Content-Type":        "Subject: x\r\n\r\nHello\r\n",
	"a Content-Type of one":  "Content-Type: text\r\n\r\nHello\r\n",
	"a binary message":       "Content-Type: application/pdf; name=x.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n//79AA==\r\n",
	"a file of text":         "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Disposition: attachment; filename=\"a b.txt\"\r\n\r\nGr\xfc\xdfe\r\n",
	"a digest":               "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: one\r\n\r\nOne\r\n--b\r\n\r\nSubject: two\r\n\r\nTwo\r\n--b--\r\n",
	"ISO-8859-1":             "Subject: Gr\xfc\xdfe\r\nContent-Type: text/plain; charset=ISO-8859-1\r\n\r\nGr\xfc\xdfe\r\n",
	"Shift_JIS":              "Content-Type: text/plain; charset=Shift_JIS\r\n\r\n\x82\xb1\x82\xf1\x82\xc9\x82\xbf\x82\xcd\r\n",
	"KOI8-R":                 "Content-Type: text/plain; charset=koi8-r\r\n\r\n\xf0\xd2\xc9\xd7\xc5\xd4\r\n",
	"GB2312":                 "Subject: =?gb2312?B?xOO6ww==?=\r\nContent-Type: text/html; charset=gb2312\r\n\r\n<p>\xc4\xe3\xba\xc3</p>\r\n",
	"UTF-16":                 "Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n/v8ASABp\r\n",
	"a name in two pieces":   "Content-Type: image/png\r\nContent-Disposition: attachment; filename*0=\"very \"; filename*1=\"long.png\"\r\n\r\nx\r\n",
	"a name in RFC 2047":     "Content-Type: image/png; name=\"=?utf-8?Q?=C3=BC.png?=\"\r\n\r\nx\r\n",
	"quoted-printable lines": "Content-Transfer-Encoding: quoted-printable\r\n\r\ntrailing =20 \r\nsoft=\r\n break =C3=A9\r\n",
	"a message in a message in a message": "Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\n" +
		"Content-Type: application/pdf\r\n\r\n%PDF\r\n",
}

func TestAMessageIsTheSameFromJSONAndFromRFC822(t *testing.T) {
	t.Parallel()
	r := newMailroom(t, gmailtest.Config{})
	all := exampleMail(t)
	maps.Copy(all, nasty)
	for name, raw := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			damaged := strings.Contains(name, "damaged")
			id := r.deliver(t, raw)
			full, err := r.fetch(t, id, "full")
			if err != nil {
				t.Errorf("full: %v", err)
			}
			fromRaw, err := r.fetch(t, id, "raw")
			if (err != nil) != damaged {
				t.Errorf("raw: %v", err)
			}
			// The mailbox has the line ends of the wire.
			crlf := strings.ReplaceAll(strings.ReplaceAll(raw, "\r\n", "\n"), "\n", "\r\n")
			parsed, err := gmailsvc.ParseMessage(strings.NewReader(crlf))
			if (err != nil) != damaged {
				t.Errorf("parsed: %v", err)
			}
			want := r.outline(t, full)
			if got := r.outline(t, fromRaw); got != want {
				t.Errorf("full:\n%s\nraw:\n%s", want, got)
			}
			if got := r.outline(t, parsed); got != want {
				t.Errorf("full:\n%s\nparsed:\n%s", want, got)
			}
			if fromRaw.ID != id || fromRaw.ThreadID != full.ThreadID || !slices.Equal(fromRaw.LabelIDs, full.LabelIDs) ||
				fromRaw.HistoryID != full.HistoryID || !fromRaw.InternalDate.Equal(full.InternalDate) ||
				fromRaw.Snippet != full.Snippet || fromRaw.SizeEstimate != full.SizeEstimate {
				t.Errorf("raw has %+v, full %+v", fromRaw, full)
			}
		})
	}
}

func TestTextHTMLAndAttachmentsAreFoundInTheTree(t *testing.T) {
	t.Parallel()
	m, err := gmailsvc.ParseMessage(strings.NewReader(everything))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.Text(), "10 € für Fisch\r\nA footer."; got != want {
		t.Errorf("Text() = %q, want %q", got, want)
	}
	if got, want := m.HTML(), `<p>10 &euro;<img src="cid:logo"></p>`; got != want {
		t.Errorf("HTML() = %q, want %q", got, want)
	}
	var got []string
	for _, p := range m.Attachments() {
		got = append(got, p.ID+" "+p.Type+" "+p.Filename+" "+p.ContentID())
	}
	if want := []string{"0.1.1 image/png  logo", "1 text/csv über.csv ", "2 message/rfc822  "}; !slices.Equal(got, want) {
		t.Errorf("Attachments() = %q, want %q", got, want)
	}
	var ids []string
	for p := range m.Root.All() {
		if ids = append(ids, p.ID); p.ID == "2.0.0" {
			break
		}
	}
	if want := []string{"", "0", "0.0", "0.1", "0.1.0", "0.1.1", "1", "2", "2.0", "2.0.0"}; !slices.Equal(ids, want) {
		t.Errorf("All() yields %q, want %q", ids, want)
	}
	for p := range m.Root.Leaves() {
		if p.Type != "text/plain" {
			t.Errorf("Leaves() begins with %q", p.Type)
		}
		break
	}
	if data := string(m.Attachments()[1].Data); data != "a,b\n1,2\n" {
		t.Errorf("the file has %q", data)
	}
}

func TestWhatIsTextOfAMessage(t *testing.T) {
	t.Parallel()
	part := func(header, body string) string { return "--b\r\n" + header + "\r\n\r\n" + body + "\r\n" }
	multi := func(kind string, parts ...string) string {
		return "Content-Type: multipart/" + kind + "; boundary=b\r\n\r\n" + strings.Join(parts, "") + "--b--\r\n"
	}
	for name, c := range map[string]struct {
		raw, text, html string
		attachments     int
	}{
		"plain text alone":                {"\r\nHello\r\n", "Hello\r\n", "", 0},
		"HTML alone":                      {"Content-Type: text/html\r\n\r\n<p>", "", "<p>", 0},
		"the first alternative of a kind": {multi("alternative", part("X-Nothing: x", "one"), part("X-Nothing: x", "two"), part("Content-Type: text/html", "<p>")), "one", "<p>", 0},
		"texts one after another":         {multi("mixed", part("X-Nothing: x", "one"), part("X-Nothing: x", "two\r\n"), part("X-Nothing: x", "three")), "one\r\ntwo\r\nthree", "", 0},
		"no text that is attached":        {multi("mixed", part("X-Nothing: x", "one"), part("Content-Disposition: ATTACHMENT", "two")), "one", "", 1},
		"no text that has a name":         {multi("mixed", part("X-Nothing: x", "one"), part("Content-Type: text/plain; name=x", "two")), "one", "", 1},
		"no text of another kind":         {multi("mixed", part("X-Nothing: x", "one"), part("Content-Type: text/calendar", "two")), "one", "", 1},
		"no text of an attached message":  {multi("mixed", part("X-Nothing: x", "one"), part("Content-Type: message/rfc822", "\r\ntwo")), "one", "", 1},
		"a file alone":                    {"Content-Type: application/pdf\r\n\r\n%PDF", "", "", 1},
		"nothing":                         {"\r\n", "", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := gmailsvc.ParseMessage(strings.NewReader(c.raw))
			if err != nil {
				t.Fatal(err)
			}
			if m.Text() != c.text || m.HTML() != c.html || len(m.Attachments()) != c.attachments {
				t.Errorf("got %q, %q and %d attachments; want %q, %q and %d",
					m.Text(), m.HTML(), len(m.Attachments()), c.text, c.html, c.attachments)
			}
		})
	}
}

func TestEachFormatSaysWhatItCan(t *testing.T) {
	t.Parallel()
	r := newMailroom(t, gmailtest.Config{})
	id := r.deliver(t, everything)
	for format, want := range map[string]struct {
		subject, text string
		parts         int
	}{
		"full":     {"Grüße aus Köln", "10 € für Fisch\r\nA footer.", 4},
		"raw":      {"Grüße aus Köln", "10 € für Fisch\r\nA footer.", 4},
		"metadata": {"Grüße aus Köln", "", 0},
		"minimal":  {"", "", 0},
	} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			m, err := r.fetch(t, id, format)
			if err != nil {
				t.Fatal(err)
			}
			if m.ID != id || m.ThreadID != id || !slices.Equal(m.LabelIDs, []string{"INBOX", "UNREAD"}) || m.HistoryID == 0 ||
				m.InternalDate.UnixMilli() != 1795161600000 || m.SizeEstimate != int64(len(everything)) ||
				!strings.HasPrefix(m.Snippet, "10 €") {
				t.Errorf("got %+v", m)
			}
			if m.Header().Get("subject") != want.subject || m.Text() != want.text || len(m.Root.Parts) != want.parts {
				t.Errorf("got subject %q, text %q and %d parts", m.Header().Get("subject"), m.Text(), len(m.Root.Parts))
			}
			if format == "minimal" && len(m.Attachments()) > 0 {
				t.Errorf("nothing is known of attachments, got %d", len(m.Attachments()))
			}
		})
	}
}

func TestAMessageErrorNamesPartsAndShowsNothingOfThem(t *testing.T) {
	t.Parallel()
	raw := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=x-secret-charset\r\n\r\nconfidential \xff\r\n" +
		"--b\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVs$bG8=\r\n--b--\r\n"
	m, err := gmailsvc.ParseMessage(strings.NewReader(raw))
	damage, ok := errors.AsType[*gmailsvc.MessageError](err)
	if !ok || m == nil {
		t.Fatalf("got %v, %v; want a message and *MessageError", m, err)
	}
	if len(damage.Parts) != 2 || damage.Parts[0].PartID != "0" || damage.Parts[1].PartID != "1" {
		t.Fatalf("got %v, want parts 0 and 1", damage)
	}
	if !errors.Is(err, damage.Parts[1].Err) {
		t.Error("the causes can't be found in the error")
	}
	for _, text := range []string{damage.Error(), damage.LogValue().String(), damage.Parts[0].LogValue().String()} {
		if strings.Contains(text, "confidential") || !strings.Contains(text, "x-secret-charset") {
			t.Errorf("the error reads %q", text)
		}
	}
	if got := string(m.Root.Parts[0].Data); got != "confidential \xff" || m.Root.Parts[0].Text != "" {
		t.Errorf("text in an unknown charset is %q and %q, want its bytes as they are", got, m.Root.Parts[0].Text)
	}
	if got := m.Root.Parts[1].Text; got != "Hello" {
		t.Errorf("damaged base64 reads %q, want what can be read", got)
	}
}

// brokenReader ends with an error.
type brokenReader struct{ text io.Reader }

var errBroken = errors.New("broken")

func (r brokenReader) Read(p []byte) (int, error) {
	n, err := r.text.Read(p)
	if err == io.EOF {
		err = errBroken
	}
	return n, err
}

func TestAReaderThatBreaksIsNoMessage(t *testing.T) {
	t.Parallel()
	if m, err := gmailsvc.ParseMessage(brokenReader{strings.NewReader(everything)}); m != nil || !errors.Is(err, errBroken) {
		t.Errorf("ParseMessage returned %v, %v; want the reader's error", m, err)
	}
	if m, err := gmailsvc.DecodeMessage(brokenReader{strings.NewReader(`{"id":"1"`)}); m != nil || !errors.Is(err, errBroken) {
		t.Errorf("DecodeMessage returned %v, %v; want the reader's error", m, err)
	}
}
