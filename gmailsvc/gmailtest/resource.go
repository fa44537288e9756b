package gmailtest

import (
	"encoding/base64"
	"slices"
	"strings"
)

// The resources of the Gmail API, as its discovery document describes them. 64-bit numbers are strings.

type messageResource struct {
	ID           string        `json:"id"`
	ThreadID     string        `json:"threadId"`
	LabelIDs     []string      `json:"labelIds,omitempty"`
	Snippet      string        `json:"snippet,omitempty"`
	Payload      *partResource `json:"payload,omitempty"`
	SizeEstimate int           `json:"sizeEstimate,omitempty"`
	HistoryID    uint64        `json:"historyId,string,omitempty"`
	InternalDate int64         `json:"internalDate,string,omitempty"`
	Raw          string        `json:"raw,omitempty"`
}

type partResource struct {
	PartID   *string          `json:"partId,omitempty"`
	MimeType string           `json:"mimeType,omitempty"`
	Filename *string          `json:"filename,omitempty"`
	Headers  []headerResource `json:"headers,omitempty"`
	Body     *bodyResource    `json:"body,omitempty"`
	Parts    []*partResource  `json:"parts,omitempty"`
}

type headerResource struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type bodyResource struct {
	AttachmentID string `json:"attachmentId,omitempty"`
	Size         int    `json:"size"`
	Data         string `json:"data,omitempty"`
}

type historyResource struct {
	ID              uint64             `json:"id,string"`
	Messages        []*messageResource `json:"messages,omitempty"`
	MessagesAdded   []messageChange    `json:"messagesAdded,omitempty"`
	MessagesDeleted []messageChange    `json:"messagesDeleted,omitempty"`
	LabelsAdded     []messageChange    `json:"labelsAdded,omitempty"`
	LabelsRemoved   []messageChange    `json:"labelsRemoved,omitempty"`
}

type messageChange struct {
	Message  *messageResource `json:"message"`
	LabelIDs []string         `json:"labelIds,omitempty"`
}

type historyList struct {
	History       []*historyResource `json:"history,omitempty"`
	NextPageToken string             `json:"nextPageToken,omitempty"`
	HistoryID     uint64             `json:"historyId,string"`
}

type threadResource struct {
	ID        string             `json:"id"`
	Snippet   string             `json:"snippet,omitempty"`
	HistoryID uint64             `json:"historyId,string"`
	Messages  []*messageResource `json:"messages,omitempty"`
}

type messageList struct {
	Messages           []*messageResource `json:"messages,omitempty"`
	NextPageToken      string             `json:"nextPageToken,omitempty"`
	ResultSizeEstimate int                `json:"resultSizeEstimate"`
}

type threadList struct {
	Threads            []*threadResource `json:"threads,omitempty"`
	NextPageToken      string            `json:"nextPageToken,omitempty"`
	ResultSizeEstimate int               `json:"resultSizeEstimate"`
}

type draftResource struct {
	ID      string           `json:"id"`
	Message *messageResource `json:"message,omitempty"`
}

// message returns the draft's, or an empty one.
func (d *draftResource) message() *messageResource {
	if d.Message == nil {
		return new(messageResource)
	}
	return d.Message
}

type draftList struct {
	Drafts             []*draftResource `json:"drafts,omitempty"`
	NextPageToken      string           `json:"nextPageToken,omitempty"`
	ResultSizeEstimate int              `json:"resultSizeEstimate"`
}

type labelResource struct {
	ID                    string         `json:"id"`
	Name                  string         `json:"name"`
	MessageListVisibility string         `json:"messageListVisibility,omitempty"`
	LabelListVisibility   string         `json:"labelListVisibility,omitempty"`
	Type                  string         `json:"type"`
	Color                 *colorResource `json:"color,omitempty"`
	*labelCounts
}

type labelCounts struct {
	MessagesTotal  int `json:"messagesTotal"`
	MessagesUnread int `json:"messagesUnread"`
	ThreadsTotal   int `json:"threadsTotal"`
	ThreadsUnread  int `json:"threadsUnread"`
}

type labelList struct {
	Labels []*labelResource `json:"labels"`
}

type watchResource struct {
	HistoryID  uint64 `json:"historyId,string"`
	Expiration int64  `json:"expiration,string"` // Unix milliseconds
}

type profileResource struct {
	EmailAddress  string `json:"emailAddress"`
	MessagesTotal int    `json:"messagesTotal"`
	ThreadsTotal  int    `json:"threadsTotal"`
	HistoryID     uint64 `json:"historyId,string"`
}

// A messageView is how much of a message is asked for.
type messageView struct {
	format  string   // minimal, metadata, full or raw
	headers []string // with metadata: only these; empty: all
	inline  int      // Config.InlineBodyLimit
}

// render builds the resource. The caller holds the mailbox's lock, for the labels' sake.
func (v messageView) render(m *message) *messageResource {
	res := &messageResource{
		ID:           m.id,
		ThreadID:     m.threadID,
		LabelIDs:     m.labels,
		Snippet:      m.snippet,
		SizeEstimate: len(m.raw),
		HistoryID:    m.historyID,
		InternalDate: m.date,
	}
	switch v.format {
	case "metadata":
		res.Payload = &partResource{MimeType: m.root.mimeType, Headers: v.renderHeaders(m.root.headers)}
	case "full":
		res.Payload = v.renderPart(m.root)
	case "raw":
		res.Raw = encodeData(m.raw)
	}
	return res
}

// reference returns the resource as the answers about changes have it. The caller holds the mailbox's lock.
func (m *message) reference() *messageResource {
	return &messageResource{ID: m.id, ThreadID: m.threadID, LabelIDs: m.labels}
}

func (v messageView) renderHeaders(fields headers) []headerResource {
	var res []headerResource
	for _, h := range fields {
		isIt := func(name string) bool { return strings.EqualFold(name, h.name) }
		if len(v.headers) == 0 || slices.ContainsFunc(v.headers, isIt) {
			res = append(res, headerResource{h.name, h.value})
		}
	}
	return res
}

func (v messageView) renderPart(p *part) *partResource {
	res := &partResource{
		PartID:   &p.id,
		MimeType: p.mimeType,
		Filename: &p.filename,
		Headers:  v.renderHeaders(p.headers),
		Body:     &bodyResource{Size: len(p.body)},
	}
	if p.isApart(v.inline) {
		res.Body.AttachmentID = attachmentID(p)
	} else {
		res.Body.Data = encodeData(p.body)
	}
	for _, child := range p.parts {
		res.Parts = append(res.Parts, v.renderPart(child))
	}
	return res
}

// attachmentID names a part within its message. It has the look of Gmail's, which are opaque and which Gmail
// makes anew at each call; this one stays the same.
func attachmentID(p *part) string {
	return "ANGjdJ_" + base64.RawURLEncoding.EncodeToString([]byte("part:"+p.id))
}

// encodeData encodes bytes as the API does: base64url with padding (RFC 4648, section 5).
func encodeData(b []byte) string { return base64.URLEncoding.EncodeToString(b) }
