package gmailsvc_test

import (
	"bytes"
	"io"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc"
)

// FuzzComposeInjection puts texts into any two fields. Either they are refused or the header has the fields that were
// meant, in their order, for two readers that were written independently.
func FuzzComposeInjection(f *testing.F) {
	for _, text := range []string{
		"x", "", "ü", "x\r\nBcc: m@example.com", "x\nBcc: m@example.com", "x\rBcc: m@example.com", "x\x00", "\r\n\r\nbody", "\u2028Bcc: m@example.com",
		"\u0085", "=?utf-8?Q?=0D=0ABcc:_m@example.com?=", "a@example.com", "\"a\r\n\"@example.com", "a@example.com>\r\nBcc: <m@example.com", "\"", "\\",
		"\t", " x", "x ", "x  y", "<x>", "x;y=z", "text/html; charset=\"a\r\n\"", "image/png; name*=utf-8''%0D%0A", "%0d%0a", strings.Repeat("x", 2000),
		strings.Repeat("x ", 1000), strings.Repeat("ü", 500), "\xff\xfe", "*0*=", "x\r\n x", "(comment\r\n)", "\x1b[2J", "--=_\r\n",
	} {
		for field := range composeFields {
			f.Add(byte(field), text, byte(0), "x")
		}
	}
	f.Fuzz(func(t *testing.T, field byte, text string, otherField byte, other string) {
		c := &gmailsvc.Compose{
			From: &mail.Address{Address: "f@example.com"}, To: []*mail.Address{{Name: "To", Address: "t@example.com"}},
			Subject: "s", MessageID: "id@example.com", InReplyTo: "irt@example.com", References: []string{"r@example.com"},
			Text: "text", HTML: "html",
			Inline:      []gmailsvc.File{{Name: "i", Type: "image/png", ContentID: "cid", Open: gmailsvc.FromReader(strings.NewReader("i"))}},
			Attachments: []gmailsvc.File{{Name: "a", Type: "text/csv", Open: gmailsvc.FromReader(strings.NewReader("a"))}},
		}
		set(c, int(otherField)%composeFields, other)
		set(c, int(field)%composeFields, text)
		var out bytes.Buffer
		if _, err := c.WriteTo(&out); err != nil {
			if out.Len() > 0 {
				t.Fatalf("%v, and yet %q was written", err, out.String())
			}
			return
		}
		wantFields(t, out.String())
	})
}

const composeFields = 14 // that set knows

// set puts text into a field of c.
func set(c *gmailsvc.Compose, field int, text string) {
	switch field {
	case 0:
		c.Subject = text
	case 1:
		c.From.Address = text
	case 2:
		c.From.Name = text
	case 3:
		c.To[0].Address = text
	case 4:
		c.To[0].Name = text
	case 5:
		c.MessageID = text
	case 6:
		c.InReplyTo = text
	case 7:
		c.References = append(c.References, text)
	case 8:
		c.Inline[0].Name = text
	case 9:
		c.Inline[0].ContentID = text
	case 10:
		c.Attachments[0].Name = text
	case 11:
		c.Attachments[0].Type = text
	case 12:
		c.Text = text
	case 13:
		c.HTML = text
	}
}

// wantFields fails unless a message that was composed has no field that nobody asked for, and every part is where
// it should be.
func wantFields(t *testing.T, text string) {
	t.Helper()
	known := []string{"From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "MIME-Version", "Content-Type"}
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatalf("net/mail: %v\n%s", err, text)
	}
	for name, values := range m.Header {
		if !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) }) || len(values) != 1 {
			t.Fatalf("net/mail finds %s: %q in\n%s", name, values, text)
		}
	}
	if _, err := io.ReadAll(m.Body); err != nil {
		t.Fatal(err)
	}
	parsed, err := gmailsvc.ParseMessage(strings.NewReader(text))
	if parsed == nil { // an ID may look like an encoded word of an unknown charset
		t.Fatalf("%v\n%s", err, text)
	}
	next := 0
	for _, field := range parsed.Header() {
		for next < len(known) && known[next] != field.Name {
			next++ // some are left out when they are empty
		}
		if next == len(known) {
			t.Fatalf("the field %s is not where it should be in\n%s", field.Name, text)
		}
	}
	var types []string
	for p := range parsed.Root.All() {
		types = append(types, p.ID)
		for _, field := range p.Header {
			if p.ID != "" && !strings.HasPrefix(field.Name, "Content-") {
				t.Fatalf("part %s has a field %s in\n%s", p.ID, field.Name, text)
			}
		}
	}
	shapes := [][]string{
		{"", "0", "0.0", "0.1", "0.1.0", "0.1.1", "1"}, // all
		{"", "0", "0.0", "0.1", "1"},                   // without Text
	}
	if !slices.ContainsFunc(shapes, func(s []string) bool { return slices.Equal(s, types) }) {
		t.Fatalf("the parts are %q in\n%s", types, text)
	}
	for line := range strings.SplitSeq(text, "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") {
			t.Fatalf("a line of %d bytes: %q", len(line), line)
		}
	}
}
