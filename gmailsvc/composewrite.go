package gmailsvc

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"path"
	"strings"
	"unicode/utf8"
)

// A mailWriter writes RFC 822 text. The first error stays.
type mailWriter struct {
	to      io.Writer
	buffer  *bufio.Writer // to Write
	written int64
	err     error
}

// Write passes on what the buffer holds. After an error nothing more goes out: a message without its end is no
// message.
func (w *mailWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.to.Write(p)
	w.written += int64(n)
	return n, err
}

func (w *mailWriter) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *mailWriter) print(text ...string) {
	for _, t := range text {
		if _, err := w.buffer.WriteString(t); err != nil {
			w.fail(err)
		}
	}
}

// A line should have at most 78 bytes: RFC 5322, section 2.1.1.
const lineBytes = 78

// field writes a field whose value is ASCII, folded at its spaces.
func (w *mailWriter) field(name, value string) {
	w.print(name, ":")
	length := len(name) + 1
	for i, word := range strings.Split(value, " ") {
		if i > 0 && length+1+len(word) > lineBytes {
			w.print("\r\n")
			length = 0
		}
		w.print(" ", word)
		length += 1 + len(word)
	}
	w.print("\r\n")
}

func (w *mailWriter) addresses(name string, list []*mail.Address) {
	var all []string
	for _, a := range list {
		bare := strings.Trim((&mail.Address{Address: a.Address}).String(), "<>")
		if a.Name != "" {
			bare = encodePhrase(a.Name) + " <" + bare + ">"
		}
		all = append(all, bare)
	}
	if len(all) > 0 {
		w.field(name, strings.Join(all, ", "))
	}
}

func (w *mailWriter) ids(name string, ids ...string) {
	if len(ids) > 0 && ids[0] != "" {
		w.field(name, "<"+strings.Join(ids, "> <")+">")
	}
}

// encodeText returns text for an unstructured field: as it is, if it reads back as it was, or else in RFC 2047 words.
func encodeText(text string) string {
	if isPlain(text) {
		return text
	}
	return encodeWords(text)
}

// encodePhrase returns the name of an address: as it is, in quotes or in RFC 2047 words.
func encodePhrase(name string) string {
	switch {
	case !isPlain(name):
		return encodeWords(name)
	case strings.ContainsAny(name, `()<>[]:;@\,."`):
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	}
	return name
}

// isPlain reports whether text may be written as it is, and folded anywhere.
func isPlain(text string) bool {
	if strings.Contains(text, "=?") {
		return false
	}
	for word := range strings.SplitSeq(text, " ") {
		if len(word) > lineBytes-20 || strings.ContainsFunc(word, isNoVisibleASCII) || word == "" && text != "" {
			return false
		}
	}
	return true
}

// wordBytes is how much an encoded word holds, which may have 75 characters with all that is around it: RFC 2047,
// section 2.
const wordBytes = 45

// encodeWords returns text in RFC 2047 words, each of whole characters.
func encodeWords(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		n := 0
		for n < len(text) {
			_, size := utf8.DecodeRuneInString(text[n:])
			if n+size > wordBytes {
				break
			}
			n += size
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("=?utf-8?B?" + base64.StdEncoding.EncodeToString([]byte(text[:n])) + "?=")
		text = text[n:]
	}
	return b.String()
}

// An entity writes the fields that describe it, an empty line, and its body.
type entity func(w *mailWriter)

// multipartEntity puts several into one, and leaves one alone. No body that is written here has a line that
// begins like the boundary: "=_" stands in neither encoding (RFC 2045, section 6.7).
func multipartEntity(kind string, parts []entity) entity {
	if len(parts) == 1 {
		return parts[0]
	}
	return func(w *mailWriter) {
		boundary := "=_" + rand.Text()
		w.field("Content-Type", kind+`; boundary="`+boundary+`"`)
		for _, part := range parts {
			w.print("\r\n--", boundary, "\r\n")
			part(w)
		}
		w.print("\r\n--", boundary, "--\r\n")
	}
}

