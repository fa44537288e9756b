package gmailsvc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/api/googleapi"
)

// Attachment fetches a body that came apart: see Part.AttachmentID. It is decoded while it is read and never in
// memory as a whole. ctx must live until it is closed. An attachment costs as much of the quota as a message.
//
// Errors: *googleapi.Error or whatever the credentials answer, from the call; io.ErrUnexpectedEOF and the like
// from reading, so that what ends in io.EOF is complete. See
// https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages.attachments/get.
func (s *Service) Attachment(ctx context.Context, messageID, attachmentID string) (io.ReadCloser, error) {
	body, err := s.attachment(ctx, messageID, attachmentID)
	if err != nil {
		return nil, fmt.Errorf("gmailsvc: attachment of message %q: %w", messageID, err)
	}
	return body, nil
}

func (s *Service) attachment(ctx context.Context, messageID, attachmentID string) (*attachmentReader, error) {
	for _, id := range []string{messageID, attachmentID} {
		if id == "" || id == "." || id == ".." {
			return nil, fmt.Errorf("%q is no ID", id)
		}
	}
	body, err := s.get(ctx, "messages/"+url.PathEscape(messageID)+"/attachments/"+url.PathEscape(attachmentID))
	if err != nil {
		return nil, err
	}
	return &attachmentReader{messageID: messageID, body: body, json: newDecoder(body), text: base64Text{url: true}}, nil
}

// get sends the request that google.golang.org/api would, but leaves the answer to be read. One that is an error
// is closed.
func (s *Service) get(ctx context.Context, path string) (io.ReadCloser, error) {
	address := strings.TrimSuffix(s.BasePath, "/") + "/gmail/v1/users/me/" + path + "?alt=json&prettyPrint=false"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", googleapi.UserAgent+" "+s.UserAgent)
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	if err := googleapi.CheckResponse(resp); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

// An attachmentReader decodes the data of a MessagePartBody while it is read.
type attachmentReader struct {
	messageID string
	body      io.ReadCloser
	json      *decoder // nil: closed
	text      base64Text
	buffer    []byte
	ready     []byte // of the buffer: decoded, not read yet
	state     attachmentState
}

type attachmentState int

const (
	beforeData attachmentState = iota
	inData
	afterData
)

func (r *attachmentReader) Read(p []byte) (int, error) {
	if r.json == nil {
		return 0, errors.New("gmailsvc: attachment: read after Close")
	}
	for len(r.ready) == 0 && r.state != afterData {
		r.decode()
	}
	if len(r.ready) > 0 || len(p) == 0 {
		n := copy(p, r.ready)
		r.ready = r.ready[n:]
		return n, nil
	}
	switch {
	case r.json.in.err != nil:
		return 0, fmt.Errorf("gmailsvc: attachment of message %q: %w", r.messageID, r.json.in.err)
	case r.text.damaged:
		return 0, fmt.Errorf("gmailsvc: attachment of message %q: %w", r.messageID, errBase64)
	}
	return 0, io.EOF
}

// decode reads on as far as the data, or one piece of it.
func (r *attachmentReader) decode() {
	in := &r.json.in
	if r.state == beforeData {
		if r.state = afterData; in.enter('{') {
			r.members(0)
		}
		return
	}
	var more bool
	r.ready, more = in.base64(&r.text, r.buffer[:0])
	r.buffer = r.ready
	if !more {
		r.state = afterData
		r.members(1)
	}
}

// members reads the members after the first n up to the data, or else to the end.
func (r *attachmentReader) members(n int) {
	in := &r.json.in
	for ; in.next('}', n); n++ {
		if string(in.key()) != "data" {
			in.skip()
		} else if in.openBase64() {
			r.state = inData
			return
		}
	}
	in.end()
}

func (r *attachmentReader) Close() error {
	if r.json != nil {
		r.json.free()
		r.json = nil
	}
	return r.body.Close()
}

// LoadText fetches the texts of m that came apart, each by a call of its own, so that Text and HTML are whole.
// Gmail does not say how long a text must be for that. m must not be read meanwhile.
//
// Errors: those of Attachment; *MessageError where a text could not be read.
func (s *Service) LoadText(ctx context.Context, m *Message) error {
	damage := &MessageError{MessageID: m.ID}
	for p := range m.Root.All() {
		if p.AttachmentID == "" || !p.isText() || p.Text != "" || len(p.Data) > 0 {
			continue
		}
		data, err := s.readAttachment(ctx, m.ID, p.AttachmentID)
		if err != nil {
			return fmt.Errorf("gmailsvc: text of message %q, part %q: %w", m.ID, p.ID, err)
		}
		charset := parseMediaType(p.Header.raw("Content-Type")).get("charset")
		text, err := appendUTF8(nil, charset, data, true)
		if err != nil {
			damage.Parts = append(damage.Parts, &PartError{PartID: p.ID, Err: err})
		}
		if p.Text = string(text); p.Text == "" {
			p.Data = data
		}
	}
	if len(damage.Parts) > 0 {
		return damage
	}
	return nil
}

func (s *Service) readAttachment(ctx context.Context, messageID, attachmentID string) ([]byte, error) {
	body, err := s.attachment(ctx, messageID, attachmentID)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}
