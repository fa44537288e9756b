package gmailsvc

import (
	"bytes"
	"context"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/api/googleapi"
)

// maxBatch is how many calls Gmail takes in a batch: https://developers.google.com/workspace/gmail/api/guides/batch.
const maxBatch = 100

// batchBoundary divides the calls. Nothing that is sent can contain it: IDs are escaped.
const batchBoundary = "mailgrant-batch-of-gets"

// batchBody writes a batch of gets. The Content-ID of each is its index.
func (p *pipeline) batchBody(parts []*part) []byte {
	body := make([]byte, 0, len(parts)*(180+len(p.messageQuery)))
	for i, part := range parts {
		body = append(body, "--"+batchBoundary+"\r\nContent-Type: application/http\r\nContent-ID: <"...)
		body = strconv.AppendInt(body, int64(i), 10)
		body = append(body, ">\r\n\r\nGET "...)
		body = p.appendPath(body, part)
		body = append(body, " HTTP/1.1\r\n\r\n\r\n"...)
	}
	return append(body, "--"+batchBoundary+"--\r\n"...)
}

// appendPath appends the path of what a part gets, which is Gmail's wherever the endpoint is, and its query.
func (p *pipeline) appendPath(dst []byte, part *part) []byte {
	kind, id, query := "messages/", part.group.Refs[0].ID, p.messageQuery
	if part.group.Thread != "" {
		kind, id, query = "threads/", part.group.Thread, p.threadQuery
	}
	dst = append(dst, "/gmail/v1/users/me/"...)
	dst = append(dst, kind...)
	dst = append(dst, url.PathEscape(id)...)
	return append(dst, query...)
}

// indexOfPart returns which part of a batch an answer's Content-ID is for, or -1.
func indexOfPart(contentID []byte) int {
	id, ok := bytes.CutPrefix(bytes.Trim(contentID, "<> \t"), []byte("response-"))
	if !ok {
		return -1
	}
	i, err := strconv.Atoi(string(id))
	if err != nil || i < 0 {
		return -1
	}
	return i
}

// boundaryOf returns what divides the answer to a batch, or "" where it is none.
func boundaryOf(resp *http.Response) string {
	mediaType, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	const longest = 70 // RFC 2046 §5.1.1
	if err != nil || mediaType != "multipart/mixed" || resp.StatusCode != http.StatusOK || len(params["boundary"]) > longest {
		return ""
	}
	return params["boundary"]
}

// isID reports whether a path can be made of id.
func isID(id string) bool { return id != "" && id != "." && id != ".." }

// request returns the request that gets parts: a batch, or a single one by itself.
func (p *pipeline) request(ctx context.Context, parts []*part) (*http.Request, error) {
	root := strings.TrimSuffix(p.service.BasePath, "/")
	var req *http.Request
	var err error
	if len(parts) == 1 {
		req, err = http.NewRequestWithContext(ctx, http.MethodGet, root+string(p.appendPath(nil, parts[0])), nil)
	} else {
		req, err = http.NewRequestWithContext(ctx, http.MethodPost, root+"/batch/gmail/v1", bytes.NewReader(p.batchBody(parts)))
	}
	if err != nil {
		return nil, err
	}
	if len(parts) > 1 {
		req.Header.Set("Content-Type", "multipart/mixed; boundary="+batchBoundary)
	}
	req.Header.Set("User-Agent", googleapi.UserAgent+" "+p.service.UserAgent)
	return req, nil
}
