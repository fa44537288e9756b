package gmailsvc_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"google.golang.org/api/gmail/v1"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// BenchmarkDecode turns an answer of the API's into a message whose bodies can be read: with DecodeMessage, and
// as the generated client does, which reads all of it before it decodes.
func BenchmarkDecode(b *testing.B) {
	for _, size := range []int{4 << 10, 75 << 10} {
		answer := fullAnswer(b, size)
		for _, of := range []struct {
			by     string
			decode func(io.Reader) (text, html int, err error)
		}{
			{"peer", decodeGenerated},
			{"mailgrant", decodeMessage},
		} {
			b.Run(fmt.Sprintf("message=%dKB/by=%s", size>>10, of.by), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(answer)))
				for b.Loop() {
					if text, html, err := of.decode(bytes.NewReader(answer)); err != nil || text+html < size*2/3 {
						b.Fatalf("got %d and %d bytes of text, %v", text, html, err)
					}
				}
			})
		}
	}
}

// fullAnswer is the API's answer for a message of about that size, with the header that mail has after a few
// hops, in plain text and HTML.
func fullAnswer(tb testing.TB, size int) []byte {
	tb.Helper()
	r := newMailroom(tb, gmailtest.Config{})
	var raw strings.Builder
	raw.WriteString("Delivered-To: ada@example.com\r\n")
	for hop := range 3 {
		fmt.Fprintf(&raw, "Received: from mx%d.example.net (mx%d.example.net [192.0.2.%d])\r\n        by mail.example.com with ESMTPS id a%d;"+
			"\r\n        Thu, 19 Nov 2026 20:55:0%d +0000\r\n", hop, hop, hop, hop, hop)
	}
	raw.WriteString("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=s1;\r\n b=" + strings.Repeat("Q2F0", 80) + "\r\n" +
		"From: Grace Hopper <grace@example.net>\r\nTo: Ada Lovelace <ada@example.com>\r\n" +
		"Subject: =?utf-8?Q?Gezeitentafeln_f=C3=BCr_Dezember?=\r\nDate: Thu, 19 Nov 2026 20:55:01 +0000\r\n" +
		"Message-ID: <1@example.net>\r\nIn-Reply-To: <0@example.com>\r\nReferences: <0@example.com>\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n")
	const line = "High water at 04:12 and 16:37, the moon is waxing & the wind backs north-west.\r\n"
	const markup = "<tr class=\"tide\"><td>04:12</td><td>3.4&nbsp;m</td><td><a href=\"https://example.net/?a=b\">H\u00f6chststand</a></td></tr>\r\n"
	raw.WriteString(strings.Repeat(line, size/4/len(line)))
	raw.WriteString("--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n")
	raw.WriteString(strings.Repeat(markup, (size-raw.Len())/len(markup)+1))
	raw.WriteString("--b--\r\n")
	return r.get(tb, "messages/"+r.deliver(tb, raw.String())+"?format=full")
}

func decodeMessage(answer io.Reader) (text, html int, err error) {
	m, err := gmailsvc.DecodeMessage(answer)
	if err != nil {
		return 0, 0, err
	}
	return len(m.Text()), len(m.HTML()), nil
}

func decodeGenerated(answer io.Reader) (text, html int, err error) {
	read, err := io.ReadAll(answer)
	if err != nil {
		return 0, 0, err
	}
	var m gmail.Message
	if err := json.Unmarshal(read, &m); err != nil {
		return 0, 0, err
	}
	bodies := make(map[string]int)
	var walk func(p *gmail.MessagePart) error
	walk = func(p *gmail.MessagePart) error {
		body, err := base64.URLEncoding.DecodeString(p.Body.Data)
		if err != nil {
			return err
		}
		bodies[p.MimeType] += len(body)
		for _, child := range p.Parts {
			if err := walk(child); err != nil {
				return err
			}
		}
		return nil
	}
	err = walk(m.Payload)
	return bodies["text/plain"], bodies["text/html"], err
}
