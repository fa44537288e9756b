package gmailsvc

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"strconv"
	"sync"
	"unicode/utf8"
)

// DecodeMessage reads a Message from the API's JSON, in any of its formats: full, metadata, minimal and raw. See
// https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages#Message. Bodies are decoded
// as they come in, so that the JSON is never in memory as a whole. A Service fetches messages by itself;
// DecodeMessage is for JSON that was kept or came another way.
//
// Errors: *MessageError, beside the Message, where part of it could not be read. Any other error comes without a
// Message.
func DecodeMessage(r io.Reader) (*Message, error) {
	d := newDecoder(r)
	defer d.free()
	m, err := d.message()
	d.in.end()
	if d.in.err != nil {
		return nil, fmt.Errorf("gmailsvc: decode message: %w", d.in.err)
	}
	return m, err
}

// DecodeThread yields the messages of a thread from the API's JSON, oldest first, each as soon as it is read. See
// https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.threads#Thread.
//
// Errors: *MessageError, beside the Message, where part of it could not be read; the iteration goes on. Any other
// error comes without a Message and ends it.
func DecodeThread(r io.Reader) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		d := newDecoder(r)
		defer d.free()
		if !d.messages(yield) {
			return
		}
		d.in.end()
		if d.in.err != nil {
			yield(nil, fmt.Errorf("gmailsvc: decode thread: %w", d.in.err))
		}
	}
}

// A decoder reads the API's JSON into an assembly. One knows nothing of the message before.
type decoder struct {
	in   scanner
	into assembly
}

// decoders holds working memory that is not in use.
var decoders = sync.Pool{New: func() any { return new(decoder) }}

func newDecoder(r io.Reader) *decoder {
	d := decoders.Get().(*decoder)
	d.in.reset(r, maxJSONBytes)
	return d
}

func (d *decoder) free() {
	d.in.reset(nil, 0)
	d.into.reset()
	decoders.Put(d)
}

// messages yields the messages of a thread until yield has enough, and reports whether it has not.
func (d *decoder) messages(yield func(*Message, error) bool) bool {
	if !d.in.enter('{') {
		return true
	}
	for i := 0; d.in.next('}', i); i++ {
		if string(d.in.key()) != "messages" {
			d.in.skip()
			continue
		}
		if !d.in.enter('[') {
			continue
		}
		for i := 0; d.in.next(']', i); i++ {
			if m, err := d.message(); d.in.err == nil && !yield(m, err) {
				return false
			}
		}
	}
	return true
}

// message reads one message. Unless it was read to its end, d.in.err says why.
func (d *decoder) message() (*Message, error) {
	a := &d.into
	a.reset()
	if d.in.enter('{') {
		for i := 0; d.in.next('}', i); i++ {
			d.messageMember(string(d.in.key()))
		}
	}
	if d.in.err != nil {
		return nil, d.in.err
	}
	if len(a.raw) > 0 && len(a.parts) == 0 {
		a.parseRaw()
	}
	return a.message()
}

func (d *decoder) messageMember(name string) {
	a := &d.into
	switch name {
	case "id":
		a.id = d.metaText()
	case "threadId":
		a.threadID = d.metaText()
	case "snippet":
		a.snippet = d.metaText()
	case "labelIds":
		a.labels = a.labels[:0]
		if d.in.enter('[') {
			for i := 0; d.in.next(']', i); i++ {
				a.labels = append(a.labels, d.metaText())
			}
		}
	case "historyId":
		a.historyID = d.unsigned()
	case "internalDate":
		a.millis, a.dated = d.integer()
	case "sizeEstimate":
		a.size, _ = d.integer()
	case "payload":
		a.parts, a.fields, a.problems = a.parts[:0], a.fields[:0], a.problems[:0]
		d.part(0, 0)
	case "raw":
		var ok bool
		if a.raw, ok = d.base64(a.raw[:0]); !ok {
			a.problem(0, errBase64)
		}
	default:
		d.in.skip()
	}
}

