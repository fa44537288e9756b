package gmailsvc_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// FuzzDecodeMessage compares the decoder with encoding/json, and reading at once with reading byte by byte.
func FuzzDecodeMessage(f *testing.F) {
	r := newMailroom(f, gmailtest.Config{})
	for _, raw := range nasty {
		id := r.deliver(f, raw)
		for _, format := range []string{"full", "metadata", "minimal"} {
			f.Add(r.get(f, "messages/"+id+"?format="+format))
		}
	}
	for _, text := range []string{
		`null`, `{"raw":"SGk"}`, `{"id":"\ud83d\ude00\ud83d\u0041\/","new":[1.5e-3,{"a":null}],"labelIds":["A",null]}`,
		`{"payload":{"mimeType":"Text/x","body":{"data":"SG k=\u003d*-_+/","size":"7","attachmentId":"x"},"parts":[null,{"parts":[]}]}}`,
		`{"historyId":0,"internalDate":-0,"sizeEstimate":"12","payload":null}`,
		`{"payload":{"headers":[{"name":"a"},null],"parts":[{}],"headers":null,"parts":null,"body":null},"payload":{"filename":"=?"}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Count(text, []byte("{")) > 30 || bytes.Count(text, []byte("[")) > 1000 || len(text) > 64<<10 {
			return // beyond the bounds
		}
		want, wantErr := referenceOf(text)
		for _, reader := range []io.Reader{bytes.NewReader(text), iotest.OneByteReader(bytes.NewReader(text))} {
			m, err := gmailsvc.DecodeMessage(reader)
			_, damaged := errors.AsType[*gmailsvc.MessageError](err)
			switch {
			case wantErr != nil && (m != nil || err == nil || damaged):
				t.Fatalf("got %+v, %v; encoding/json says %v", m, err, wantErr)
			case wantErr == nil && (m == nil || err != nil && !damaged):
				t.Fatalf("got %+v, %v; encoding/json reads it", m, err)
			case wantErr == nil:
				if got := want.described(m); got != want.out.String() {
					t.Fatalf("got\n%s\nencoding/json has\n%s", got, want.out.String())
				}
			}
		}
	})
}

// FuzzParseMessage wants every text to be a message, of bounded size and in valid UTF-8.
func FuzzParseMessage(f *testing.F) {
	for _, raw := range nasty {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := gmailsvc.ParseMessage(bytes.NewReader(raw))
		if _, damaged := errors.AsType[*gmailsvc.MessageError](err); m == nil || err != nil && !damaged {
			t.Fatalf("got %v, %v", m, err)
		}
		parts, header, data := 0, 0, 0
		for p := range m.Root.All() {
			parts++
			data += len(p.Data)
			if !utf8.ValidString(p.Text) || !utf8.ValidString(p.Filename) || p.Size != int64(len(p.Text)+len(p.Data)) {
				t.Errorf("part %+v", p)
			}
			for _, field := range p.Header {
				header += len(field.Raw)
				if !utf8.ValidString(field.Value) {
					t.Errorf("field %+v", field)
				}
			}
		}
		if parts > 2000 || header > len(raw)*40 || data > len(raw)*40 {
			t.Errorf("%d bytes of mail became %d parts, %d bytes of header and %d of bodies", len(raw), parts, header, data)
		}
		again, _ := gmailsvc.ParseMessage(bytes.NewReader(raw))
		if m.Text() != again.Text() || m.HTML() != again.HTML() || len(m.Attachments()) != len(again.Attachments()) {
			t.Error("the same text makes two different messages")
		}
		answer := m.ReplyAll("ada@example.com")
		if _, err := answer.WriteTo(new(bytes.Buffer)); err != nil {
			t.Errorf("an answer can't be written: %v", err)
		}
	})
}
