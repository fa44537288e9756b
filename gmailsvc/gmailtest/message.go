package gmailtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/mail"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A message is one e-mail in a mailbox. All but labels and historyID is fixed at delivery; those two
// belong to the mailbox's lock.
type message struct {
	id, threadID string
	raw          []byte
	date         int64 // internalDate: Unix milliseconds
	root         *part
	snippet      string
	attached     bool          // has a file
	words        func() string // all that a bare word of a query is looked up in, normalized

	draft string // the ID of the draft that it is the message of; "": it is none

	labels    []string
	historyID uint64
}

// newMessage reads raw, which gets the line ends that mail has on the wire. It has no ID yet.
func (c charsets) newMessage(raw []byte, date, now time.Time) *message {
	m := &message{raw: crlf(raw)}
	m.root = c.parsePart(m.raw, "", "text/plain", 0)
	if date.IsZero() {
		var err error
		if date, err = mail.ParseDate(m.root.headers.get("Date")); err != nil {
			date = now
		}
	}
	m.date = max(0, date.UnixMilli())
	m.snippet = snippetOf(m.root)
	m.root.walk(func(p *part) bool {
		m.attached = m.attached || p.filename != ""
		return !m.attached
	})
	m.words = sync.OnceValue(func() string {
		var all strings.Builder
		for _, name := range []string{"Subject", "From", "To", "Cc", "Bcc"} {
			all.WriteString(m.root.headers.text(name))
			all.WriteByte('\n')
		}
		m.root.walk(func(p *part) bool {
			all.WriteString(p.filename)
			all.WriteByte('\n')
			switch {
			case p.isText() && p.mimeType == "text/html":
				all.WriteString(stripTags(string(p.body)))
			case p.isText():
				all.Write(p.body)
			}
			all.WriteByte('\n')
			return true
		})
		return normalize(all.String())
	})
	return m
}

// naturalID is the ID that the message gets if it is free: its date and a few bits of its content, so that
// the same mail has the same ID in every run. It looks like Gmail's, which also grow with time.
func (m *message) naturalID() uint64 {
	sum := sha256.Sum256(m.raw)
	return uint64(m.date)<<20 | uint64(binary.BigEndian.Uint32(sum[:4])>>12)
}

func formatID(id uint64) string { return fmt.Sprintf("%016x", id) }

// parseID reads the ID of a message or a thread, a hexadecimal number of 64 bits, and writes it as formatID does.
func parseID(digits string) (string, bool) {
	id, err := strconv.ParseUint(digits, 16, 64)
	return formatID(id), err == nil && len(digits) <= 16
}

// before reports whether m stands before the other in a listing: newest first.
func (m *message) before(date int64, id string) bool {
	return m.date > date || m.date == date && m.id > id
}

// messageIDs returns the Message-ID of the message and those that it refers to, the nearest first (RFC
// 5322, section 3.6.4).
func (m *message) messageIDs() (own string, refers []string) {
	if ids := angled(m.root.headers.get("Message-ID")); len(ids) > 0 {
		own = ids[0]
	}
	refers = angled(m.root.headers.get("In-Reply-To"))
	references := angled(m.root.headers.get("References"))
	for i := range references {
		refers = append(refers, references[len(references)-1-i])
	}
	return own, refers
}

// angled returns what stands in angle brackets.
func angled(value string) []string {
	var ids []string
	for {
		_, after, ok := strings.Cut(value, "<")
		if !ok {
			return ids
		}
		id, rest, ok := strings.Cut(after, ">")
		if !ok {
			return ids
		}
		ids, value = append(ids, id), rest
	}
}

// crlf returns raw with each line ended as on the wire.
func crlf(raw []byte) []byte {
	bare := bytes.Count(raw, []byte("\n")) - bytes.Count(raw, []byte("\r\n"))
	if bare == 0 {
		return bytes.Clone(raw)
	}
	out := make([]byte, 0, len(raw)+bare)
	for i, b := range raw {
		if b == '\n' && (i == 0 || raw[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, b)
	}
	return out
}
