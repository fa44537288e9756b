package gmailsvc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ParseMessage reads a Message from RFC 822 text (RFC 5322, RFC 2045 to 2047): an .eml file, what a message's raw
// format holds. What only Gmail knows of a message, its IDs and labels, stays empty. Broken mail is read as far
// as it makes sense.
//
// Errors: *MessageError, beside the Message, where part of it could not be read. Any other error comes without a
// Message.
func ParseMessage(r io.Reader) (*Message, error) {
	d := newDecoder(nil)
	defer d.free()
	a := &d.into
	a.reset()
	for limited := io.LimitReader(r, maxMessageBytes+1); ; {
		if len(a.raw) == cap(a.raw) {
			a.raw = append(a.raw, make([]byte, max(windowSize, len(a.raw)))...)[:len(a.raw)]
		}
		n, err := limited.Read(a.raw[len(a.raw):cap(a.raw)])
		a.raw = a.raw[:len(a.raw)+n]
		if len(a.raw) > maxMessageBytes {
			return nil, fmt.Errorf("gmailsvc: parse message: it has more than %d bytes", maxMessageBytes)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("gmailsvc: parse message: %w", err)
		}
	}
	a.parseRaw()
	return a.message()
}

// A source is text that parts are read from.
type source struct {
	text []byte
	blob int // where the text is in the blob; -1: it is not there
}

var (
	errHeaderEnds = errors.New("a header that ends with a line that is none")
	errNoParts    = errors.New("a multipart in which no part begins")
	errCutOff     = errors.New("a multipart that is cut off")
	errQuoted     = errors.New("quoted-printable text that is damaged")
)

// parseRaw takes a.raw apart.
func (a *assembly) parseRaw() {
	raw := a.raw
	for _, mark := range []string{"From ", ">From "} { // the line that a message begins with in an mbox
		if bytes.HasPrefix(raw, []byte(mark)) {
			_, raw, _ = bytes.Cut(raw, []byte("\n"))
		}
	}
	a.parse(source{raw, -1}, span{0, len(raw)}, draftOf{byDefault: "text/plain"})
}

// A draftOf says which part is to be read.
type draftOf struct {
	parent, nth, depth int
	byDefault          string // its type, where it says none
}

// parse takes apart what is at that place of src.
func (a *assembly) parse(src source, at span, of draftOf) {
	i, ok := a.addPart(of.parent)
	if !ok {
		return
	}
	if i > 0 {
		start := len(a.text)
		if parent := a.parts[of.parent].id; parent.len() > 0 {
			a.text = append(a.text, a.text[parent.start:parent.end]...)
			a.text = append(a.text, '.')
		}
		a.text = strconv.AppendInt(a.text, int64(of.nth), 10)
		a.parts[i].id = span{start, len(a.text)}
	}
	at.start = a.header(i, src.text, at)
	kind := parseMediaType(a.field(i, "Content-Type"))
	if !strings.Contains(kind.value, "/") {
		kind.value = of.byDefault
	}
	a.parts[i].mediaType = a.addText(kind.value)
	a.parts[i].name = a.filename(i, kind)
	switch {
	case !strings.HasPrefix(kind.value, "multipart/"):
		a.leaf(i, src, at, kind, of.depth)
	case of.depth == maxDepth:
		a.problem(i, errTooDeep)
		a.setBytes(i, src, at)
	default:
		a.multipart(i, src, at, kind, of.depth)
	}
}

// filename returns the name of part i as a file.
func (a *assembly) filename(i int, kind mediaType) span {
	disposition := parseMediaType(a.field(i, "Content-Disposition"))
	name, err := disposition.text("filename")
	if name == "" && err == nil {
		name, err = kind.text("name")
	}
	if err != nil {
		a.problem(i, err)
	}
	return a.addText(name)
}

// multipart takes apart the parts between the boundary lines (RFC 2046, section 5.1.1), the last one also where
// the closing line is missing.
func (a *assembly) multipart(i int, src source, at span, kind mediaType, depth int) {
	of := draftOf{parent: i, depth: depth + 1, byDefault: "text/plain"}
	if kind.value == "multipart/digest" {
		of.byDefault = "message/rfc822"
	}
	begins := -1
	closed := false
	for next := at.start; !closed; {
		line, found := boundary(src.text[:at.end], next, kind.get("boundary"))
		if !found {
			break
		}
		if begins >= 0 {
			a.parse(src, span{begins, withoutLineEnd(src.text, begins, line.start)}, of)
			of.nth++
		}
		begins, next = line.end, line.end
		closed = line.closing
	}
	if begins >= 0 && !closed {
		a.problem(i, errCutOff)
		a.parse(src, span{begins, at.end}, of)
	}
	if a.parts[i].children == 0 {
		a.problem(i, errNoParts)
		a.setBytes(i, src, at)
	}
}

type boundaryLine struct {
	span
	closing bool
}

