package gmailsvc_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"testing/iotest"
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
	logo := file("logo.png", "image/png", "\x89PNG\r\n\x1a\n")
	logo.ContentID = "logo@example.com"
	long := strings.Repeat("wort ", 400) + "https://example.com/" + strings.Repeat("x", 2000)
	return map[string]*gmailsvc.Compose{
		"nothing":         {},
		"plain text":      {From: grace, To: []*mail.Address{juergen}, Subject: "Hello", Text: "Hello.\nBye. \n.\nFrom me\n"},
		"other letters":   {From: juergen, Subject: "Grüße aus Köln", Text: "Schöne Grüße = 10 €\t\n"},
		"other scripts":   {Subject: "こんにちは、世界", Text: strings.Repeat("こんにちは、世界。\n", 100)},
		"HTML":            {Subject: "x", HTML: "<p>Grüße</p>"},
		"text and HTML":   {Subject: "x", Text: "Grüße", HTML: "<p>Grüße</p>"},
		"an inline image": {HTML: `<img src="cid:logo@example.com">`, Inline: []gmailsvc.File{logo}},
		"all of it": {
			From: grace, To: []*mail.Address{juergen, {Address: "a@example.com"}}, Cc: []*mail.Address{{Address: `"odd,local"@example.com`}},
			Bcc: []*mail.Address{{Name: "=?utf-8?q?x?=", Address: "b@example.com"}}, ReplyTo: []*mail.Address{grace},
			Subject: "All of it", Text: "text", HTML: `<img src="cid:logo@example.com">`, Inline: []gmailsvc.File{logo},
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

func TestAMessageIsTheSameWhenItIsWrittenAgain(t *testing.T) {
	t.Parallel()
	c := &gmailsvc.Compose{From: grace, Text: "x", Attachments: []gmailsvc.File{file("a", "", "content")}}
	if _, err := c.Attachments[0].Open(); err != nil {
		t.Fatal(err)
	}
	first, second := written(t, c), written(t, c)
	one, err := gmailsvc.ParseMessage(strings.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	two, err := gmailsvc.ParseMessage(strings.NewReader(second))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Date", "Message-ID", "From"} {
		if a, b := one.Header().Get(name), two.Header().Get(name); a == "" || a != b {
			t.Errorf("%s is %q and then %q", name, a, b)
		}
	}
	if !strings.HasSuffix(c.MessageID, "@example.com") || c.Date.IsZero() {
		t.Errorf("the message's ID and date are %q and %v", c.MessageID, c.Date)
	}
	if a, b := one.Attachments()[0].Data, two.Attachments()[0].Data; string(a) != "content" || !bytes.Equal(a, b) {
		t.Errorf("the attachment is %q and then %q", a, b)
	}
	once := &gmailsvc.Compose{Attachments: []gmailsvc.File{{Open: gmailsvc.FromReader(iotest.HalfReader(strings.NewReader("x")))}}}
	written(t, once)
	wantRefused(t, once, "Attachments[0]")
	if wrote := written(t, &gmailsvc.Compose{Text: "x"}); strings.Contains(wrote, "Message-ID") {
		t.Error("a message from nobody has an ID of its own")
	}
}

func TestAnAttachmentThatCannotBeReadEndsTheMessage(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func() (io.ReadCloser, error){
		"opening": func() (io.ReadCloser, error) { return nil, errBroken },
		"reading": func() (io.ReadCloser, error) {
			return io.NopCloser(brokenReader{strings.NewReader(strings.Repeat("x", 100_000))}), nil
		},
		"closing": func() (io.ReadCloser, error) { return brokenCloser{strings.NewReader("x")}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &gmailsvc.Compose{Text: "x", Attachments: []gmailsvc.File{{Open: open}, file("b", "", "second")}}
			var b bytes.Buffer
			_, err := c.WriteTo(&b)
			if refused, ok := errors.AsType[*gmailsvc.ComposeError](err); !ok || refused.Field != "Attachments[0]" || !errors.Is(err, errBroken) {
				t.Errorf("got %v, want *ComposeError of Attachments[0] with the cause", err)
			}
			if strings.HasSuffix(strings.TrimSpace(b.String()), "--") {
				t.Error("what was written looks like a whole message")
			}
		})
	}
}

type brokenCloser struct{ io.Reader }

func (brokenCloser) Close() error { return errBroken }

type brokenWriter struct{ left int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func TestAWriterThatBreaksIsReported(t *testing.T) {
	t.Parallel()
	c := &gmailsvc.Compose{Text: strings.Repeat("x", 10_000), Attachments: []gmailsvc.File{file("a", "", strings.Repeat("x", 100_000))}}
	for left := range 40 {
		n, err := c.WriteTo(&brokenWriter{left << 12})
		if !errors.Is(err, errBroken) && left<<12 < 140_000 || n > int64(left<<12) {
			t.Errorf("after %d bytes: %d, %v", left<<12, n, err)
		}
	}
}

// It runs alone: it measures memory.
func TestComposeStreamsAttachments(t *testing.T) {
	const size = 30 << 20
	c := &gmailsvc.Compose{Attachments: []gmailsvc.File{{Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(repeated(0), size)), nil
	}}}}
	took := memoryOf(func() {
		if n, err := c.WriteTo(io.Discard); err != nil || n < size*4/3 {
			t.Errorf("wrote %d bytes, %v", n, err)
		}
	})
	if took > 1<<20 {
		t.Errorf("an attachment of %d bytes took %d of memory", size, took)
	}
}

