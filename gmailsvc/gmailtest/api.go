package gmailtest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A method is one of the Gmail API's, under Google's ID.
// https://developers.google.com/workspace/gmail/api/reference/rest
type method struct {
	id     string
	verb   string
	path   string
	scopes []string // any one of them suffices
	params string   // its query parameters, separated by spaces
	run    func(*call) (any, *apiError)
}

// commonParams are the query parameters that every method has.
const commonParams = "$.xgafv access_token alt callback fields key oauth_token prettyPrint quotaUser uploadType upload_protocol"

// A call is one authorized request to a method.
type call struct {
	request *http.Request
	query   url.Values
	box     *Mailbox
	scopes  []string // the token's
}

func gmailMethods() []method {
	const user = "/gmail/v1/users/{userId}"
	write := []string{scopeMail, scopeModify}
	readBodies := append(slices.Clone(write), scopeReadonly)
	read := append(slices.Clone(readBodies), scopeMetadata)
	labels := append(slices.Clone(read), scopeLabels)
	profile := append(slices.Clone(read), scopeCompose)
	attachments := user + "/messages/{messageId}/attachments"
	const listing, view = "includeSpamTrash labelIds maxResults pageToken q", "format metadataHeaders"
	return []method{
		{"gmail.users.getProfile", "GET", user + "/profile", profile, "", getProfile},
		{"gmail.users.labels.list", "GET", user + "/labels", labels, "", listLabels},
		{"gmail.users.labels.get", "GET", user + "/labels/{id}", labels, "", getLabel},
		{"gmail.users.messages.list", "GET", user + "/messages", read, listing, listMessages},
		{"gmail.users.messages.get", "GET", user + "/messages/{id}", read, view, getMessage},
		{"gmail.users.messages.modify", "POST", user + "/messages/{id}/modify", write, "", modifyMessage},
		{"gmail.users.messages.trash", "POST", user + "/messages/{id}/trash", write, "", trashMessage},
		{"gmail.users.messages.untrash", "POST", user + "/messages/{id}/untrash", write, "", untrashMessage},
		{"gmail.users.messages.attachments.get", "GET", attachments + "/{id}", readBodies, "", getAttachment},
		{"gmail.users.threads.list", "GET", user + "/threads", read, listing, listThreads},
		{"gmail.users.threads.get", "GET", user + "/threads/{id}", read, view, getThread},
	}
}

// gmail authorizes requests to m and answers them.
func (s *Server) gmail(m method) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, bad := s.runMethod(m, r)
		if bad != nil {
			s.writeAPIError(w, r, bad)
			return
		}
		body, bad := encodeFields(answer, r.URL.Query())
		if bad != nil {
			s.writeAPIError(w, r, bad)
			return
		}
		s.writeAPI(w, r, http.StatusOK, body)
	}
}

func (s *Server) runMethod(m method, r *http.Request) (any, *apiError) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("Invalid query string")
	}
	for name := range query {
		if known := strings.Fields(commonParams + " " + m.params); !slices.Contains(known, name) {
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
	return m.run(&call{request: r, query: query, box: box, scopes: token.Scopes})
}

// metadataOnly reports whether the token may see headers and labels, and neither bodies nor what a search
// says of them.
func (c *call) metadataOnly() bool {
	return !slices.ContainsFunc([]string{scopeMail, scopeModify, scopeReadonly},
		func(s string) bool { return slices.Contains(c.scopes, s) })
}

// id returns an ID in the path. Gmail's are hexadecimal numbers of 64 bits.
func (c *call) id(name string) (string, *apiError) {
	digits := c.request.PathValue(name)
	id, err := strconv.ParseUint(digits, 16, 64)
	if err != nil || len(digits) > 16 {
		return "", badRequest("Invalid id value")
	}
	return formatID(id), nil
}

// view reads the parameters format and metadataHeaders. Threads have no format raw.
func (c *call) view(formats ...string) (messageView, *apiError) {
	v := messageView{format: strings.ToLower(c.query.Get("format"))}
	if v.format == "" {
		v.format = "full"
	}
	if !slices.Contains(formats, v.format) {
		return v, badRequest(fmt.Sprintf("Invalid value at 'format' (type.googleapis.com/caribou.api.proto.Format), %q",
			c.query.Get("format")))
	}
	if c.metadataOnly() && (v.format == "full" || v.format == "raw") {
		return v, forbidden("Metadata scope doesn't allow format " + strings.ToUpper(v.format))
	}
	if v.format == "metadata" {
		v.headers = c.query["metadataHeaders"]
	}
	return v, nil
}

// decode reads the request's JSON body. As at Google, a name that the method does not know is an error.
func (c *call) decode(into any) *apiError {
	dec := json.NewDecoder(c.request.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return badRequest("Invalid JSON payload received. " + err.Error())
	}
	return nil
}

// writeAPI sends JSON, in gzip where the client takes it. Google also wants to read gzip in the User-Agent.
// https://developers.google.com/workspace/gmail/api/guides/performance#gzip
func (s *Server) writeAPI(w http.ResponseWriter, r *http.Request, code int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=UTF-8")
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

func getProfile(c *call) (any, *apiError) {
	c.box.mu.RLock()
	defer c.box.mu.RUnlock()
	return profileResource{
		EmailAddress:  c.box.user.Email,
		MessagesTotal: len(c.box.order),
		ThreadsTotal:  len(c.box.threads),
		HistoryID:     c.box.historyID,
	}, nil
}
