package gmailsvc

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A scanner reads JSON (RFC 8259) from a stream through a window of fixed size: a text of any length is passed on
// piece by piece. It knows no types but those that its caller asks for. The first error stays, and whoever goes
// on reading is given nothing more.
type scanner struct {
	src    io.Reader
	window []byte
	r, w   int   // what is unread of the window
	before int64 // bytes before the window
	limit  int64 // bytes that may be read
	word   []byte
	later  error // of src, for when the window is used up
	err    error
}

const (
	windowSize  = 32 << 10
	maxJSONDeep = 10_000 // as encoding/json
)

func (s *scanner) reset(src io.Reader, limit int64) {
	if s.window == nil {
		s.window = make([]byte, windowSize)
	}
	if cap(s.word) > windowSize {
		s.word = nil
	}
	*s = scanner{src: src, window: s.window, word: s.word[:0], limit: limit}
}

// fill reads on when the window is used up, and reports whether there is more.
func (s *scanner) fill() bool {
	if s.err != nil {
		return false
	}
	s.before += int64(s.w)
	s.r, s.w = 0, 0
	if s.before >= s.limit {
		s.err = fmt.Errorf("it has more than %d bytes", s.limit)
	}
	for range 100 {
		if s.err == nil {
			s.err = s.later
		}
		if s.err != nil {
			return false
		}
		if s.w, s.later = s.src.Read(s.window); s.w > 0 {
			return true
		}
	}
	s.err = io.ErrNoProgress
	return false
}

func (s *scanner) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("invalid JSON at byte %d: %s", s.before+int64(s.r), fmt.Sprintf(format, args...))
	}
	s.r = s.w
}

// available makes sure of a byte in the window. The end is too early wherever one is needed.
func (s *scanner) available() bool {
	if s.r < s.w && s.err == nil {
		return true
	}
	if !s.fill() {
		if errors.Is(s.err, io.EOF) {
			s.err = io.ErrUnexpectedEOF
		}
		return false
	}
	return true
}

// peek returns the next byte that is not white space, unread; 0 after an error.
func (s *scanner) peek() byte {
	if s.r < s.w && s.window[s.r] > ' ' {
		return s.window[s.r]
	}
	return s.peekOn()
}

func (s *scanner) peekOn() byte {
	for s.available() {
		switch c := s.window[s.r]; c {
		case ' ', '\t', '\r', '\n':
			s.r++
		default:
			return c
		}
	}
	return 0
}

// end makes sure that nothing but white space follows.
func (s *scanner) end() {
	for s.err == nil {
		for ; s.r < s.w; s.r++ {
			if c := s.window[s.r]; c != ' ' && c != '\t' && c != '\r' && c != '\n' {
				s.fail("something follows the value")
				return
			}
		}
		if !s.fill() && errors.Is(s.err, io.EOF) {
			s.err = nil
			return
		}
	}
}

// enter begins an object or array. It reports false for null, too.
func (s *scanner) enter(open byte) bool {
	switch s.peek() {
	case open:
		s.r++
		return s.err == nil
	case 'n':
		s.literal("null")
	default:
		s.fail("want %q", open)
	}
	return false
}

// next reports whether the object or array has another member or element after i of them.
func (s *scanner) next(closing byte, i int) bool {
	c := s.peek()
	switch {
	case s.err != nil:
		return false
	case c == closing:
		s.r++
		return false
	case i == 0:
		return true
	case c != ',':
		s.fail("want a comma or %q", closing)
		return false
	}
	s.r++ // what follows must be another, or its reader fails
	return true
}

// key reads the name of a member and the colon. It is valid until something else is read.
func (s *scanner) key() []byte {
	if s.peek() != '"' {
		s.fail("want the name of a member")
		return nil
	}
	// All that have a meaning here are of letters, and rarely at the window's end.
	name := s.window[s.r+1 : s.w]
	n := 0
	for n < len(name) && 'a' <= name[n]|0x20 && name[n]|0x20 <= 'z' {
		n++
	}
	if n+1 < len(name) && name[n] == '"' && name[n+1] == ':' {
		s.r += n + 3
		return name[:n]
	}
	s.word = s.appendString(s.word[:0])
	if s.peek() != ':' {
		s.fail("want a colon")
		return nil
	}
	s.r++
	return s.word
}

// isNull reads null, if that is what comes.
func (s *scanner) isNull() bool {
	if s.peek() != 'n' {
		return false
	}
	s.literal("null")
	return true
}

// text appends a string to dst, or nothing for null.
func (s *scanner) text(dst []byte) []byte {
	switch s.peek() {
	case '"':
		return s.appendString(dst)
	case 'n':
		s.literal("null")
	default:
		s.fail("want a string")
	}
	return dst
}

