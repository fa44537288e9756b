package gmailsvc

import (
	"bytes"
	"errors"
	"time"
	"unicode/utf8"
)

// What is read of a message at most, whoever wrote it. Gmail takes messages of up to 150 MB:
// https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages/import.
const (
	maxMessageBytes = 160 << 20
	maxDecodedBytes = 2 * maxMessageBytes // of all bodies
	maxJSONBytes    = 256 << 20
	maxHeaderBytes  = 1 << 20 // of all parts
	maxFields       = 20_000  // of all parts
	maxParts        = 2_000
	maxDepth        = 32 // parts within parts
	maxProblems     = 100
	keptBytes       = 1 << 20 // of working memory, until the next message
)

// An assembly is a Message that is being read. Everything gathers in a few buffers that are used again; what the
// Message keeps of them is copied once, when their sizes are known.
type assembly struct {
	meta []byte // IDs, labels, snippet
	text []byte // header, texts and whatever else is a string
	blob []byte // bodies that are no text
	work []byte // a body half decoded
	raw  []byte // RFC 822

	labels   []span // of meta
	fields   []fieldDraft
	parts    []partDraft // each before those below it
	problems []problem

	id, threadID, snippet span // of meta
	historyID             uint64
	millis                int64 // internalDate
	dated                 bool
	size                  int64
	headerBytes           int
}

// A span is a piece of one of the buffers.
type span struct{ start, end int }

func (s span) of(text string) string { return text[s.start:s.end] }

func (s span) len() int { return s.end - s.start }

type fieldDraft struct{ name, value, raw span } // of text

type partDraft struct {
	parent, children                int
	id, mediaType, name, attachment span // of text
	fields                          span // of fields
	text                            span // of text
	data                            span // of blob
	size                            int64
}

type problem struct {
	part int
	err  error
}

var (
	errTooManyParts  = errors.New("more parts than are read")
	errTooDeep       = errors.New("parts nested deeper than are read")
	errTooMuchHeader = errors.New("more header than is read")
	errTooLarge      = errors.New("bodies larger than are read")
)

// reset begins another message, and drops what an unusually large one has used.
func (a *assembly) reset() {
	if cap(a.meta)+cap(a.text)+cap(a.blob)+cap(a.work)+cap(a.raw) > keptBytes || cap(a.fields)+cap(a.parts) > maxParts {
		*a = assembly{}
		return
	}
	clear(a.problems) // holds errors
	*a = assembly{
		meta: a.meta[:0], text: a.text[:0], blob: a.blob[:0], work: a.work[:0], raw: a.raw[:0],
		labels: a.labels[:0], fields: a.fields[:0], parts: a.parts[:0], problems: a.problems[:0],
	}
}

// addPart adds a part, the root first, and reports whether there is room for it.
func (a *assembly) addPart(parent int) (i int, ok bool) {
	i = len(a.parts)
	if i == maxParts {
		a.problem(0, errTooManyParts)
		return 0, false
	}
	a.parts = append(a.parts, partDraft{parent: parent})
	if i > 0 {
		a.parts[parent].children++
	}
	return i, true
}

// dropParts forgets all that is below part i, which is the last that was begun.
func (a *assembly) dropParts(i int) {
	a.parts = a.parts[:i+1]
	a.parts[i].children = 0
	for n := len(a.problems); n > 0 && a.problems[n-1].part > i; n-- {
		a.problems = a.problems[:n-1]
	}
}

// problem notes what can't be read of part i, each thing once.
func (a *assembly) problem(i int, err error) {
	for _, p := range a.problems {
		if p.part == i && p.err.Error() == err.Error() {
			return
		}
	}
	if len(a.problems) < maxProblems {
		a.problems = append(a.problems, problem{i, err})
	}
}

// addText appends a string to the texts.
func (a *assembly) addText(text string) span {
	start := len(a.text)
	a.text = append(a.text, text...)
	return span{start, len(a.text)}
}

// addData appends a body that is no text.
func (a *assembly) addData(data []byte) span {
	start := len(a.blob)
	a.blob = append(a.blob, data...)
	return span{start, len(a.blob)}
}

// addField adds a field whose name and raw value are in place to part i, the last one that was begun.
func (a *assembly) addField(i int, f fieldDraft) {
	p := &a.parts[i]
	if a.headerBytes += f.name.len() + f.raw.len(); a.headerBytes > maxHeaderBytes || len(a.fields) == maxFields {
		a.problem(i, errTooMuchHeader)
		return
	}
	f.value = a.decodeField(i, f.raw)
	if p.fields.len() == 0 {
		p.fields = span{len(a.fields), len(a.fields)}
	}
	a.fields = append(a.fields, f)
	p.fields.end++
}

