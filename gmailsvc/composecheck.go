package gmailsvc

import (
	"errors"
	"fmt"
	"mime"
	"net/mail"
	"strings"
	"unicode/utf8"
)

const (
	maxNameBytes    = 255
	maxAddressBytes = 320 // RFC 3696, section 3: 64 before the @, 255 after it
	maxIDBytes      = 900 // a line with one must be shorter than 998
	maxSubjectBytes = 64 << 10
)

var (
	errControl  = errors.New("contains a line break or NUL, which would end the header field")
	errNotUTF8  = errors.New("is not UTF-8")
	errNoOpen   = errors.New("has no Open; see FromReader")
	errNoHTML   = errors.New("is shown within HTML, but there is none; put it into Attachments")
	errNoID     = errors.New("has no ContentID to be referred to by")
	errID       = errors.New("is no ID: ASCII without spaces and angle brackets, up to 900 bytes")
	errAddress  = errors.New("is no address; write a domain with other letters than ASCII's in Punycode")
	errFileType = errors.New("is no media type of a file; leave it empty, or use application/octet-stream")
)

// check returns what in c is not fit for mail.
func (c *Compose) check() error {
	var first error
	note := func(field string, err error) {
		if first == nil && err != nil {
			first = &ComposeError{Field: field, Err: err}
		}
	}
	list := func(field string, addresses []*mail.Address) {
		for i, a := range addresses {
			note(fmt.Sprintf("%s[%d]", field, i), checkAddress(a))
		}
	}
	id := func(field, id string) {
		if id != "" {
			note(field, checkID(id))
		}
	}
	if c.From != nil {
		note("From", checkAddress(c.From))
	}
	list("To", c.To)
	list("Cc", c.Cc)
	list("Bcc", c.Bcc)
	list("ReplyTo", c.ReplyTo)
	note("Subject", checkText(c.Subject, maxSubjectBytes))
	id("MessageID", c.MessageID)
	id("InReplyTo", c.InReplyTo)
	for i, ref := range c.References {
		note(fmt.Sprintf("References[%d]", i), checkID(ref))
	}
	if !utf8.ValidString(c.Text) {
		note("Text", errNotUTF8)
	}
	if !utf8.ValidString(c.HTML) {
		note("HTML", errNotUTF8)
	}
	for i := range c.Inline {
		field := fmt.Sprintf("Inline[%d]", i)
		if c.HTML == "" {
			note(field, errNoHTML)
		}
		if c.Inline[i].ContentID == "" {
			note(field, errNoID)
		}
		note(field, c.Inline[i].check())
	}
	for i := range c.Attachments {
		note(fmt.Sprintf("Attachments[%d]", i), c.Attachments[i].check())
	}
	if year := c.Date.Year(); !c.Date.IsZero() && (year < 1900 || year > 9999) {
		note("Date", errors.New("is not within the years 1900 to 9999"))
	}
	return first
}

func checkAddress(a *mail.Address) error {
	switch {
	case a == nil:
		return errors.New("is nil")
	case len(a.Address) > maxAddressBytes:
		return errAddress
	}
	if err := checkText(a.Address, maxAddressBytes); err != nil {
		return err
	}
	if err := checkText(a.Name, maxSubjectBytes); err != nil {
		return fmt.Errorf("its name: %w", err)
	}
	bare := mail.Address{Address: a.Address}
	parsed, err := mail.ParseAddress(bare.String())
	if err != nil || parsed.Address != a.Address || strings.ContainsFunc(a.Address, isNoVisibleASCII) {
		return errAddress
	}
	return nil
}

// checkText returns nil if text may stand in a header, encoded or not.
func checkText(text string, most int) error {
	switch {
	case strings.ContainsAny(text, "\r\n\x00"):
		return errControl
	case !utf8.ValidString(text):
		return errNotUTF8
	case len(text) > most:
		return fmt.Errorf("has %d bytes; at most %d are sent", len(text), most)
	}
	return nil
}

// checkID returns nil if id may stand in angle brackets.
func checkID(id string) error {
	if id == "" || len(id) > maxIDBytes || strings.ContainsFunc(id, isNoVisibleASCII) || strings.ContainsAny(id, "<>") {
		return errID
	}
	return nil
}

func isNoVisibleASCII(r rune) bool { return r <= ' ' || r > '~' }

func (f *File) check() error {
	if f.Open == nil {
		return errNoOpen
	}
	if err := checkText(f.Name, maxNameBytes); err != nil {
		return fmt.Errorf("its Name: %w", err)
	}
	if f.ContentID != "" {
		if err := checkID(f.ContentID); err != nil {
			return fmt.Errorf("its ContentID: %w", err)
		}
	}
	if err := checkText(f.Type, maxNameBytes); err != nil {
		return fmt.Errorf("its Type: %w", err)
	}
	if f.Type == "" {
		return nil
	}
	kind, params, err := mime.ParseMediaType(f.Type)
	if err != nil || !isFileType(kind, params) {
		return fmt.Errorf("its Type: %w", errFileType)
	}
	return nil
}

// isFileType reports whether something of that type may be sent in base64 (RFC 2045, section 6.4), and in one line.
func isFileType(kind string, params map[string]string) bool {
	for _, value := range params {
		if !isPlain(value) {
			return false
		}
	}
	return strings.Contains(kind, "/") && !strings.HasPrefix(kind, "multipart/") && !strings.HasPrefix(kind, "message/") &&
		mime.FormatMediaType(kind, params) != ""
}