// number reads a number, or a string as the API has it for numbers of 64 bits. Null has no text.
func (s *scanner) number() []byte {
	if c := s.peek(); c == '"' || c == 'n' {
		s.word = s.text(s.word[:0])
		return s.word
	}
	s.word = s.appendNumber(s.word[:0])
	return s.word
}

// What a byte of a string is.
const (
	plainByte = iota
	highByte  // part of a character beyond ASCII
	otherByte // more than to be copied
)

var stringBytes = func() (kinds [256]byte) {
	for c := range kinds {
		switch {
		case c < ' ' || c == '"' || c == '\\':
			kinds[c] = otherByte
		case c >= utf8.RuneSelf:
			kinds[c] = highByte
		}
	}
	return kinds
}()

// appendString appends the string that begins here, unescaped. Like encoding/json it replaces what is no UTF-8.
func (s *scanner) appendString(dst []byte) []byte {
	s.r++
	start := len(dst)
	ascii := true
	for s.available() {
		chunk := s.window[s.r:s.w]
		for i, c := range chunk {
			if kind := stringBytes[c]; kind == plainByte {
				continue
			} else if kind == highByte {
				ascii = false
				continue
			}
			chunk = chunk[:i]
			break
		}
		dst = append(dst, chunk...)
		if s.r += len(chunk); s.r == s.w {
			continue
		}
		switch c := s.window[s.r]; c {
		case '"':
			s.r++
			if !ascii && !utf8.Valid(dst[start:]) {
				dst = append(dst[:start], eachValid(dst[start:])...)
			}
			return dst
		case '\\':
			s.r++
			dst = s.appendEscaped(dst)
		default:
			s.fail("control character %#x in a string", c)
		}
	}
	return dst
}

// eachValid returns text with U+FFFD for each byte that is no UTF-8.
func eachValid(text []byte) []byte {
	out := make([]byte, 0, len(text)+2*utf8.UTFMax)
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		out = utf8.AppendRune(out, r)
		text = text[n:]
	}
	return out
}

// openBase64 begins a string of base64 that is read piece by piece. It reports false for null.
func (s *scanner) openBase64() bool {
	switch s.peek() {
	case '"':
		s.r++
		return true
	case 'n':
		s.literal("null")
	default:
		s.fail("want a string")
	}
	return false
}

// base64 appends what some more of the string stands for, a window at most, and reports whether more may follow.
func (s *scanner) base64(text *base64Text, dst []byte) (_ []byte, more bool) {
	if !s.available() {
		return text.finish(dst), false
	}
	for s.r < s.w {
		var left []byte
		dst, left = text.append(dst, s.window[s.r:s.w])
		if s.r = s.w - len(left); len(left) == 0 {
			break
		}
		switch c := left[0]; {
		case c == '"':
			s.r++
			return text.finish(dst), false
		case c == '\\':
			s.r++
			s.word = s.appendEscaped(s.word[:0])
			for _, c := range s.word {
				dst = text.add(dst, c)
			}
		case c < ' ':
			s.fail("control character %#x in a string", c)
		default:
			s.r++
			dst = text.add(dst, c)
		}
	}
	return dst, s.err == nil
}

const (
	escapes = `"\/bfnrt`
	escaped = "\"\\/\b\f\n\r\t"
)

// appendEscaped appends what the escape sequence stands for whose backslash has been read.
func (s *scanner) appendEscaped(dst []byte) []byte {
	if !s.available() {
		return dst
	}
	c := s.window[s.r]
	if i := strings.IndexByte(escapes, c); i >= 0 {
		s.r++
		return append(dst, escaped[i])
	}
	if c != 'u' {
		s.fail("unknown escape sequence")
		return dst
	}
	s.r++
	r := s.hex4()
	// Only a low surrogate that follows a high one makes a pair; whatever else follows counts for itself.
	for utf16.IsSurrogate(r) {
		if !s.available() || s.window[s.r] != '\\' {
			break
		}
		s.r++
		if !s.available() {
			return dst
		}
		if s.window[s.r] != 'u' {
			return s.appendEscaped(utf8.AppendRune(dst, utf8.RuneError))
		}
		s.r++
		low := s.hex4()
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return utf8.AppendRune(dst, pair)
		}
		dst = utf8.AppendRune(dst, utf8.RuneError)
		r = low
	}
	return utf8.AppendRune(dst, r) // U+FFFD for a surrogate
}

func (s *scanner) hex4() (r rune) {
	for range 4 {
		if !s.available() {
			return 0
		}
		digit := fromHex(s.window[s.r])
		if digit < 0 {
			s.fail("want four hexadecimal digits")
			return 0
		}
		r = r<<4 | rune(digit)
		s.r++
	}
	return r
}

// fromHex returns the value of a hexadecimal digit, or -1.
func fromHex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
