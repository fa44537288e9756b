package gmailtest

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
)

const (
	defaultPage = 100
	maxPage     = 500
)

// A listing is what messages.list and threads.list are asked for.
type listing struct {
	query            *query
	labelIDs         []string
	includeSpamTrash bool
	size             int
	after            *position // where the page before this one ended
}

// A position is a place in the order of messages. A page token holds one, so that mail which arrives
// meanwhile moves no page.
type position struct {
	date int64
	id   string
}

func (c *call) listing() (*listing, *apiError) {
	l := &listing{size: defaultPage, labelIDs: c.query["labelIds"]}
	if v := c.query.Get("maxResults"); v != "" {
		n, err := strconv.ParseUint(v, 10, 32)
		if err != nil || n == 0 {
			return nil, badRequest(fmt.Sprintf("Invalid value at 'max_results' (TYPE_UINT32), %q", v))
		}
		l.size = int(min(n, maxPage))
	}
	if v := c.query.Get("includeSpamTrash"); v != "" {
		var err error
		if l.includeSpamTrash, err = strconv.ParseBool(v); err != nil {
			return nil, badRequest(fmt.Sprintf("Invalid value at 'include_spam_trash' (TYPE_BOOL), %q", v))
		}
	}
	if v := c.query.Get("pageToken"); v != "" {
		after, ok := parsePageToken(v)
		if !ok {
			return nil, badRequest("Invalid pageToken")
		}
		l.after = &after
	}
	q := c.query.Get("q")
	if q != "" && c.metadataOnly() {
		return nil, forbidden("Metadata scope does not support 'q' parameter")
	}
	l.query = parseQuery(q)
	return l, nil
}

// find returns the messages that l lists, newest first. The caller holds the mailbox's lock.
func (m *Mailbox) list(l *listing) ([]*message, *apiError) {
	for _, id := range l.labelIDs {
		if m.label(id) == nil {
			return nil, badRequest("Invalid label: " + id)
		}
	}
	hidden := []string{"SPAM", "TRASH"}
	if l.includeSpamTrash || l.query.spamTrash {
		hidden = nil
	}
	hidden = without(hidden, l.labelIDs)
	var found []*message
	for _, msg := range m.order {
		if contains(msg.labels, l.labelIDs) &&
			!slices.ContainsFunc(hidden, func(id string) bool { return slices.Contains(msg.labels, id) }) &&
			l.query.matches(msg, m) {
			found = append(found, msg)
		}
	}
	return found, nil
}

// page cuts the page that l asks for out of what was found, and makes the token of the next.
func (l *listing) page(found []*message) (page []*message, next string) {
	if l.after != nil {
		start := slices.IndexFunc(found, func(m *message) bool {
			return !m.before(l.after.date, l.after.id) && m.id != l.after.id
		})
		if start < 0 {
			return nil, ""
		}
		found = found[start:]
	}
	if len(found) <= l.size {
		return found, ""
	}
	last := found[l.size-1]
	return found[:l.size], position{last.date, last.id}.token()
}

func (p position) token() string {
	b := binary.BigEndian.AppendUint64(nil, uint64(p.date))
	id, _ := strconv.ParseUint(p.id, 16, 64) // formatID made it
	b = binary.BigEndian.AppendUint64(b, id)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

func parsePageToken(token string) (position, bool) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) != 20 || crc32.ChecksumIEEE(b[:16]) != binary.BigEndian.Uint32(b[16:]) {
		return position{}, false
	}
	return position{int64(binary.BigEndian.Uint64(b)), formatID(binary.BigEndian.Uint64(b[8:]))}, true
}
