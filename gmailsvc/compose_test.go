package gmailsvc_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func file(name, kind, content string) gmailsvc.File {
	return gmailsvc.File{Name: name, Type: kind, Open: gmailsvc.FromReader(strings.NewReader(content))}
}

func written(tb testing.TB, c *gmailsvc.Compose) string {
	tb.Helper()
	var b bytes.Buffer
	n, err := c.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		tb.Fatalf("WriteTo returned %d, %v; wrote %d bytes", n, err, b.Len())
	}
	return b.String()
}

var (
	grace   = &mail.Address{Name: "Grace Hopper", Address: "grace@example.com"}
	juergen = &mail.Address{Name: "Jürgen, der \"Ältere\"", Address: "juergen@example.org"}
)

// compositions is a message of each shape.
func compositions() map[string]*gmailsvc.Compose {
	logo := func() []gmailsvc.File {
		image := file("logo.png", "image/png", "\x89PNG\r\n\x1a\n")
		image.ContentID = "logo@example.com"
		return []gmailsvc.File{image}
	}
	long := strings.Repeat("wort ", 400) + "https://example.com/" + strings.Repeat("x", 2000)
	return map[string]*gmailsvc.Compose{
		"nothing":         {},
		"plain text":      {From: grace, To: []*mail.Address{juergen}, Subject: "Hello", Text: "Hello.\nBye. \n.\nFrom me\n"},
		"other letters":   {From: juergen, Subject: "Grüße aus Köln", Text: "Schöne Grüße = 10 €\t\n"},
		"other scripts":   {Subject: "こんにちは、世界", Text: strings.Repeat("こんにちは、世界。\n", 100)},
		"HTML":            {Subject: "x", HTML: "<p>Grüße</p>"},
		"text and HTML":   {Subject: "x", Text: "Grüße", HTML: "<p>Grüße</p>"},
		"an inline image": {HTML: `<img src="cid:logo@example.com">`, Inline: logo()},
		"all of it": {
			From: grace, To: []*mail.Address{juergen, {Address: "a@example.com"}}, Cc: []*mail.Address{{Address: `"odd,local"@example.com`}},
			Bcc: []*mail.Address{{Name: "=?utf-8?q?x?=", Address: "b@example.com"}}, ReplyTo: []*mail.Address{grace},
			Subject: "All of it", Text: "text", HTML: `<img src="cid:logo@example.com">`, Inline: logo(),
			Attachments: []gmailsvc.File{
				file("a b.txt", "text/plain; charset=utf-8", "Grüße"), file(`Grüße "2".pdf`, "application/pdf", strings.Repeat("%PDF\x00\xff", 5000)),
				file("empty", "", ""), file(strings.Repeat("ü", 120)+".bin", "", "x"), file("", "image/gif", "GIF"), file(`C:\a.html`, "", "<p>"),
			},
			MessageID: "one@example.com", InReplyTo: "zero@example.com", References: []string{"minus-one@example.com", "zero@example.com"},
			Date: time.Date(2026, 11, 20, 9, 0, 0, 0, time.FixedZone("", 3600)),
		},
		"a long subject":                  {Subject: long, To: []*mail.Address{{Name: long, Address: "a@example.com"}}, Text: long, HTML: long},
		"many recipients":                 {To: many(juergen, 500), References: many(strings.Repeat("x", 200)+"@example.com", 100)},
		"a subject of blanks":             {Subject: "  two  blanks  "},
		"a subject that is code":          {Subject: "=?utf-8?Q?=0D=0ABcc:_x?="},
		"tabs and controls":               {Subject: "a\tb\x01\x7f", From: &mail.Address{Name: "a\tb\x1b", Address: "a@example.com"}},
		"line separators":                 {Subject: "a\u2028Bcc: x\u0085y", Text: "a\u2028b\r\nc\rd\n\x00"},
		"lines that look like a boundary": {Text: "--=_\n--=_x--\n", HTML: "--=_\r\n"},
	}
}

