package gmailtest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
)

// An upload is a request that carries a message as it is beside its JSON, under /upload.
// https://developers.google.com/workspace/gmail/api/guides/uploads
type upload struct {
	metadata []byte // JSON
	media    []byte
}

// content decodes the JSON of a request and returns the message that came beside it, or nil.
func (c *call) content(into any) ([]byte, *apiError) {
	if c.upload == nil {
		return nil, c.decode(into)
	}
	if len(bytes.TrimSpace(c.upload.metadata)) > 0 {
		if bad := decodeJSON(bytes.NewReader(c.upload.metadata), into); bad != nil {
			return nil, bad
		}
	}
	return c.upload.media, nil
}

// message decodes the JSON of a request and returns the message that comes with it: uploaded, or as what raw
// returns then.
func (c *call) message(into any, raw func() string) ([]byte, *apiError) {
	media, bad := c.optionalMessage(into, raw)
	if bad == nil && len(media) == 0 {
		bad = badRequest("'raw' RFC822 payload message string or uploading message via /upload/* URL required")
	}
	return media, bad
}

func (c *call) optionalMessage(into any, raw func() string) ([]byte, *apiError) {
	media, bad := c.content(into)
	if bad != nil {
		return nil, bad
	}
	if len(media) == 0 {
		if media, bad = decodeData(raw()); bad != nil {
			return nil, bad
		}
	}
	if len(media) > c.method.upload {
		return nil, &apiError{code: http.StatusRequestEntityTooLarge, reason: "uploadTooLarge",
			message: fmt.Sprintf("Media larger than allowed limit: %d", c.method.upload)}
	}
	return media, nil
}

// decodeData reads base64 in either alphabet, with padding or without.
func decodeData(text string) ([]byte, *apiError) {
	plain := strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "=")
	data, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil {
		beginning := text[:min(len(text), 40)]
		return nil, badRequest(fmt.Sprintf("Invalid value at 'raw' (TYPE_BYTES), Base64 decoding failed for %q", beginning))
	}
	return data, nil
}

// receive reads an upload that comes in one request.
func receive(r *http.Request) (*upload, *apiError) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, badRequest(err.Error())
	}
	if r.URL.Query().Get("uploadType") == "media" {
		return &upload{media: body}, nil
	}
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(mediaType, "multipart/") {
		return nil, badContent("Bad content. The content type of a multipart upload must be multipart/related.")
	}
	var parts [][]byte
	for mr := multipart.NewReader(bytes.NewReader(body), params["boundary"]); len(parts) < 3; {
		p, err := mr.NextPart()
		if err != nil {
			break
		}
		part, err := io.ReadAll(p)
		if err != nil {
			break
		}
		parts = append(parts, part)
	}
	if len(parts) != 2 {
		return nil, badContent(fmt.Sprintf("Missing end boundary in multipart body, or %d parts where there must be two.", len(parts)))
	}
	return &upload{metadata: parts[0], media: parts[1]}, nil
}

func badContent(message string) *apiError {
	return &apiError{code: http.StatusBadRequest, reason: "badContent", message: message}
}

func decodeJSON(r io.Reader, into any) *apiError {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return badRequest("Invalid JSON payload received. " + err.Error())
	}
	return nil
}