// boundary finds the next boundary line of text.
func boundary(text []byte, from int, name string) (boundaryLine, bool) {
	if name == "" {
		return boundaryLine{}, false
	}
	delimiter := []byte("--" + name)
	for {
		i := bytes.Index(text[from:], delimiter)
		if i < 0 {
			return boundaryLine{}, false
		}
		start := from + i
		from = start + len(delimiter)
		if start > 0 && text[start-1] != '\n' {
			continue
		}
		line := boundaryLine{span: span{start, len(text)}}
		if end := bytes.IndexByte(text[from:], '\n'); end >= 0 {
			line.end = from + end + 1
		}
		switch string(bytes.TrimRight(text[from:line.end], " \t\r\n")) {
		case "":
			return line, true
		case "--":
			line.closing = true
			return line, true
		}
	}
}

// withoutLineEnd moves end before the line end there, which belongs to the boundary that follows.
func withoutLineEnd(text []byte, start, end int) int {
	if end > start && text[end-1] == '\n' {
		end--
		if end > start && text[end-1] == '\r' {
			end--
		}
	}
	return end
}

// leaf undoes the encodings of a part that has a body.
func (a *assembly) leaf(i int, src source, at span, kind mediaType, depth int) {
	if len(a.text)+len(a.blob)+at.len() > maxDecodedBytes {
		a.problem(i, errTooLarge)
		return
	}
	encoding := strings.ToLower(a.field(i, "Content-Transfer-Encoding"))
	encoding, _, _ = strings.Cut(strings.TrimSpace(encoding), " ")
	decode, damage := appendBase64, errBase64
	switch encoding = strings.TrimRight(encoding, ";"); encoding {
	case "base64":
	case "quoted-printable":
		decode, damage = appendQuotedPrintable, errQuoted
	case "", "7bit", "8bit", "binary":
		decode = nil
	default:
		decode = nil
		a.problem(i, fmt.Errorf("unknown transfer encoding %.40q", encoding))
	}
	body := src.text[at.start:at.end]
	ok := true
	switch {
	case a.isText(i):
		if decode != nil {
			a.work, ok = decode(a.work[:0], body)
			body = a.work
		}
		a.setText(i, kind.get("charset"), body, false)
	case decode == nil:
		a.setBytes(i, src, at)
	default:
		start := len(a.blob)
		a.blob, ok = decode(a.blob, body)
		a.setData(i, span{start, len(a.blob)})
	}
	if !ok {
		a.problem(i, damage)
	}
	if kind.value == "message/rfc822" || kind.value == "message/global" {
		a.attached(i, depth)
	}
}

// attached takes apart the message that part i has attached.
func (a *assembly) attached(i, depth int) {
	data := a.parts[i].data
	if data.len() == 0 {
		return
	}
	if depth == maxDepth {
		a.problem(i, errTooDeep)
		return
	}
	a.parse(source{a.blob[data.start:data.end], data.start}, span{0, data.len()},
		draftOf{parent: i, depth: depth + 1, byDefault: "text/plain"})
}

// setBytes makes what is at that place of src the body of part i, as it is. Within an attached message it is in
// the blob already.
func (a *assembly) setBytes(i int, src source, at span) {
	if src.blob >= 0 {
		a.setData(i, span{src.blob + at.start, src.blob + at.end})
		return
	}
	a.setData(i, a.addData(src.text[at.start:at.end]))
}

// header reads the header of part i, and returns where its body begins. The first line that can be no field ends
// it, blank or not.
func (a *assembly) header(i int, text []byte, at span) int {
	var f fieldDraft
	open := false
	closeField := func() {
		if open {
			a.closeField(i, f)
		}
		open = false
	}
	for at.start < at.end {
		line, next := text[at.start:at.end], at.end
		if end := bytes.IndexByte(line, '\n'); end >= 0 {
			line, next = line[:end], at.start+end+1
		}
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			at.start = next
			break
		}
		if open && (line[0] == ' ' || line[0] == '\t') {
			// Unfolding removes the line end alone: RFC 5322, section 2.2.3.
			a.text = append(a.text, line...)
			at.start = next
			continue
		}
		name, value, found := bytes.Cut(line, []byte(":"))
		name = bytes.TrimRight(name, " \t")
		if !found || len(name) == 0 || bytes.ContainsAny(name, " \t") {
			a.problem(i, errHeaderEnds)
			break
		}
		closeField()
		f.name = a.addText(string(name))
		f.raw = a.addText(string(value))
		open = true
		at.start = next
	}
	closeField()
	return at.start
}

// closeField adds the field that ends with a.text.
func (a *assembly) closeField(i int, f fieldDraft) {
	f.raw.end = len(a.text)
	raw := a.text[f.raw.start:f.raw.end]
	f.raw.start += len(raw) - len(bytes.TrimLeft(raw, " \t\r"))
	f.raw.end = max(f.raw.start, f.raw.end-(len(raw)-len(bytes.TrimRight(raw, " \t\r"))))
	a.addField(i, f)
}
