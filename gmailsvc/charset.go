package gmailsvc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
)

// appendUTF8 appends text, which says that it is in the named charset, in UTF-8. An error says what could not be
// read: either nothing was appended, or U+FFFD stands in its place. Of what comes from the API, transcoded is
// true: Gmail serves text in UTF-8 and leaves the header as it was, which its documentation does not say and so
// may not always be so.
func appendUTF8(dst []byte, name string, text []byte, transcoded bool) ([]byte, error) {
	name = strings.ToLower(strings.Trim(name, " \t\"'"))
	if isUTF8(name, text, transcoded) {
		return append(dst, text...), nil
	}
	at := len(dst)
	switch {
	case name == "utf-8" || name == "utf8":
		dst = append(dst, eachValid(text)...)
	case isASCII(name) || name == "iso-8859-1" || name == "latin1":
		name = "windows-1252" // contains them, and is what was meant: https://encoding.spec.whatwg.org/#names-and-labels
		fallthrough
	default:
		var err error
		if dst, err = appendDecoded(dst, name, text); err != nil {
			return dst[:at], err
		}
	}
	if bytes.ContainsRune(dst[at:], utf8.RuneError) {
		return dst, fmt.Errorf("text that is not in its charset %.40q", name)
	}
	return dst, nil
}

// isUTF8 reports whether text is UTF-8, whatever the name of its charset says.
func isUTF8(name string, text []byte, transcoded bool) bool {
	switch {
	case !utf8.Valid(text):
		return false
	case strings.HasPrefix(name, "iso-2022-"): // ASCII, but for the escape sequences
		return transcoded && bytes.IndexByte(text, 0x1b) < 0
	}
	// Text in a charset of single bytes is hardly ever UTF-8 by accident.
	isPrefix := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
	return transcoded || name == "utf-8" || name == "utf8" || isASCII(name) || slices.ContainsFunc(singleByte, isPrefix)
}

var singleByte = []string{"iso-8859-", "iso8859-", "latin", "windows-12", "cp12", "koi8-", "macintosh"}

// isASCII reports whether a name says nothing about the bytes from 0x80 on.
func isASCII(name string) bool {
	switch name {
	case "", "us-ascii", "ascii", "ansi_x3.4-1968", "iso646-us", "unknown-8bit", "8bit", "binary", "x-unknown", "unknown":
		return true
	}
	return false
}

func appendDecoded(dst []byte, name string, text []byte) ([]byte, error) {
	r, err := charset.Reader(name, bytes.NewReader(text))
	if err != nil {
		return dst, fmt.Errorf("unknown charset %.40q", name)
	}
	for {
		dst = slices.Grow(dst, len(text)/2+utf8.UTFMax)
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, fmt.Errorf("text that is not in its charset %.40q", name)
		}
	}
}

// decodeWords returns the value of a header field with its RFC 2047 words decoded, in UTF-8. On an error it is as
// it was, or has U+FFFD for what could not be read.
func decodeWords(value string) (string, error) {
	if !utf8.ValidString(value) {
		latin, err := appendUTF8(nil, "", []byte(value), false)
		if err != nil {
			return string(latin), err
		}
		value = string(latin)
	}
	if !strings.Contains(value, "=?") {
		return value, nil
	}
	var failed error
	decoded, err := wordDecoder(&failed).DecodeHeader(value)
	if err == nil {
		err = failed
	}
	if err != nil {
		return value, err
	}
	if !utf8.ValidString(decoded) {
		return string(eachValid([]byte(decoded))), errors.New("an encoded word that is not UTF-8")
	}
	return decoded, nil
}

// wordDecoder returns a decoder that knows all charsets, and writes to failed what it can't read.
func wordDecoder(failed *error) *mime.WordDecoder {
	return &mime.WordDecoder{CharsetReader: func(charset string, input io.Reader) (io.Reader, error) {
		coded, err := io.ReadAll(input)
		if err != nil {
			return nil, err
		}
		text, err := appendUTF8(nil, charset, coded, false)
		if err != nil {
			*failed = err
		}
		return bytes.NewReader(text), nil
	}}
}