func wantRefused(t *testing.T, c *gmailsvc.Compose, field string) {
	t.Helper()
	var b bytes.Buffer
	_, err := c.WriteTo(&b)
	refused, ok := errors.AsType[*gmailsvc.ComposeError](err)
	if !ok || refused.Field != field {
		t.Errorf("got %v, want *ComposeError of %s", err, field)
		return
	}
	if shown := refused.Error() + refused.LogValue().String(); strings.Contains(shown, "mallory") {
		t.Errorf("the error shows what is in the message: %s", shown)
	}
}

func TestWhatIsNotFitForMailIsRefused(t *testing.T) {
	t.Parallel()
	address := func(s string) *mail.Address { return &mail.Address{Address: s} }
	named := func(s string) *mail.Address { return &mail.Address{Name: s, Address: "a@example.com"} }
	type compose = gmailsvc.Compose
	list := func(a *mail.Address) []*mail.Address { return []*mail.Address{grace, a} }
	cases := map[string]struct {
		c     compose
		field string
	}{
		"a nil address":                 {compose{To: list(nil)}, "To[1]"},
		"an address without a domain":   {compose{Cc: list(address("mallory"))}, "Cc[1]"},
		"an address with a name":        {compose{Bcc: list(address("M <mallory@example.com>"))}, "Bcc[1]"},
		"two addresses in one":          {compose{ReplyTo: list(address("a@example.com, mallory@example.com"))}, "ReplyTo[1]"},
		"an address of other letters":   {compose{From: address("mallory@exämple.com")}, "From"},
		"an address with a space":       {compose{From: address(`"mal lory"@example.com`)}, "From"},
		"an address without end":        {compose{From: address(strings.Repeat("x", 400) + "@example.com")}, "From"},
		"an empty address":              {compose{From: address("")}, "From"},
		"a subject that is no UTF-8":    {compose{Subject: "\xff"}, "Subject"},
		"a subject without end":         {compose{Subject: strings.Repeat("x", 1<<20)}, "Subject"},
		"text that is no UTF-8":         {compose{Text: "\xff"}, "Text"},
		"HTML that is no UTF-8":         {compose{HTML: "\xff"}, "HTML"},
		"an ID in brackets":             {compose{MessageID: "<mallory@example.com>"}, "MessageID"},
		"an ID with a space":            {compose{InReplyTo: "a b"}, "InReplyTo"},
		"an empty reference":            {compose{References: []string{"a", ""}}, "References[1]"},
		"a reference without end":       {compose{References: []string{strings.Repeat("x", 1000)}}, "References[0]"},
		"a date before mail":            {compose{Date: time.Date(20, 1, 1, 0, 0, 0, 0, time.UTC)}, "Date"},
		"a date after all":              {compose{Date: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}, "Date"},
		"a file without content":        {compose{Attachments: []gmailsvc.File{{Name: "a"}}}, "Attachments[0]"},
		"a file name without end":       {compose{Attachments: []gmailsvc.File{file(strings.Repeat("x", 256), "", "")}}, "Attachments[0]"},
		"a file of a type that is none": {compose{Attachments: []gmailsvc.File{file("", "image", "")}}, "Attachments[0]"},
		"a file that is a multipart":    {compose{Attachments: []gmailsvc.File{file("", "multipart/mixed; boundary=x", "")}}, "Attachments[0]"},
		"a file that is a message":      {compose{Attachments: []gmailsvc.File{file("", "message/rfc822", "")}}, "Attachments[0]"},
		"an image outside of HTML":      {compose{Text: "x", Inline: []gmailsvc.File{{ContentID: "a", Open: file("", "", "").Open}}}, "Inline[0]"},
		"an image without an ID":        {compose{HTML: "x", Inline: []gmailsvc.File{file("a", "", "")}}, "Inline[0]"},
	}
	for end, mark := range map[string]string{"CR": "\r", "LF": "\n", "CRLF": "\r\n", "NUL": "\x00"} {
		evil := "x" + mark + "Bcc: mallory@example.com"
		withID := file("a", "", "")
		withID.ContentID = evil
		for field, c := range map[string]compose{
			"Subject":        {Subject: evil},
			"From":           {From: named(evil)},
			"To[1]":          {To: list(named(evil))},
			"Cc[1]":          {Cc: list(address(evil))},
			"Bcc[1]":         {Bcc: list(address("a@example.com" + mark))},
			"ReplyTo[1]":     {ReplyTo: list(address(mark + "a@example.com"))},
			"MessageID":      {MessageID: evil},
			"InReplyTo":      {InReplyTo: evil},
			"References[0]":  {References: []string{"a" + mark}},
			"Attachments[0]": {Attachments: []gmailsvc.File{file(evil, "", "")}},
			"Attachments[1]": {Attachments: []gmailsvc.File{file("a", "", ""), file("a", "text/plain; x="+evil, "")}},
			"Inline[0]":      {HTML: "x", Inline: []gmailsvc.File{withID}},
		} {
			cases[end+" in "+field] = struct {
				c     compose
				field string
			}{c, field}
		}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantRefused(t, &c.c, c.field)
		})
	}
}
