package gmailtest

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// resumables are the uploads that have begun and not ended.
// https://developers.google.com/workspace/gmail/api/guides/uploads#resumable
type resumables struct {
	mu sync.Mutex
	by map[string]*resumable // by upload_id
}

// A resumable is an upload that comes in pieces.
type resumable struct {
	upload
	owner  *Mailbox
	method string
}

// begin starts an upload: the request has the JSON, the answer the address for the message.
func (s *Server) begin(c *call, w http.ResponseWriter) *apiError {
	metadata, err := io.ReadAll(c.request.Body)
	if err != nil {
		return badRequest(err.Error())
	}
	id := rand.Text()
	s.resumables.mu.Lock()
	defer s.resumables.mu.Unlock()
	if s.resumables.by == nil {
		s.resumables.by = make(map[string]*resumable)
	}
	s.resumables.by[id] = &resumable{upload: upload{metadata: metadata}, owner: c.box, method: c.method.id}
	to := *c.request.URL
	q := to.Query()
	q.Set("upload_id", id)
	to.RawQuery = q.Encode()
	if s.URL != "" {
		w.Header().Set("Location", s.URL+to.RequestURI())
	} else {
		w.Header().Set("Location", "https://"+c.request.Host+to.RequestURI())
	}
	w.Header().Set("X-GUploader-UploadID", id)
	w.WriteHeader(http.StatusOK)
	return nil
}

// resume adds a piece. It returns the upload once that is whole; else it has answered how much there is.
func (s *Server) resume(c *call, w http.ResponseWriter) (*upload, *apiError) {
	piece, err := io.ReadAll(c.request.Body)
	if err != nil {
		return nil, badRequest(err.Error())
	}
	s.resumables.mu.Lock()
	defer s.resumables.mu.Unlock()
	id := c.query.Get("upload_id")
	up := s.resumables.by[id]
	if up == nil || up.owner != c.box || up.method != c.method.id {
		return nil, notFound()
	}
	from, total, ok := parseContentRange(c.request.Header.Get("Content-Range"), len(piece))
	if !ok {
		return nil, badRequest("Failed to parse Content-Range header.")
	}
	// A piece that is not the next one, sent again after its answer was lost, is answered like the one before it.
	if from == len(up.media) {
		up.media = append(up.media, piece...)
	}
	if len(up.media) == total {
		delete(s.resumables.by, id)
		return &up.upload, nil
	}
	if len(up.media) > 0 {
		w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", len(up.media)-1))
	}
	// Go's own client cannot have a 308, which means something else since RFC 7538.
	if c.request.Header.Get("X-GUploader-No-308") == "yes" {
		w.Header().Set("X-Http-Status-Code-Override", "308")
		w.WriteHeader(http.StatusOK)
	} else {
		w.WriteHeader(http.StatusPermanentRedirect)
	}
	return nil, nil
}

// parseContentRange reads "bytes FROM-TO/TOTAL" of size bytes; without a range FROM is -1 and with * for the
// total that is. No header is the whole in one piece.
func parseContentRange(value string, size int) (from, total int, ok bool) {
	if value == "" {
		return 0, size, true
	}
	value, ok = strings.CutPrefix(value, "bytes ")
	span, whole, cut := strings.Cut(value, "/")
	if !ok || !cut {
		return 0, 0, false
	}
	from, total = -1, -1
	if whole != "*" {
		n, err := strconv.ParseUint(whole, 10, 31)
		if err != nil {
			return 0, 0, false
		}
		total = int(n)
	}
	if span == "*" {
		return from, total, size == 0
	}
	first, last, _ := strings.Cut(span, "-")
	a, err1 := strconv.ParseUint(first, 10, 31)
	b, err2 := strconv.ParseUint(last, 10, 31)
	if err1 != nil || err2 != nil || int(b)-int(a)+1 != size || total >= 0 && int(b) >= total {
		return 0, 0, false
	}
	return int(a), total, true
}
