package gmailtest

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/quotedprintable"
	"strconv"
	"strings"
)

// maxDepth bounds how deep multiparts and attached messages are taken apart.
const maxDepth = 20

// A header is one field, unfolded.
type header struct {
	name  string
	value string // RFC 2047 words decoded
	raw   string
}

type headers []header

// get returns the first field of that name as it was sent, or "".
func (hs headers) get(name string) string {
	for _, h := range hs {
		if strings.EqualFold(h.name, name) {
			return h.raw
		}
	}
	return ""
}

// text returns the fields of that name, decoded, one a line.
func (hs headers) text(name string) string {
	var values []string
	for _, h := range hs {
		if strings.EqualFold(h.name, name) {
			values = append(values, h.value)
		}
	}
	return strings.Join(values, "\n")
}

// A part is a node of a message's MIME tree (RFC 2045 to 2047). Broken mail is read as far as it makes sense.
type part struct {
	id       string // Gmail's: "" for the message, then "0", "0.1"
	mimeType string
	filename string
	headers  headers
	body     []byte // transfer-decoded; text that is no attachment in UTF-8
	foreign  bool   // text in a charset that could not be decoded
	parts    []*part
}

// isText reports whether p is text to be read, not a file.
func (p *part) isText() bool { return strings.HasPrefix(p.mimeType, "text/") && p.filename == "" }

// isApart reports whether the body is fetched on its own: a file, anything but text, or text of more than
// inline bytes.
func (p *part) isApart(inline int) bool {
	if strings.HasPrefix(p.mimeType, "multipart/") || len(p.body) == 0 {
		return false
	}
	return !p.isText() || len(p.body) > inline
}

// walk calls f for p and all below it, and stops where f returns false.
func (p *part) walk(f func(*part) bool) bool {
	if !f(p) {
		return false
	}
	for _, child := range p.parts {
		if !child.walk(f) {
			return false
		}
	}
	return true
}

// parsePart takes raw apart, whose Content-Type is byDefault where it says none.
func (c charsets) parsePart(raw []byte, id, byDefault string, depth int) *part {
	fields, body := c.splitHeader(raw)
	p := &part{id: id, headers: fields}
	var params map[string]string
	p.mimeType, params = parseType(fields.get("Content-Type"), byDefault)
	p.filename = c.filename(fields, params)
	if strings.HasPrefix(p.mimeType, "multipart/") && params["boundary"] != "" && depth < maxDepth {
		inner := "text/plain"
		if p.mimeType == "multipart/digest" {
			inner = "message/rfc822"
		}
		for i, sub := range splitMultipart(body, params["boundary"]) {
			p.parts = append(p.parts, c.parsePart(sub, childID(id, i), inner, depth+1))
		}
		return p
	}
	p.body = decodeTransfer(fields.get("Content-Transfer-Encoding"), body)
	switch {
	case p.isText():
		text, known := c.toUTF8(params["charset"], p.body)
		p.body, p.foreign = text, !known
	case p.mimeType == "message/rfc822" && depth < maxDepth:
		p.parts = []*part{c.parsePart(p.body, childID(id, 0), "text/plain", depth+1)}
	}
	return p
}

func childID(id string, i int) string {
	if id == "" {
		return strconv.Itoa(i)
	}
	return id + "." + strconv.Itoa(i)
}

// splitHeader parts the header from the body. The first line that can be no header ends it, blank or not.
func (c charsets) splitHeader(raw []byte) (headers, []byte) {
	var fields headers
	rest := raw
	for len(rest) > 0 {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			rest = after
			break
		}
		if (line[0] == ' ' || line[0] == '\t') && len(fields) > 0 {
			last := &fields[len(fields)-1]
			last.raw = strings.TrimSpace(last.raw + " " + string(bytes.TrimSpace(line)))
			rest = after
			continue
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t") {
			break
		}
		fields = append(fields, header{name: string(name), raw: string(bytes.TrimSpace(value))})
		rest = after
	}
	for i := range fields {
		fields[i].value = c.decodeHeader(fields[i].raw)
	}
	return fields, rest
}

// parseType reads a Content-Type, however badly it is written.
func parseType(value, byDefault string) (string, map[string]string) {
	mediaType, params, err := mime.ParseMediaType(value)
	if err != nil {
		mediaType, _, _ = strings.Cut(value, ";")
		mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	}
	if !strings.Contains(mediaType, "/") {
		mediaType = byDefault
	}
	return mediaType, params
}

func (c charsets) filename(fields headers, typeParams map[string]string) string {
	_, params, _ := mime.ParseMediaType(fields.get("Content-Disposition"))
	if name := params["filename"]; name != "" {
		return c.decodeHeader(name)
	}
	return c.decodeHeader(typeParams["name"])
}

// splitMultipart returns the parts between the boundary lines (RFC 2046, section 5.1.1), the last one also
// where the closing line is missing.
func splitMultipart(body []byte, boundary string) [][]byte {
	var parts [][]byte
	delimiter := []byte("--" + boundary)
	start := -1
	for offset := 0; offset < len(body); {
		end := len(body)
		if i := bytes.IndexByte(body[offset:], '\n'); i >= 0 {
			end = offset + i + 1
		}
		if after, ok := bytes.CutPrefix(body[offset:end], delimiter); ok {
			after = bytes.TrimRight(after, " \t\r\n")
			if closing := string(after) == "--"; closing || len(after) == 0 {
				if start >= 0 {
					parts = append(parts, trimLineEnd(body[start:offset]))
				}
				if closing {
					return parts
				}
				start = end
			}
		}
		offset = end
	}
	if start >= 0 {
		parts = append(parts, body[start:])
	}
	return parts
}

// trimLineEnd removes the line end before a boundary, which belongs to that.
func trimLineEnd(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}

func decodeTransfer(encoding string, body []byte) []byte {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		clean := bytes.Map(func(r rune) rune {
			if r < 0x80 && (r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '+' || r == '/') {
				return r
			}
			return -1
		}, body)
		if len(clean)%4 == 1 {
			clean = clean[:len(clean)-1] // cut off in the middle
		}
		decoded, err := base64.RawStdEncoding.DecodeString(string(clean))
		if err != nil {
			return body
		}
		return decoded
	case "quoted-printable":
		decoded, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(body)))
		if err != nil {
			return body
		}
		return decoded
	}
	return body
}