func many[T any](x T, n int) (all []T) {
	for range n {
		all = append(all, x)
	}
	return all
}

func TestWhatIsComposedReadsBackAsItWas(t *testing.T) {
	t.Parallel()
	for name, c := range compositions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := written(t, c)
			m, err := gmailsvc.ParseMessage(strings.NewReader(text))
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if got, want := readBack(t, m), expected(t, c); got != want {
				t.Errorf("got\n%s\nwant\n%s\nfrom\n%s", got, want, text)
			}
		})
	}
}

// expected is what c should read back as.
func expected(t *testing.T, c *gmailsvc.Compose) string {
	t.Helper()
	var b strings.Builder
	from := []*mail.Address{}
	if c.From != nil {
		from = append(from, c.From)
	}
	fmt.Fprintf(&b, "%s|%s|%s|%s|%s\n%q\n", format(from), format(c.To), format(c.Cc), format(c.Bcc), format(c.ReplyTo), c.Subject)
	fmt.Fprintf(&b, "%d %q %q %q\n", c.Date.Unix(), c.MessageID, c.InReplyTo, c.References)
	fmt.Fprintf(&b, "%q\n%q\n", onWire(c.Text), onWire(c.HTML))
	for _, f := range append(append([]gmailsvc.File{}, c.Inline...), c.Attachments...) {
		kind, _, _ := mime.ParseMediaType(f.Type)
		fmt.Fprintf(&b, "%q %q %q %q\n", f.Name, kind, f.ContentID, content(t, f))
	}
	return b.String()
}

func content(t *testing.T, f gmailsvc.File) []byte {
	t.Helper()
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func onWire(text string) string {
	return strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(text)
}

func readBack(t *testing.T, m *gmailsvc.Message) string {
	t.Helper()
	var b strings.Builder
	h := m.Header()
	list := func(name string) string {
		all, err := h.Addresses(name)
		if err != nil {
			t.Errorf("%v: %q", err, h.Get(name))
		}
		return format(all)
	}
	ids := func(name string) []string {
		var all []string
		for id := range strings.FieldsSeq(h.Get(name)) {
			all = append(all, strings.Trim(id, "<>"))
		}
		return all
	}
	fmt.Fprintf(&b, "%s|%s|%s|%s|%s\n%q\n", list("From"), list("To"), list("Cc"), list("Bcc"), list("Reply-To"), h.Get("Subject"))
	date, err := mail.ParseDate(h.Get("Date"))
	if err != nil {
		t.Error(err)
	}
	fmt.Fprintf(&b, "%d %q %q %q\n", date.Unix(), strings.Join(ids("Message-ID"), " "), strings.Join(ids("In-Reply-To"), " "), ids("References"))
	fmt.Fprintf(&b, "%q\n%q\n", m.Text(), m.HTML())
	for _, p := range m.Attachments() {
		kind := p.Type
		if kind == "application/octet-stream" || p.Filename == `C:\a.html` {
			kind = ""
		}
		fmt.Fprintf(&b, "%q %q %q %q\n", p.Filename, kind, p.ContentID(), p.Data)
	}
	return b.String()
}

func TestWhatIsComposedIsFitForEveryMailServer(t *testing.T) {
	t.Parallel()
	for name, c := range compositions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := written(t, c)
			for line := range strings.SplitSeq(text, "\r\n") {
				if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") {
					t.Errorf("a line of %d bytes: %.100q", len(line), line)
				}
			}
			for i := range len(text) {
				if text[i] >= 0x80 {
					t.Fatalf("byte %d is %#x", i, text[i])
				}
			}
			header, _, _ := strings.Cut(text, "\r\n\r\n")
			for line := range strings.SplitSeq(header, "\r\n") {
				if strings.TrimSpace(line) == "" {
					t.Errorf("an empty line in the header:\n%s", header)
				}
				for word := range strings.FieldsSeq(line) {
					if strings.HasPrefix(word, "=?") && len(word) > 75+len(">,") {
						t.Errorf("an encoded word of more than 75 characters: %s", word)
					}
				}
			}
		})
	}
}