// textEntity is a text in the encoding that makes it shorter.
func textEntity(kind, text string) entity {
	return func(w *mailWriter) {
		text := strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
		special := 0
		for i := range len(text) {
			if c := text[i]; c >= utf8.RuneSelf || c == '=' {
				special++
			}
		}
		w.field("Content-Type", kind+"; charset=utf-8")
		if special > len(text)/6 {
			w.base64(strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n")))
			return
		}
		w.field("Content-Transfer-Encoding", "quoted-printable")
		w.print("\r\n")
		qp := quotedprintable.NewWriter(w.buffer)
		_, err := io.WriteString(qp, text)
		if err == nil {
			err = qp.Close()
		}
		if err != nil {
			w.fail(err)
		}
	}
}

// fileEntity is a file. Its name is written in the way of RFC 2231, and for older readers in that of RFC 2047.
func fileEntity(disposition, field string, f *File) entity {
	return func(w *mailWriter) {
		kind, params := f.mediaType()
		if f.Name != "" {
			params["name"] = encodeText(f.Name)
			disposition += "; " + fileParam(f.Name)
		}
		w.field("Content-Type", mime.FormatMediaType(kind, params))
		w.field("Content-Disposition", disposition)
		if f.ContentID != "" {
			w.ids("Content-ID", f.ContentID)
		}
		if w.err != nil {
			return
		}
		content, err := f.Open()
		if err != nil {
			w.fail(&ComposeError{Field: field, Err: err})
			return
		}
		read := &fileReader{from: content}
		w.base64(read)
		if err := content.Close(); read.err == nil {
			read.err = err
		}
		if read.err != nil {
			w.fail(&ComposeError{Field: field, Err: fmt.Errorf("its content: %w", read.err)})
		}
	}
}

// fileParam returns the parameter that names a file.
func fileParam(name string) string {
	if isPlain(name) {
		return `filename="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	}
	var b strings.Builder
	b.WriteString("filename*=utf-8''")
	for i := range len(name) {
		if c := name[i]; 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-._", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// mediaType returns the type that f is sent with.
func (f *File) mediaType() (kind string, params map[string]string) {
	kind, params, err := mime.ParseMediaType(f.Type)
	if err != nil {
		kind, params, err = mime.ParseMediaType(mime.TypeByExtension(path.Ext(f.Name)))
	}
	if err != nil || !isFileType(kind, params) {
		return "application/octet-stream", make(map[string]string)
	}
	return kind, params
}

// A fileReader remembers why it could not go on: an error of the reader must not be taken for one of the writer.
type fileReader struct {
	from io.Reader
	err  error
}

func (r *fileReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
		err = io.EOF
	}
	return n, err
}

// base64 writes what is read in lines of base64 (RFC 2045, section 6.8).
func (w *mailWriter) base64(content io.Reader) {
	w.field("Content-Transfer-Encoding", "base64")
	w.print("\r\n")
	encoder := base64.NewEncoder(base64.StdEncoding, &lineWriter{to: w.buffer})
	_, err := io.Copy(encoder, content)
	if err == nil {
		err = encoder.Close()
	}
	if err != nil {
		w.fail(err)
	}
}

// A lineWriter ends a line after every 76 bytes that something follows.
type lineWriter struct {
	to     io.Writer
	length int // of the line
}

func (w *lineWriter) Write(p []byte) (written int, err error) {
	for len(p) > 0 {
		if w.length == 76 {
			if _, err := io.WriteString(w.to, "\r\n"); err != nil {
				return written, err
			}
			w.length = 0
		}
		n, err := w.to.Write(p[:min(len(p), 76-w.length)])
		written += n
		w.length += n
		if err != nil {
			return written, err
		}
		p = p[n:]
	}
	return written, nil
}