// part reads a part and all below it.
func (d *decoder) part(parent, depth int) {
	a := &d.into
	if d.in.isNull() {
		return
	}
	if depth > maxDepth {
		a.problem(parent, errTooDeep)
		d.in.skip()
		return
	}
	i, ok := a.addPart(parent)
	if !ok {
		d.in.skip()
		return
	}
	var read body
	if d.in.enter('{') {
		for n := 0; d.in.next('}', n); n++ {
			switch string(d.in.key()) {
			case "partId":
				a.parts[i].id = d.partText()
			case "mimeType":
				a.parts[i].mediaType = d.partText()
				lower(a.text[a.parts[i].mediaType.start:])
			case "filename":
				a.parts[i].name = a.decodeField(i, d.partText())
			case "headers":
				a.parts[i].fields = span{}
				d.headers(i)
			case "body":
				a.parts[i].attachment, a.parts[i].size = span{}, 0
				read = d.body(i)
			case "parts":
				a.dropParts(i)
				if !d.in.enter('[') {
					continue
				}
				for n := 0; d.in.next(']', n); n++ {
					d.part(i, depth+1)
				}
			default:
				d.in.skip()
			}
		}
	}
	if d.in.err == nil {
		d.setBody(i, read)
	}
}

// headers reads the fields of part i.
func (d *decoder) headers(i int) {
	if !d.in.enter('[') {
		return
	}
	for n := 0; d.in.next(']', n); n++ {
		if !d.in.enter('{') {
			continue // null
		}
		var f fieldDraft
		for n := 0; d.in.next('}', n); n++ {
			switch string(d.in.key()) {
			case "name":
				f.name = d.partText()
			case "value":
				f.raw = d.partText()
			default:
				d.in.skip()
			}
		}
		d.into.addField(i, f)
	}
}

// A body is where the bytes of a part were put when it was not yet certain what they are.
type body struct {
	span
	blob    bool // they are in the blob, else in the text
	damaged bool
}

// body reads what a part has of a body.
func (d *decoder) body(i int) (read body) {
	a := &d.into
	if !d.in.enter('{') {
		return body{}
	}
	for n := 0; d.in.next('}', n); n++ {
		switch string(d.in.key()) {
		case "attachmentId":
			a.parts[i].attachment = d.partText()
		case "size":
			a.parts[i].size, _ = d.integer()
		case "data":
			read = d.data(i)
		default:
			d.in.skip()
		}
	}
	return read
}

// data reads a body to where it will most likely stay: the type usually comes before it.
func (d *decoder) data(i int) body {
	a := &d.into
	read := body{blob: a.parts[i].mediaType.len() > 0 && !a.isText(i)}
	into := &a.text
	if read.blob {
		into = &a.blob
	}
	var ok bool
	read.start = len(*into)
	*into, ok = d.base64(*into)
	read.end, read.damaged = len(*into), !ok
	return read
}

// setBody puts the bytes of part i into their place, now that all of it is known.
func (d *decoder) setBody(i int, read body) {
	a := &d.into
	p := &a.parts[i]
	if read.damaged {
		a.problem(i, errBase64)
	}
	if read.len() == 0 {
		if p.attachment.len() == 0 {
			p.size = 0
		}
		return
	}
	from := a.text
	if read.blob {
		from = a.blob
	}
	data := from[read.start:read.end]
	switch {
	case !a.isText(i) && read.blob:
		a.setData(i, read.span)
	case !a.isText(i):
		a.setData(i, a.addData(data))
	case !read.blob && utf8.Valid(data) && bytes.IndexByte(data, 0x1b) < 0:
		p.text, p.size = read.span, int64(read.len())
	default:
		a.setText(i, parseMediaType(a.field(i, "Content-Type")).get("charset"), data, true)
	}
}

// metaText reads a string that is kept with the IDs; null is empty.
func (d *decoder) metaText() span {
	start := len(d.into.meta)
	d.into.meta = d.in.text(d.into.meta)
	return span{start, len(d.into.meta)}
}

// partText reads a string that is kept with the texts; null is empty.
func (d *decoder) partText() span {
	start := len(d.into.text)
	d.into.text = d.in.text(d.into.text)
	return span{start, len(d.into.text)}
}

// integer reads a whole number; null is none.
func (d *decoder) integer() (n int64, ok bool) {
	digits := d.in.number()
	if len(digits) == 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		d.in.fail("want a whole number of 64 bits")
	}
	return n, err == nil
}

func (d *decoder) unsigned() uint64 {
	digits := d.in.number()
	if len(digits) == 0 {
		return 0
	}
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		d.in.fail("want a whole number of 64 bits")
	}
	return n
}

// base64 appends what a string of base64url stands for, and reports whether all of it made sense.
func (d *decoder) base64(dst []byte) ([]byte, bool) {
	text := base64Text{url: true}
	for more := d.in.openBase64(); more; {
		dst, more = d.in.base64(&text, dst)
	}
	return dst, !text.damaged
}

// lower changes capital letters of ASCII to small ones.
func lower(text []byte) {
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			text[i] = c + ('a' - 'A')
		}
	}
}
