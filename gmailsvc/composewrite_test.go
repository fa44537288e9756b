package gmailsvc_test

import (
	"bytes"
	"errors"
	"io"
	"net/mail"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc"
)

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
	pipe := &gmailsvc.Compose{Attachments: []gmailsvc.File{{Open: gmailsvc.FromReader(unseekable{strings.NewReader("x")})}}}
	written(t, pipe)
	wantRefused(t, pipe, "Attachments[0]")
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

// unseekable has a Seek that fails, as an *os.File on a pipe does.
type unseekable struct{ io.Reader }

func (unseekable) Seek(int64, int) (int64, error) { return 0, errBroken }

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