// decodeField returns a value for people to read.
func (a *assembly) decodeField(i int, raw span) span {
	value := a.text[raw.start:raw.end]
	if utf8.Valid(value) && !bytes.Contains(value, []byte("=?")) {
		return raw
	}
	decoded, err := decodeWords(string(value))
	if err != nil {
		a.problem(i, err)
	}
	return a.addText(decoded)
}

// field returns the first field of that name of part i as it came, or "".
func (a *assembly) field(i int, name string) string {
	p := &a.parts[i]
	for _, f := range a.fields[p.fields.start:p.fields.end] {
		if bytes.EqualFold(a.text[f.name.start:f.name.end], []byte(name)) {
			return string(a.text[f.raw.start:f.raw.end])
		}
	}
	return ""
}

// isText reports whether part i is text and no file.
func (a *assembly) isText(i int) bool {
	p := &a.parts[i]
	return p.name.len() == 0 && bytes.HasPrefix(a.text[p.mediaType.start:p.mediaType.end], []byte("text/"))
}

// setText makes text the body of part i: in UTF-8 if that can be told, else as bytes.
func (a *assembly) setText(i int, charset string, text []byte, transcoded bool) {
	start := len(a.text)
	var err error
	a.text, err = appendUTF8(a.text, charset, text, transcoded)
	if err != nil {
		a.problem(i, err)
	}
	p := &a.parts[i]
	p.text = span{start, len(a.text)}
	if p.size = int64(p.text.len()); p.size == 0 && err != nil {
		a.setData(i, a.addData(text))
	}
}

// setData makes a piece of the blob the body of part i.
func (a *assembly) setData(i int, data span) {
	a.parts[i].data = data
	a.parts[i].size = int64(data.len())
}

// message returns what has been read, and as an error what could not be.
func (a *assembly) message() (*Message, error) {
	meta, text := string(a.meta), string(a.text)
	blob := a.blob
	if len(blob) > keptBytes {
		a.blob = nil // the message's now
	} else {
		blob = bytes.Clone(blob)
	}
	m := &Message{
		ID: a.id.of(meta), ThreadID: a.threadID.of(meta), Snippet: a.snippet.of(meta),
		HistoryID: a.historyID, SizeEstimate: a.size,
	}
	if a.dated {
		m.InternalDate = time.UnixMilli(a.millis).UTC()
	}
	if len(a.labels) > 0 {
		m.LabelIDs = make([]string, len(a.labels))
		for i, l := range a.labels {
			m.LabelIDs[i] = l.of(meta)
		}
	}
	a.tree(&m.Root, text, blob)
	if len(a.problems) == 0 {
		return m, nil
	}
	damage := &MessageError{MessageID: m.ID}
	for _, p := range a.problems {
		id := ""
		if p.part < len(a.parts) {
			id = a.parts[p.part].id.of(text)
		}
		damage.Parts = append(damage.Parts, &PartError{PartID: id, Err: p.err})
	}
	return m, damage
}

// tree fills in root and all below it: two pieces of memory for the parts, whatever their number, and one for the
// fields.
func (a *assembly) tree(root *Part, text string, blob []byte) {
	if len(a.parts) == 0 {
		return
	}
	fields := make(Header, len(a.fields))
	for i, f := range a.fields {
		fields[i] = Field{f.name.of(text), f.value.of(text), f.raw.of(text)}
	}
	below := make([]Part, len(a.parts)-1)
	children := make([]*Part, len(below))
	used := 0
	for i := range a.parts {
		d, p := &a.parts[i], root
		if i > 0 {
			p = &below[i-1]
			above := root
			if d.parent > 0 {
				above = &below[d.parent-1]
			}
			above.Parts = append(above.Parts, p) // there is room
		}
		p.ID, p.Type, p.Filename = d.id.of(text), d.mediaType.of(text), d.name.of(text)
		p.AttachmentID, p.Size, p.Text = d.attachment.of(text), d.size, d.text.of(text)
		if n := d.fields; n.len() > 0 {
			p.Header = fields[n.start:n.end:n.end]
		}
		if n := d.data; n.len() > 0 {
			p.Data = blob[n.start:n.end:n.end]
		}
		if d.children > 0 {
			p.Parts = children[used : used : used+d.children]
			used += d.children
		}
	}
}