func TestATextIsWrittenInTheEncodingThatMakesItShorter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, encoding string }{
		"mostly ASCII":   {strings.Repeat("Schöne Grüße aus dem Süden von Land und Leuten. ", 50), "quoted-printable"},
		"hardly ASCII":   {strings.Repeat("こんにちは、世界。", 50), "base64"},
		"nothing at all": {"", "quoted-printable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := written(t, &gmailsvc.Compose{Text: c.text})
			if !strings.Contains(text, "Content-Transfer-Encoding: "+c.encoding+"\r\n") || len(text) > len(c.text)*3/2+200 {
				t.Errorf("%d bytes became %d, want %s:\n%s", len(c.text), len(text), c.encoding, text)
			}
		})
	}
}

// The standard library reads mail in a way of its own.
func TestNetMailReadsWhatIsComposed(t *testing.T) {
	t.Parallel()
	for name, c := range compositions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := written(t, c)
			m, err := mail.ReadMessage(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil || subject != c.Subject {
				t.Errorf("subject %q, %v; want %q", subject, err, c.Subject)
			}
			if to, err := m.Header.AddressList("To"); len(c.To) > 0 && (err != nil || format(to) != format(c.To)) {
				t.Errorf("to %s, %v; want %s", format(to), err, format(c.To))
			}
			var bodies, names []string
			leaves(t, m.Header, m.Body, &bodies, &names)
			want := []string{}
			if c.Text != "" || c.HTML == "" {
				want = append(want, onWire(c.Text))
			}
			if c.HTML != "" {
				want = append(want, onWire(c.HTML))
			}
			wantNames := []string{}
			for _, f := range append(append([]gmailsvc.File{}, c.Inline...), c.Attachments...) {
				want = append(want, string(content(t, f)))
				wantNames = append(wantNames, f.Name)
			}
			if fmt.Sprintf("%q", bodies) != fmt.Sprintf("%q", want) {
				t.Errorf("bodies %q, want %q", bodies, want)
			}
			if fmt.Sprintf("%q", names) != fmt.Sprintf("%q", wantNames) {
				t.Errorf("names %q, want %q", names, wantNames)
			}
		})
	}
}

// leaves appends the bodies of a MIME tree, and the names of its files.
func leaves(t *testing.T, header interface{ Get(string) string }, body io.Reader, bodies, names *[]string) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		t.Fatalf("%v: %q", err, header.Get("Content-Type"))
	}
	if strings.HasPrefix(kind, "multipart/") {
		parts := multipart.NewReader(body, params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			leaves(t, p.Header, p, bodies, names)
		}
	}
	if disposition := header.Get("Content-Disposition"); disposition != "" {
		_, params, err := mime.ParseMediaType(disposition)
		if err != nil {
			t.Fatal(err)
		}
		*names = append(*names, params["filename"])
	}
	switch encoding := header.Get("Content-Transfer-Encoding"); encoding {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	default:
		t.Errorf("encoding %q", encoding)
	}
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	*bodies = append(*bodies, string(data))
}

func TestGmailTakesWhatIsComposed(t *testing.T) {
	t.Parallel()
	r := newMailroom(t, gmailtest.Config{})
	for name, c := range compositions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			full, err := r.fetch(t, r.deliver(t, written(t, c)), "full")
			if err != nil {
				t.Fatal(err)
			}
			// A subject that looks like an encoded word once it is decoded can't be told from one that Gmail did not decode.
			if got := full.Header().Get("Subject"); got != c.Subject && !strings.HasPrefix(c.Subject, "=?") {
				t.Errorf("got %q, want %q", got, c.Subject)
			}
			if full.Text() != onWire(c.Text) || full.HTML() != onWire(c.HTML) || len(full.Attachments()) != len(c.Inline)+len(c.Attachments) {
				t.Errorf("got %q, %q and %d attachments", full.Text(), full.HTML(), len(full.Attachments()))
			}
		})
	}
}
