package gmailsvc

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/mail"
	"strings"
	"time"
)

// A Compose is a message to be sent. Its zero value is an empty one. WriteTo writes it as RFC 822 text; no field
// of it, whatever it holds, can add another or end the header. It must not be changed or written by two
// goroutines at once.
type Compose struct {
	From                 *mail.Address // nil: Gmail puts in the account's
	To, Cc, Bcc, ReplyTo []*mail.Address
	Subject              string

	// Date is when it was written. Zero: the first WriteTo sets it to the time.
	Date time.Time

	// MessageID is the message's name in the world, without angle brackets. "": the first WriteTo makes one of
	// From's domain; without From that is left to Gmail.
	MessageID string

	// InReplyTo and References name the message that this one answers and those before it, without angle brackets.
	// ThreadID is the thread of Gmail's that it is to be sent with. Message.Reply fills them in.
	InReplyTo  string
	References []string
	ThreadID   string

	Text, HTML string // with both, whoever reads it chooses; line ends become CRLF

	// Inline has the images that HTML refers to as "cid:" and their ContentID.
	Inline      []File
	Attachments []File
}

// A File is something that goes along with a message.
type File struct {
	Name string // what the reader's side will call it; up to 255 bytes

	// Type is the media type, with parameters if it has any. "": as the name's extension says, or else
	// application/octet-stream.
	Type string

	// ContentID is by which HTML refers to an inline image, without angle brackets: "logo@example.com" for
	// cid:logo@example.com.
	ContentID string

	// Open begins to read the content, which is never in memory as a whole. It is called once for each WriteTo. See
	// FromReader.
	Open func() (io.ReadCloser, error)
}

// FromReader returns a File.Open for r, which is not closed, to be used in one message. If r is an io.Seeker, as
// *os.File and *bytes.Reader are, that can be written more than once: each time from where r stands at the first.
func FromReader(r io.Reader) func() (io.ReadCloser, error) {
	seeker, _ := r.(io.Seeker)
	opened := false
	var start int64
	return func() (io.ReadCloser, error) {
		var err error
		switch {
		case opened && seeker == nil:
			return nil, errors.New("gmailsvc: the reader has been read already, and can't be read again; give one that is an io.Seeker")
		case opened:
			_, err = seeker.Seek(start, io.SeekStart)
		case seeker != nil:
			var cannot error
			if start, cannot = seeker.Seek(0, io.SeekCurrent); cannot != nil {
				seeker = nil // a pipe, say
			}
		}
		opened = true
		return io.NopCloser(r), err
	}
}

// A ComposeError says why a message can't be written.
type ComposeError struct {
	Field string // of Compose, say "To[1]"
	Err   error  // quotes nothing of the message
}

func (e *ComposeError) Error() string { return "gmailsvc: compose: " + e.Field + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ComposeError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *ComposeError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("field", e.Field), slog.String("error", e.Err.Error()))
}

// WriteTo writes the message: in lines of at most 998 bytes of ASCII, as every mail server takes it (RFC 5322,
// section 2.1.1). Files are read while they are written. Bcc is written, too: Gmail delivers to those and takes
// the field out.
//
// Errors: *ComposeError before anything is written if a field is not fit for mail, and later if a file can't be
// read; whatever w answers.
func (c *Compose) WriteTo(w io.Writer) (int64, error) {
	if err := c.check(); err != nil {
		return 0, err
	}
	c.complete()
	out := &mailWriter{to: w}
	out.buffer = bufio.NewWriter(out)
	c.writeHeader(out)
	c.body()(out)
	if err := out.buffer.Flush(); out.err == nil {
		out.err = err
	}
	return out.written, out.err
}

// complete fills in what should stay when the message is written again.
func (c *Compose) complete() {
	if c.Date.IsZero() {
		c.Date = time.Now()
	}
	if c.MessageID == "" && c.From != nil {
		c.MessageID = rand.Text() + c.From.Address[strings.LastIndexByte(c.From.Address, '@'):]
	}
}

func (c *Compose) writeHeader(w *mailWriter) {
	if c.From != nil {
		w.addresses("From", []*mail.Address{c.From})
	}
	w.addresses("To", c.To)
	w.addresses("Cc", c.Cc)
	w.addresses("Bcc", c.Bcc)
	w.addresses("Reply-To", c.ReplyTo)
	if c.Subject != "" {
		w.field("Subject", encodeText(c.Subject))
	}
	w.field("Date", c.Date.Format(time.RFC1123Z))
	w.ids("Message-ID", c.MessageID)
	w.ids("In-Reply-To", c.InReplyTo)
	w.ids("References", c.References...)
	w.field("MIME-Version", "1.0")
}

// body returns what the message is made of:
//
//	multipart/mixed
//		multipart/alternative
//			text/plain
//			multipart/related
//				text/html
//				the inline images
//		the attachments
//
// but for a multipart that would have only one part.
func (c *Compose) body() entity {
	var alternatives []entity
	if c.Text != "" || c.HTML == "" {
		alternatives = append(alternatives, textEntity("text/plain", c.Text))
	}
	if c.HTML != "" {
		related := []entity{textEntity("text/html", c.HTML)}
		for i := range c.Inline {
			related = append(related, fileEntity("inline", fmt.Sprintf("Inline[%d]", i), &c.Inline[i]))
		}
		alternatives = append(alternatives, multipartEntity("multipart/related", related))
	}
	mixed := []entity{multipartEntity("multipart/alternative", alternatives)}
	for i := range c.Attachments {
		mixed = append(mixed, fileEntity("attachment", fmt.Sprintf("Attachments[%d]", i), &c.Attachments[i]))
	}
	return multipartEntity("multipart/mixed", mixed)
}
