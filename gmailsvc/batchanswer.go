package gmailsvc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"sync"
)

// A batchAnswer takes the answer to a batch apart while it comes in (RFC 2046 §5.1, with an HTTP/1.1 answer in each part). It is
// an io.Reader of the present part's body.
type batchAnswer struct {
	in        *bufio.Reader
	delimiter []byte // the line break before a boundary, and the boundary
	begun     bool
	err       error // of the stream: nothing more can be read

	index  int    // of the call that the part answers; -1: none
	status int    // of the part
	head   []byte // its header as it came
}

// maxPartHeader is what is read of the headers of a part.
const maxPartHeader = 64 << 10

var errBatchAnswer = errors.New("the answer to the batch makes no sense")

var batchAnswers = sync.Pool{New: func() any { return &batchAnswer{in: bufio.NewReaderSize(nil, windowSize)} }}

func newBatchAnswer(r io.Reader, boundary string) *batchAnswer {
	a := batchAnswers.Get().(*batchAnswer)
	a.in.Reset(r)
	*a = batchAnswer{in: a.in, delimiter: append(append(a.delimiter[:0], "\n--"...), boundary...), head: a.head[:0]}
	return a
}

func (a *batchAnswer) free() {
	a.in.Reset(nil)
	batchAnswers.Put(a)
}

// next goes to the next part, and reports whether there is one. After the last, a.err is nil.
func (a *batchAnswer) next() bool {
	if a.err != nil || !a.toDelimiter() {
		return false
	}
	a.head = a.head[:0]
	a.index, a.status = -1, 0
	for {
		line, ok := a.line()
		if !ok {
			return false
		}
		if len(line) == 0 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, []byte("Content-ID")) {
			a.index = indexOfPart(value)
		}
	}
	return a.statusLine() && a.header()
}

// toDelimiter passes over what is left of the present part, and reports whether another one follows.
func (a *batchAnswer) toDelimiter() bool {
	if a.begun {
		if _, err := io.Copy(io.Discard, a); err != nil {
			return false
		}
		_, _ = a.in.Discard(1) // the line break, which Read has seen
	}
	for {
		line, ok := a.line()
		if !ok {
			return false
		}
		if rest, ok := bytes.CutPrefix(line, a.delimiter[1:]); ok {
			switch rest = bytes.TrimRight(rest, " \t"); {
			case len(rest) == 0:
				a.begun = true
				return true
			case bytes.HasPrefix(rest, []byte("--")):
				return false
			}
		}
		// A preamble, or a boundary that ours only begins like, after which the part can't be trusted.
		if a.begun {
			a.err = errBatchAnswer
			return false
		}
	}
}

// statusLine reads the first line of the answer in a part.
func (a *batchAnswer) statusLine() bool {
	for {
		line, ok := a.line()
		if !ok {
			return false
		}
		if len(line) == 0 {
			continue
		}
		version, rest, _ := bytes.Cut(line, []byte(" "))
		code, _, _ := bytes.Cut(bytes.TrimLeft(rest, " "), []byte(" "))
		status, err := strconv.Atoi(string(code))
		if err != nil || status < 100 || status > 999 || !bytes.HasPrefix(version, []byte("HTTP/")) {
			a.err = errBatchAnswer
			return false
		}
		a.status = status
		return true
	}
}

// header reads the header of the answer in a part, which only an error needs.
func (a *batchAnswer) header() bool {
	a.head = a.head[:0]
	for {
		line, ok := a.line()
		if !ok {
			return false
		}
		if len(line) == 0 {
			return true
		}
		if a.head = append(append(a.head, line...), "\r\n"...); len(a.head) > maxPartHeader {
			a.err = errBatchAnswer
			return false
		}
	}
}

// httpHeader returns the header of the answer in a part, as far as it makes sense.
func (a *batchAnswer) httpHeader() http.Header {
	h, _ := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(a.head, "\r\n"...)))).ReadMIMEHeader()
	return http.Header(h)
}

// line reads a line without its end. It is valid until something else is read.
func (a *batchAnswer) line() ([]byte, bool) {
	line, err := a.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		err = fmt.Errorf("%w: a line of more than %d bytes", errBatchAnswer, windowSize)
	}
	if err != nil {
		a.end(err)
		return nil, false
	}
	return bytes.TrimRight(line, "\r\n"), true
}

// Read implements io.Reader for the body of a part.
func (a *batchAnswer) Read(p []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	for least := 1; ; least++ {
		if _, err := a.in.Peek(least); err != nil {
			a.end(err)
			return 0, a.err
		}
		ready, _ := a.in.Peek(min(a.in.Buffered(), len(p)+len(a.delimiter)))
		n := bytes.Index(ready, a.delimiter)
		if n == 0 {
			return 0, io.EOF
		}
		if n < 0 {
			n = len(ready) - overlap(ready, a.delimiter)
		}
		if n = min(n, len(p)); n > 0 {
			copy(p, ready[:n])
			_, _ = a.in.Discard(n)
			return n, nil
		}
		least = len(ready)
	}
}

// overlap returns how much of text's end the delimiter could begin with.
func overlap(text, delimiter []byte) int {
	for n := min(len(text), len(delimiter)-1); n > 0; n-- {
		if bytes.HasPrefix(delimiter, text[len(text)-n:]) {
			return n
		}
	}
	return 0
}

// end notes that the stream ended, before its time wherever something was to come.
func (a *batchAnswer) end(err error) {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if a.err == nil {
		a.err = err
	}
}
