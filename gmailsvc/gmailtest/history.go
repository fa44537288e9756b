package gmailtest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
)

// A historyQuery is what history.list is asked for.
type historyQuery struct {
	start   uint64 // the records after this ID
	types   []string
	labelID string
}

// listHistory pages through the records in the order of their IDs. A page token holds the last record's ID.
// https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.history/list
func listHistory(c *call) (any, *apiError) {
	q, bad := c.historyQuery()
	if bad != nil {
		return nil, bad
	}
	size, bad := c.pageSize()
	if bad != nil {
		return nil, bad
	}
	token, emptyFirst, bad := c.pageToken(8)
	if bad != nil {
		return nil, bad
	}
	if token != nil {
		q.start = max(q.start, binary.BigEndian.Uint64(token))
	}
	c.box.mu.RLock()
	defer c.box.mu.RUnlock()
	if q.labelID != "" && c.box.label(q.labelID) == nil {
		return nil, badRequest("Invalid label: " + q.labelID)
	}
	records, current, ok := c.box.since(q.start)
	if !ok {
		return nil, notFound()
	}
	answer := &historyList{HistoryID: current}
	if emptyFirst != "" {
		answer.NextPageToken = emptyFirst
		return answer, nil
	}
	for _, r := range records {
		found := q.filter(r)
		if found == nil {
			continue
		}
		if len(answer.History) == size {
			last := answer.History[size-1].ID
			answer.NextPageToken = formatToken(binary.BigEndian.AppendUint64(nil, last))
			break
		}
		answer.History = append(answer.History, found)
	}
	return answer, nil
}

func (c *call) historyQuery() (historyQuery, *apiError) {
	q := historyQuery{types: c.query["historyTypes"], labelID: c.query.Get("labelId")}
	start := c.query.Get("startHistoryId")
	if start == "" {
		return q, badRequest("Missing required parameter: startHistoryId")
	}
	var err error
	if q.start, err = strconv.ParseUint(start, 10, 64); err != nil {
		return q, badRequest(fmt.Sprintf("Invalid value at 'start_history_id' (TYPE_UINT64), %q", start))
	}
	for _, t := range q.types {
		if !slices.Contains([]string{messageAdded, messageDeleted, labelAdded, labelRemoved}, t) {
			return q, badRequest(fmt.Sprintf("Invalid value at 'history_types' "+
				"(type.googleapis.com/caribou.api.proto.HistoryType), %q", t))
		}
	}
	return q, nil
}

// filter returns the resource of what q wants of a record, or nil.
func (q historyQuery) filter(r record) *historyResource {
	res := &historyResource{ID: r.id}
	wants := func(t string) bool { return len(q.types) == 0 || slices.Contains(q.types, t) }
	for _, c := range r.changes {
		if !c.concerns(q.labelID) {
			continue
		}
		matched := true
		switch {
		case c.kind == messageAdded && wants(messageAdded):
			res.MessagesAdded = append(res.MessagesAdded, messageChange{Message: c.message})
		case c.kind == messageDeleted && wants(messageDeleted):
			res.MessagesDeleted = append(res.MessagesDeleted, messageChange{Message: c.message})
		default:
			matched = false
		}
		if len(c.added) > 0 && wants(labelAdded) {
			res.LabelsAdded = append(res.LabelsAdded, messageChange{c.message, c.added})
			matched = true
		}
		if len(c.removed) > 0 && wants(labelRemoved) {
			res.LabelsRemoved = append(res.LabelsRemoved, messageChange{c.message, c.removed})
			matched = true
		}
		if matched {
			res.Messages = append(res.Messages, &messageResource{ID: c.message.ID, ThreadID: c.message.ThreadID})
		}
	}
	if len(res.Messages) == 0 {
		return nil
	}
	return res
}
