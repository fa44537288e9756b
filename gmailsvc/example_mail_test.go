package gmailsvc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc"
)

const exampleEML = "From: =?utf-8?Q?J=C3=BCrgen?= <juergen@example.com>\r\nTo: ada@example.com\r\nSubject: =?utf-8?Q?Fahrpl=C3=A4ne?=\r\n" +
	"Message-ID: <1@example.com>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nBis sp\xe4ter.\r\n" +
	"--b\r\nContent-Type: text/csv; name=trains.csv\r\n\r\n16:37,Lund\r\n--b--\r\n"

func ExampleParseMessage() {
	m, err := gmailsvc.ParseMessage(strings.NewReader(exampleEML))
	if err != nil {
		log.Fatal(err)
	}
	from, err := m.Header().Addresses("From")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(from[0].Name, from[0].Address)
	fmt.Println(m.Header().Get("Subject"))
	fmt.Println(m.Text())
	for _, file := range m.Attachments() {
		fmt.Println(file.Filename, file.Type, file.Size)
	}
	// Output:
	// Jürgen juergen@example.com
	// Fahrpläne
	// Bis später.
	// trains.csv text/csv 10
}

// Mail that is damaged is read as far as it makes sense.
func ExampleMessageError() {
	m, err := gmailsvc.ParseMessage(strings.NewReader("Subject: Hello\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\n\r\nThis is all that"))
	if damage, ok := errors.AsType[*gmailsvc.MessageError](err); ok {
		for _, part := range damage.Parts {
			fmt.Println(part)
		}
	} else if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Header().Get("Subject"), "-", m.Text())
	// Output:
	// a multipart that is cut off
	// Hello - This is all that
}

// DecodeMessage reads JSON of the API that was kept.
func ExampleDecodeMessage() {
	kept := `{"id":"18c0","threadId":"18c0","labelIds":["INBOX"],"internalDate":"1795161600000","payload":{"mimeType":"text/plain",
		"headers":[{"name":"Subject","value":"Tide tables"}],"body":{"size":5,"data":"SGVsbG8="}}}`
	m, err := gmailsvc.DecodeMessage(strings.NewReader(kept))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.ID, m.LabelIDs, m.InternalDate.Format("2 January 2006"), m.Header().Get("Subject"), m.Text())
	// Output: 18c0 [INBOX] 20 November 2026 Tide tables Hello
}

func ExampleDecodeThread() {
	kept := `{"id":"18c0","messages":[{"id":"18c0","snippet":"Tide tables"},{"id":"18d4","snippet":"Thank you"}]}`
	for m, err := range gmailsvc.DecodeThread(strings.NewReader(kept)) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.ID, m.Snippet)
	}
	// Output:
	// 18c0 Tide tables
	// 18d4 Thank you
}

// The files of a message are fetched one by one, and go straight to where they are wanted.
func ExampleService_Attachment() {
	google, creds := exampleMailbox()
	id, err := google.Mailbox("ada@example.com").Deliver([]byte(exampleEML))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	svc, err := gmailsvc.New(gmailsvc.Config{HTTPClient: google.Client()}).BuildService(ctx, creds)
	if err != nil {
		log.Fatal(err)
	}
	m, err := svc.Users.Messages.Get("me", id).Context(ctx).Do()
	if err != nil {
		log.Fatal(err)
	}
	for _, part := range m.Payload.Parts {
		if part.Body.AttachmentId == "" {
			continue
		}
		content, err := svc.Attachment(ctx, id, part.Body.AttachmentId)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(filepath.Base(part.Filename), ": ") // somebody else chose it
		_, err = io.Copy(os.Stdout, content)
		if err := errors.Join(err, content.Close()); err != nil {
			log.Fatal(err)
		}
	}
	// Output: trains.csv: 16:37,Lund
}

func ExampleCompose() {
	c := &gmailsvc.Compose{
		From:      &mail.Address{Name: "Ada Lovelace", Address: "ada@example.com"},
		To:        []*mail.Address{{Name: "Jürgen", Address: "juergen@example.com"}},
		Subject:   "Tide tables",
		Date:      time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC),
		MessageID: "2@example.com",
		Text:      "Here they are.\n",
	}
	var raw strings.Builder
	if _, err := c.WriteTo(&raw); err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.ReplaceAll(raw.String(), "\r\n", "\n"))

	// A line break that somebody smuggled in is no way to another field.
	c.Subject = "Tide tables\r\nBcc: everybody@example.com"
	_, err := c.WriteTo(&raw)
	fmt.Println(err)
	// Output:
	// From: Ada Lovelace <ada@example.com>
	// To: =?utf-8?B?SsO8cmdlbg==?= <juergen@example.com>
	// Subject: Tide tables
	// Date: Fri, 20 Nov 2026 09:00:00 +0000
	// Message-ID: <2@example.com>
	// MIME-Version: 1.0
	// Content-Type: text/plain; charset=utf-8
	// Content-Transfer-Encoding: quoted-printable
	//
	// Here they are.
	//
	// gmailsvc: compose: Subject: contains a line break or NUL, which would end the header field
}

// Files are read while the message is written.
func ExampleFile() {
	c := &gmailsvc.Compose{
		HTML: `<p>The station: <img src="cid:station@example.com"></p>`,
		Inline: []gmailsvc.File{{
			Name: "station.png", ContentID: "station@example.com",
			Open: gmailsvc.FromReader(strings.NewReader("(an image)")),
		}},
		Attachments: []gmailsvc.File{{
			Name: "Fahrpläne.csv", Type: "text/csv; charset=utf-8",
			Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("16:37,Lund\n")), nil }, // os.Open, say
		}},
	}
	var raw strings.Builder
	if _, err := c.WriteTo(&raw); err != nil {
		log.Fatal(err)
	}
	m, err := gmailsvc.ParseMessage(strings.NewReader(raw.String()))
	if err != nil {
		log.Fatal(err)
	}
	for _, file := range m.Attachments() {
		fmt.Printf("%s %s %s %q\n", file.Filename, file.Type, file.ContentID(), file.Data)
	}
	// Output:
	// station.png image/png station@example.com "(an image)"
	// Fahrpläne.csv text/csv  "16:37,Lund\n"
}

func ExampleMessage_Reply() {
	m, err := gmailsvc.ParseMessage(strings.NewReader(exampleEML))
	if err != nil {
		log.Fatal(err)
	}
	answer := m.Reply("ada@example.com")
	answer.Text = "Danke!\n"
	fmt.Println(answer.To[0].Name, "|", answer.Subject, "|", answer.References)
	// Output: Jürgen | Re: Fahrpläne | [1@example.com]
}
