package gmailsvc

import (
	"iter"
	"strings"
	"time"
)

// A Message is one e-mail, read whole: what Gmail says of it, its header and the tree of its parts with their
// bodies decoded. It is the same whether it came as the API's JSON or as RFC 822 text, but for what only one of
// the two can say.
//
// The IDs, labels and snippet of a Message share one piece of memory, its header and texts a second one. A text
// that is kept while its Message is dropped keeps the rest alive: use strings.Clone then. A Message is not
// changed by its methods and may be read concurrently.
//
// Of a message as large as Gmail takes any, 2,000 parts are read, nested up to 32 deep, and 20,000 header fields of
// 1 MiB together; what is beyond is reported as damage.
type Message struct {
	ID, ThreadID string
	LabelIDs     []string  // such as "INBOX" and "UNREAD": IDs, not names
	HistoryID    uint64    // of the last change of the message; 0: not said
	InternalDate time.Time // when Gmail received it, to the millisecond; the zero Time: not said
	SizeEstimate int64     // bytes, about
	Snippet      string    // the beginning of its text, escaped for HTML

	// Root is the whole message as a part: its Header is the message's. With the format minimal it is empty, with
	// metadata it has a header alone.
	Root Part
}

// A Part is a node of a message's MIME tree (RFC 2045 to 2047).
type Part struct {
	ID       string // "" for the root, then "0", "0.1": unchanging within a message
	Type     string // the media type in lower case without its parameters, say "text/plain"
	Filename string // decoded; a name that somebody else chose, perhaps "../../x"
	Header   Header

	// Text is the body of a text without a file name, in UTF-8, with the line ends that it came with.
	Text string

	// Data is the body of anything else: its transfer encoding undone, otherwise as it was sent, a file of text
	// included. So it is for a text in a charset that is not known. It must not be changed.
	Data []byte

	// AttachmentID is set where the API serves the body apart, as it does for files and for very long texts:
	// Service.Attachment fetches it. Gmail makes a new ID at each reading, of which older ones stay good for a
	// while. Text and Data are empty then.
	AttachmentID string

	Size  int64   // bytes of the body, wherever it is
	Parts []*Part // of a multipart, or the message that a message/rfc822 has attached
}

// Header returns the header of the message.
func (m *Message) Header() Header { return m.Root.Header }

// Text returns the plain text of the message: that of all its text/plain parts which are no files and no
// alternatives to one another, in order. "" where there is only HTML, or a text that came apart: see
// Service.LoadText.
func (m *Message) Text() string { return m.Root.bodies("text/plain") }

// HTML returns the HTML of the message, as Text does its plain text. It is whatever the sender wrote: never show
// it unsanitized.
func (m *Message) HTML() string { return m.Root.bodies("text/html") }

// Attachments returns the parts that are no container and not the text or HTML of the message itself: files,
// inline images, attached messages (not what these have attached). Those that came apart have an AttachmentID,
// others their Data, or Text.
func (m *Message) Attachments() []*Part {
	var found []*Part
	for p := range m.Root.Leaves() {
		if !p.isBody() {
			found = append(found, p)
		}
	}
	return found
}

// All yields the part and all below it, attached messages included, in the order of the message.
func (p *Part) All() iter.Seq[*Part] {
	return func(yield func(*Part) bool) { p.walk(yield) }
}

func (p *Part) walk(yield func(*Part) bool) bool {
	if !yield(p) {
		return false
	}
	for _, child := range p.Parts {
		if !child.walk(yield) {
			return false
		}
	}
	return true
}

// Leaves yields the parts that the message itself is made of: no container, and nothing that is inside an
// attached message.
func (p *Part) Leaves() iter.Seq[*Part] {
	return func(yield func(*Part) bool) { p.leaves(yield) }
}

func (p *Part) leaves(yield func(*Part) bool) bool {
	if !p.isMultipart() {
		return p.Type == "" && len(p.Header) == 0 || yield(p)
	}
	for _, child := range p.Parts {
		if !child.leaves(yield) {
			return false
		}
	}
	return true
}

// ContentID returns the name by which the HTML of the message refers to the part as "cid:name" (RFC 2392), or "".
func (p *Part) ContentID() string {
	return strings.Trim(p.Header.Get("Content-ID"), "<> \t")
}

func (p *Part) isMultipart() bool { return strings.HasPrefix(p.Type, "multipart/") }

// isText reports whether Gmail serves the body as text.
func (p *Part) isText() bool { return strings.HasPrefix(p.Type, "text/") && p.Filename == "" }

// isBody reports whether the part is for reading with the message, and not a file.
func (p *Part) isBody() bool {
	if p.Filename != "" || p.Type != "text/plain" && p.Type != "text/html" {
		return false
	}
	disposition, _, _ := strings.Cut(p.Header.Get("Content-Disposition"), ";")
	return !strings.EqualFold(strings.TrimSpace(disposition), "attachment")
}

// bodies returns the texts of one type that make up the message, under one another. A single one is not copied.
func (p *Part) bodies(mediaType string) string {
	var all texts
	p.collect(mediaType, &all)
	if all.joined.Len() == 0 {
		return all.last
	}
	return all.joined.String()
}

// texts gathers the bodies of parts.
type texts struct {
	last   string
	joined strings.Builder // from the second on
}

// collect adds the bodies of one type to all, and reports whether there were any. Of alternatives the first that
// has any counts.
func (p *Part) collect(mediaType string, all *texts) (found bool) {
	if !p.isMultipart() {
		if p.Type != mediaType || !p.isBody() || p.Text == "" {
			return false
		}
		all.add(p.Text)
		return true
	}
	for _, child := range p.Parts {
		if child.collect(mediaType, all) {
			if found = true; p.Type == "multipart/alternative" {
				break
			}
		}
	}
	return found
}

func (t *texts) add(text string) {
	if t.last != "" {
		if t.joined.Len() == 0 {
			t.joined.WriteString(t.last)
		}
		if !strings.HasSuffix(t.last, "\n") {
			t.joined.WriteString("\r\n")
		}
		t.joined.WriteString(text)
	}
	t.last = text
}
