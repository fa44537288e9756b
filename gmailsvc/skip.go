package gmailsvc

import "encoding/json"

// skip reads a value that nobody asked for. It must be valid all the same.
func (s *scanner) skip() { s.skipAt(0) }

func (s *scanner) skipAt(depth int) {
	if depth > maxJSONDeep {
		s.fail("nested more than %d deep", maxJSONDeep)
		return
	}
	switch c := s.peek(); c {
	case '{':
		s.r++
		for i := 0; s.next('}', i); i++ {
			s.key()
			s.skipAt(depth + 1)
		}
	case '[':
		s.r++
		for i := 0; s.next(']', i); i++ {
			s.skipAt(depth + 1)
		}
	case '"':
		s.skipString()
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		s.word = s.appendNumber(s.word[:0])
	}
}

// skipString keeps nothing of a string, however long it is.
func (s *scanner) skipString() {
	s.r++
	for s.available() {
		c := s.window[s.r]
		s.r++
		switch {
		case c == '"':
			return
		case c == '\\':
			s.word = s.appendEscaped(s.word[:0])
		case c < ' ':
			s.fail("control character %#x in a string", c)
		}
	}
}

func (s *scanner) literal(want string) {
	for i := range len(want) {
		if !s.available() {
			return
		}
		if s.window[s.r] != want[i] {
			s.fail("want %s", want)
			return
		}
		s.r++
	}
}

const maxNumber = 400 // digits and all; more would be read, but means nothing here

// appendNumber appends the number that begins here.
func (s *scanner) appendNumber(dst []byte) []byte {
	for s.available() {
		c := s.window[s.r]
		if (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' {
			break
		}
		if len(dst) == maxNumber {
			s.fail("a number of more than %d characters", maxNumber)
			return dst
		}
		dst = append(dst, c)
		s.r++
	}
	if s.err == nil && !json.Valid(dst) {
		s.fail("want a value")
	}
	return dst
}
