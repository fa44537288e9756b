package gmailsvc_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mailgrant/mailgrant/gmailsvc"
)

// A reference reads the API's JSON by way of encoding/json: slow, and simple enough to be believed. What it makes
// of a message is a text that can be compared with described.
type reference struct {
	out     strings.Builder
	err     error
	parts   int
	foreign map[int]bool // texts that are not UTF-8, whatever else they are, by the number of their part
	raw     bool         // there are no parts, but RFC 822 text
}

var errType = errors.New("of another type")

// referenceOf reads a message, one in the raw format without its parts.
func referenceOf(text []byte) (*reference, error) {
	r := &reference{foreign: make(map[int]bool)}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if decoder.More() || !json.Valid(text) {
		return nil, errors.New("more than one value")
	}
	m := r.object(value)
	fmt.Fprintf(&r.out, "%q %q %q", r.text(m["id"]), r.text(m["threadId"]), r.text(m["snippet"]))
	for _, label := range r.list(m["labelIds"]) {
		fmt.Fprintf(&r.out, " %q", r.text(label))
	}
	history, date := r.digits(m["historyId"]), r.digits(m["internalDate"])
	if history != "" {
		n, err := strconv.ParseUint(history, 10, 64)
		r.fail(err)
		history = fmt.Sprint(n)
	}
	if history == "0" {
		history = ""
	}
	fmt.Fprintf(&r.out, " %s %s %d\n", history, r.whole(date), r.number(m["sizeEstimate"]))
	raw, _ := r.data(m["raw"])
	payload := r.object(m["payload"])
	switch {
	case payload == nil && len(raw) > 0:
		r.raw = true
	case payload != nil:
		r.part(payload)
	default:
		r.part(map[string]any{})
	}
	return r, r.err
}

func (r *reference) part(p map[string]any) {
	kind := strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, r.text(p["mimeType"]))
	name := r.text(p["filename"])
	body := r.object(p["body"])
	attachment, size := r.text(body["attachmentId"]), r.number(body["size"])
	data, _ := r.data(body["data"])
	if attachment == "" || len(data) > 0 {
		size = int64(len(data))
	}
	text := ""
	if isText := strings.HasPrefix(kind, "text/") && name == ""; isText && utf8.Valid(data) && !bytes.Contains(data, []byte("\x1b")) {
		text, data = string(data), nil
	} else if isText {
		text, data, size = "?", nil, 0
		r.foreign[r.parts] = true
	}
	r.parts++
	var parts []map[string]any
	for _, child := range r.list(p["parts"]) {
		if c := r.object(child); c != nil {
			parts = append(parts, c)
		}
	}
	fmt.Fprintf(&r.out, "part %q %q %q %q %d %q %q %d\n", r.text(p["partId"]), kind, plain(name), attachment, size, text, data, len(parts))
	for _, h := range r.list(p["headers"]) {
		if h := r.object(h); h != nil {
			fmt.Fprintf(&r.out, "%q: %q\n", r.text(h["name"]), r.text(h["value"]))
		}
	}
	for _, c := range parts {
		r.part(c)
	}
}

// described is m in the words of the reference.
func (r *reference) described(m *gmailsvc.Message) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%q %q %q", m.ID, m.ThreadID, m.Snippet)
	for _, label := range m.LabelIDs {
		fmt.Fprintf(&out, " %q", label)
	}
	history, date := "", ""
	if m.HistoryID != 0 {
		history = fmt.Sprint(m.HistoryID)
	}
	if !m.InternalDate.IsZero() {
		date = fmt.Sprint(m.InternalDate.UnixMilli())
	}
	fmt.Fprintf(&out, " %s %s %d\n", history, date, m.SizeEstimate)
	n := 0
	for p := range m.Root.All() {
		if r.raw {
			break
		}
		text, data, size := p.Text, p.Data, p.Size
		if r.foreign[n] {
			text, data, size = "?", nil, 0
		}
		n++
		fmt.Fprintf(&out, "part %q %q %q %q %d %q %q %d\n", p.ID, p.Type, plain(p.Filename), p.AttachmentID, size, text, data, len(p.Parts))
		for _, f := range p.Header {
			fmt.Fprintf(&out, "%q: %q\n", f.Name, f.Raw)
		}
	}
	return out.String()
}

// plain leaves out a name that may have been decoded.
func plain(name string) string {
	if strings.Contains(name, "=?") {
		return "?"
	}
	return name
}

func (r *reference) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reference) object(v any) map[string]any {
	m, ok := v.(map[string]any)
	if !ok && v != nil {
		r.fail(errType)
	}
	return m
}

func (r *reference) list(v any) []any {
	l, ok := v.([]any)
	if !ok && v != nil {
		r.fail(errType)
	}
	return l
}

func (r *reference) text(v any) string {
	s, ok := v.(string)
	if !ok && v != nil {
		r.fail(errType)
	}
	return s
}

// digits returns a number as it stands there, in quotes or not.
func (r *reference) digits(v any) string {
	if n, ok := v.(json.Number); ok {
		return string(n)
	}
	return r.text(v)
}

func (r *reference) number(v any) int64 {
	n, _ := strconv.ParseInt(r.whole(r.digits(v)), 10, 64)
	return n
}

func (r *reference) whole(digits string) string {
	if digits == "" {
		return ""
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	r.fail(err)
	return fmt.Sprint(n)
}

// data decodes base64url as far as it makes sense.
func (r *reference) data(v any) (data []byte, ok bool) {
	for text := range strings.SplitSeq(r.text(v), "=") {
		text = strings.Map(func(c rune) rune {
			switch {
			case c == '+':
				return '-'
			case c == '/':
				return '_'
			case c < 0x80 && strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", c):
				return c
			}
			return -1
		}, text)
		if len(text)%4 == 1 {
			text = text[:len(text)-1]
		}
		piece, err := base64.RawURLEncoding.DecodeString(text)
		r.fail(err)
		data = append(data, piece...)
	}
	return data, true
}
