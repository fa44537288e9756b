package gmailtest

import (
	"encoding/binary"
	"slices"
	"strconv"
)

// A listing is what messages.list and threads.list are asked for.
type listing struct {
	query            *query
	labelIDs         []string
	includeSpamTrash bool
	size             int
	after            *position // where the page before this one ended
	emptyFirst       string    // the page is empty, with this token of the next one
}

// A position is a place in the order of messages. A page token holds one, so that mail which arrives
// meanwhile moves no page.
type position struct {
	date int64
	id   string
}

const positionSize = 16 // bytes

func (c *call) listing() (*listing, *apiError) {
	l := &listing{labelIDs: c.query["labelIds"]}
	var bad *apiError
	if l.size, bad = c.pageSize(); bad != nil {
		return nil, bad
	}
	token, emptyFirst, bad := c.pageToken(positionSize)
	if bad != nil {
		return nil, bad
	}
	l.after, l.emptyFirst = parsePosition(token), emptyFirst
	if l.includeSpamTrash, bad = c.flag("includeSpamTrash", "include_spam_trash"); bad != nil {
		return nil, bad
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
	if l.emptyFirst != "" {
		return nil, l.emptyFirst
	}
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
	return formatToken(binary.BigEndian.AppendUint64(b, id))
}

func parsePosition(token []byte) *position {
	if token == nil {
		return nil
	}
	return &position{int64(binary.BigEndian.Uint64(token)), formatID(binary.BigEndian.Uint64(token[8:]))}
}
