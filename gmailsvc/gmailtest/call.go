package gmailtest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A call is one authorized request to a method.
type call struct {
	server  *Server
	method  method
	request *http.Request
	upload  *upload // nil: the request is JSON
	query   url.Values
	box     *Mailbox
	scopes  []string // the token's
}

// metadataOnly reports whether the token may see headers and labels, and neither bodies nor what a search
// says of them.
func (c *call) metadataOnly() bool {
	return !slices.ContainsFunc(c.scopes, func(s string) bool {
		return s != scopeMetadata && slices.Contains(c.method.scopes, s)
	})
}

// id returns an ID in the path.
func (c *call) id(name string) (string, *apiError) {
	id, ok := parseID(c.request.PathValue(name))
	if !ok {
		return "", badRequest("Invalid id value")
	}
	return id, nil
}

// flag reads a boolean parameter, which Google's errors call proto.
func (c *call) flag(name, proto string) (bool, *apiError) {
	v := c.query.Get(name)
	if v == "" {
		return false, nil
	}
	set, err := strconv.ParseBool(v)
	if err != nil {
		return false, badRequest(fmt.Sprintf("Invalid value at '%s' (TYPE_BOOL), %q", proto, v))
	}
	return set, nil
}

// view reads the parameters format and metadataHeaders. Threads have no format raw.
func (c *call) view(formats ...string) (messageView, *apiError) {
	v := messageView{format: strings.ToLower(c.query.Get("format")), inline: c.server.cfg.InlineBodyLimit}
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
	return decodeJSON(c.request.Body, into)
}
