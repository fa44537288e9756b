package gmailsvc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
)

var errBase64 = errors.New("base64 that is damaged")

// A base64Text decodes base64 that comes in pieces: that of MIME (RFC 2045, section 6.8) or the API's base64url
// (RFC 4648, section 5). It reads whatever else stands in between as if it were not there, and remembers that it
// did.
type base64Text struct {
	url     bool // the API's, of which it takes the other alphabet as well
	bits    uint32
	n       int // characters in bits, of four
	damaged bool
}

// append appends to dst what src stands for, up to the first byte that is not of the alphabet, and returns what
// is left of src.
func (b *base64Text) append(dst, src []byte) (_, left []byte) {
	pairs := mimePairs()
	if b.url {
		pairs = urlPairs()
	}
	dst = slices.Grow(dst, len(src)/4*3+8)
	for len(src) > 0 {
		if b.n == 0 {
			dst, src = pairs.append(dst, src)
		}
		for i := 0; len(src) > 0 && (i == 0 || b.n > 0); i++ {
			if _, ok := sextet(src[0], b.url); !ok {
				return dst, src
			}
			dst = b.add(dst, src[0])
			src = src[1:]
		}
	}
	return dst, nil
}

// A pairTable has the 12 bits that two characters of base64 stand for, by their bytes as a little-endian number.
// Looking up two at once makes it faster than the standard library's, which takes half of the time of reading a
// long message.
type pairTable [1 << 16]uint16

const noPair = 1 << 15 // something else than two characters of the alphabet

var (
	mimePairs = sync.OnceValue(func() *pairTable { return newPairTable(false) })
	urlPairs  = sync.OnceValue(func() *pairTable { return newPairTable(true) })
)

func newPairTable(url bool) *pairTable {
	t := new(pairTable)
	for i := range t {
		first, ok := sextet(byte(i), url)
		second, ok2 := sextet(byte(i>>8), url)
		if t[i] = uint16(first)<<6 | uint16(second); !ok || !ok2 {
			t[i] = noPair
		}
	}
	return t
}

// append appends what the beginning of src stands for, eight characters at a time, and returns what is left of
// it. There is room for it.
func (t *pairTable) append(dst, src []byte) (_, left []byte) {
	n := len(dst)
	dst = dst[:cap(dst)]
	for len(src) >= 8 && len(dst)-n >= 8 {
		eight := binary.LittleEndian.Uint64(src)
		a, b, c, d := t[uint16(eight)], t[uint16(eight>>16)], t[uint16(eight>>32)], t[eight>>48]
		if (a|b|c|d)&noPair != 0 {
			break
		}
		binary.BigEndian.PutUint64(dst[n:], uint64(a)<<52|uint64(b)<<40|uint64(c)<<28|uint64(d)<<16)
		n += 6
		src = src[8:]
	}
	return dst[:n], src
}

// sextet returns the six bits that a character of base64 stands for, if it is one.
func sextet(c byte, url bool) (bits byte, ok bool) {
	switch {
	case 'A' <= c && c <= 'Z':
		return c - 'A', true
	case 'a' <= c && c <= 'z':
		return c - 'a' + 26, true
	case '0' <= c && c <= '9':
		return c - '0' + 52, true
	case c == '+' || c == '-' && url:
		return 62, true
	case c == '/' || c == '_' && url:
		return 63, true
	}
	return 0, false
}

// add takes one character.
func (b *base64Text) add(dst []byte, c byte) []byte {
	bits, ok := sextet(c, b.url)
	switch {
	case ok:
		b.bits = b.bits<<6 | uint32(bits)
		if b.n++; b.n == 4 {
			b.n = 0
			dst = append(dst, byte(b.bits>>16), byte(b.bits>>8), byte(b.bits))
		}
	case c == '=':
		return b.finish(dst) // what follows is another text
	case c != ' ' && c != '\t' && c != '\r' && c != '\n':
		b.damaged = true
	}
	return dst
}

// finish appends what is left at the end.
func (b *base64Text) finish(dst []byte) []byte {
	switch b.n {
	case 1:
		b.damaged = true
	case 2:
		dst = append(dst, byte(b.bits>>4))
	case 3:
		dst = append(dst, byte(b.bits>>10), byte(b.bits>>2))
	}
	b.n = 0
	return dst
}

// appendBase64 appends what the body of a MIME part stands for, and reports whether all of it made sense.
func appendBase64(dst, body []byte) ([]byte, bool) {
	var text base64Text
	for len(body) > 0 {
		if dst, body = text.append(dst, body); len(body) > 0 {
			dst = text.add(dst, body[0])
			body = body[1:]
		}
	}
	dst = text.finish(dst)
	return dst, !text.damaged
}

// appendQuotedPrintable appends what the body of a MIME part stands for (RFC 2045, section 6.7), and reports
// whether all of it made sense: an equals sign that introduces nothing stays.
func appendQuotedPrintable(dst, body []byte) (_ []byte, ok bool) {
	ok = true
	for line := range bytes.Lines(body) {
		text := bytes.TrimRight(line, " \t\r\n")
		lineEnd := line[len(line):]
		if bytes.HasSuffix(line, []byte("\r\n")) {
			lineEnd = line[len(line)-2:]
		} else if bytes.HasSuffix(line, []byte("\n")) {
			lineEnd = line[len(line)-1:]
		}
		if soft, found := bytes.CutSuffix(text, []byte("=")); found {
			text, lineEnd = soft, nil
		}
		for {
			plain, coded, found := bytes.Cut(text, []byte("="))
			dst = append(dst, plain...)
			if !found {
				break
			}
			if len(coded) >= 2 && fromHex(coded[0]) >= 0 && fromHex(coded[1]) >= 0 {
				dst = append(dst, byte(fromHex(coded[0])<<4|fromHex(coded[1])))
				text = coded[2:]
				continue
			}
			dst = append(dst, '=')
			text, ok = coded, false
		}
		dst = append(dst, lineEnd...)
	}
	return dst, ok
}
