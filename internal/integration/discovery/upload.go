package discovery

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
)

func isUpload(req *http.Request) bool { return strings.HasPrefix(req.URL.Path, "/upload/") }

// isPartial reports whether an answer only says that more of an upload has to come.
func isPartial(req *http.Request, res *http.Response) bool {
	begins := req.URL.Query().Get("uploadType") == "resumable" && res.Header.Get("Location") != ""
	return begins || res.Header.Get("X-Http-Status-Code-Override") == "308"
}

// checkUpload checks the JSON of an upload. What is uploaded beside it is of no schema.
// https://developers.google.com/workspace/gmail/api/guides/uploads
func (d *Document) checkUpload(m *Method, req *http.Request, body []byte) error {
	query := req.URL.Query()
	switch query.Get("uploadType") {
	case "media":
		return nil
	case "resumable":
		if query.Has("upload_id") {
			return nil
		}
		return d.checkBody("request", m.Request, req.Header, body)
	case "multipart":
		kind, params, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
		if err != nil || kind != "multipart/related" {
			return fmt.Errorf("request: content type %q, want multipart/related", req.Header.Get("Content-Type"))
		}
		p, err := multipart.NewReader(bytes.NewReader(body), params["boundary"]).NextPart()
		if err != nil {
			return fmt.Errorf("request: %w", err)
		}
		metadata, err := io.ReadAll(p)
		if err != nil {
			return fmt.Errorf("request: %w", err)
		}
		return d.checkBody("request", m.Request, http.Header(p.Header), metadata)
	}
	return fmt.Errorf("request: uploadType is %q", query.Get("uploadType"))
}
