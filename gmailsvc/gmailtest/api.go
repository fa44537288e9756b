package gmailtest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// gmail is the operation that authorizes requests to m, meters them and answers them.
func (s *Server) gmail(m method) http.HandlerFunc {
	known := strings.Fields(commonParams + " " + m.params)
	if m.upload > 0 {
		known = append(known, "upload_id")
	}
	return func(w http.ResponseWriter, r *http.Request) {
		admitted, leave := s.enter(r)
		defer leave()
		name := m.id
		if isLaterPiece(r) {
			name = "upload"
		}
		s.operate(name, func(w http.ResponseWriter, r *http.Request) {
			bad := crowded()
			if admitted {
				bad = s.answer(m, known, w, r)
			}
			if bad != nil {
				s.writeAPIError(w, r, bad)
			}
		}, w, r)
	}
}

// enter counts a call of Gmail's that begins, and leave that it ended. The calls of a batch have been counted
// before.
func (s *Server) enter(r *http.Request) (admitted bool, leave func()) {
	if admitted, ok := r.Context().Value(inBatch{}).(bool); ok {
		return admitted, func() {}
	}
	return s.meter.enter(s.userOf(r), false)
}

// userOf returns whose token a request has, or nil.
func (s *Server) userOf(r *http.Request) *Mailbox {
	_, box, _ := s.bearer(r)
	return box
}

// isUpload reports whether a request carries a message beside its JSON.
func isUpload(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/upload/") }

// isLaterPiece reports whether a request goes on with an upload: it is part of a call that was counted and charged.
func isLaterPiece(r *http.Request) bool { return isUpload(r) && r.URL.Query().Has("upload_id") }

// answer answers a request to m, or returns why not. A method that returns nil has an empty answer.
func (s *Server) answer(m method, known []string, w http.ResponseWriter, r *http.Request) *apiError {
	c, bad := s.authorizeCall(m, known, r)
	if bad != nil {
		return bad
	}
	if isUpload(r) {
		if answered, bad := s.receiveUpload(c, w); bad != nil || answered {
			return bad
		}
	}
	answer, bad := m.run(c)
	if bad != nil {
		return bad
	}
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	body, bad := encodeFields(answer, c.query)
	if bad != nil {
		return bad
	}
	s.writeAPI(w, r, http.StatusOK, body)
	return nil
}

// receiveUpload sets what c uploads. answered says that it is not whole yet, and that the client knows.
func (s *Server) receiveUpload(c *call, w http.ResponseWriter) (answered bool, bad *apiError) {
	switch uploadType := c.query.Get("uploadType"); {
	case isLaterPiece(c.request):
		c.upload, bad = s.resume(c, w)
	case c.request.Method != c.method.verb:
		bad = notServed(c.request)
	case uploadType == "resumable":
		bad = s.begin(c, w)
	case uploadType == "media" || uploadType == "multipart":
		c.upload, bad = receive(c.request)
	default:
		bad = badRequest(fmt.Sprintf("Invalid value %q for query parameter 'uploadType'", uploadType))
	}
	return c.upload == nil, bad
}

// authorizeCall checks a request's parameters, token and scopes, and takes its price.
func (s *Server) authorizeCall(m method, known []string, r *http.Request) (*call, *apiError) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("Invalid query string")
	}
	for name := range query {
		if !slices.Contains(known, name) {
			return nil, badRequest(fmt.Sprintf("Invalid JSON payload received. Unknown name %q: "+
				"Cannot bind query parameter. Field '%s' could not be found in request message.", name, name))
		}
	}
	if alt := query.Get("alt"); alt != "" && alt != "json" {
		return nil, badRequest(fmt.Sprintf("Invalid value %q for query parameter 'alt'", alt))
	}
	token, box, given := s.bearer(r)
	if token == nil {
		return nil, unauthorized(given)
	}
	if !slices.ContainsFunc(token.Scopes, func(scope string) bool { return slices.Contains(m.scopes, scope) }) {
		return nil, insufficientScopes(m.scopes)
	}
	if user := r.PathValue("userId"); user != "me" && !strings.EqualFold(user, box.user.Email) {
		return nil, forbidden("Delegation denied for " + box.user.Email)
	}
	if !isLaterPiece(r) {
		if short := s.meter.charge(box, m.id); short != nil {
			return nil, s.refuse(*short)
		}
	}
	return &call{server: s, method: m, request: r, query: query, box: box, scopes: token.Scopes}, nil
}

// writeAPI sends JSON, or what the Content-Type says, in gzip where the client takes it. Google also wants to
// read gzip in the User-Agent.
// https://developers.google.com/workspace/gmail/api/guides/performance#gzip
func (s *Server) writeAPI(w http.ResponseWriter, r *http.Request, code int, body []byte) {
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json; charset=UTF-8")
	}
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "private")
	}
	h.Add("Vary", "Accept-Encoding")
	takesGzip := strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") &&
		strings.Contains(r.Header.Get("User-Agent"), "gzip")
	if !takesGzip {
		h.Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(code)
		_, _ = w.Write(body) // the client may have gone
		return
	}
	var packed bytes.Buffer
	zip, _ := s.zippers.Get().(*gzip.Writer)
	if zip == nil {
		zip, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is one
	}
	zip.Reset(&packed)
	_, _ = zip.Write(body) // into memory
	_ = zip.Close()
	s.zippers.Put(zip)
	h.Set("Content-Encoding", "gzip")
	h.Set("Content-Length", strconv.Itoa(packed.Len()))
	w.WriteHeader(code)
	_, _ = packed.WriteTo(w)
}
