package gmailtest

import (
	"bytes"
	"io"
	"mime"
	"strings"
	"unicode/utf8"
)

// windows1252 is what the bytes 0x80 to 0x9F mean there. The five that it leaves open stand for themselves.
// https://encoding.spec.whatwg.org/index-windows-1252.txt
var windows1252 = [32]rune{
	'€', 0x81, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0x8D, 'Ž', 0x8F,
	0x90, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0x9D, 'ž', 'Ÿ',
}

// A charsets decodes what this file can't: it is Config.CharsetReader, which may be nil.
type charsets func(charset string, input io.Reader) (io.Reader, error)

// toUTF8 decodes text, and reports whether it knows the charset; where not it returns the bytes as they are.
// ISO-8859-1 is read as Windows-1252, which it is a part of but for control characters that mail has no use for.
func (c charsets) toUTF8(charset string, text []byte) ([]byte, bool) {
	switch strings.ToLower(charset) {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return text, true
	case "iso-8859-1", "latin1", "windows-1252", "cp1252":
		return fromWindows1252(text), true
	}
	if c == nil {
		return text, false
	}
	r, err := c(charset, bytes.NewReader(text))
	if err != nil {
		return text, false
	}
	decoded, err := io.ReadAll(r)
	if err != nil {
		return text, false
	}
	return decoded, true
}

func fromWindows1252(text []byte) []byte {
	out := make([]byte, 0, len(text)+len(text)/8)
	for _, b := range text {
		r := rune(b)
		if 0x80 <= b && b <= 0x9F {
			r = windows1252[b-0x80]
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// decodeHeader decodes the RFC 2047 words of a header's value. A value with a word in an unknown charset stays as it is.
func (c charsets) decodeHeader(value string) string {
	if !utf8.ValidString(value) {
		value = string(fromWindows1252([]byte(value)))
	}
	decoder := mime.WordDecoder{CharsetReader: func(charset string, input io.Reader) (io.Reader, error) {
		text, err := io.ReadAll(input)
		if err != nil {
			return nil, err
		}
		decoded, known := c.toUTF8(charset, text)
		if !known {
			return nil, io.ErrUnexpectedEOF // any error: the value stays
		}
		return bytes.NewReader(decoded), nil
	}}
	decoded, err := decoder.DecodeHeader(value)
	if err != nil {
		return value
	}
	return decoded
}
