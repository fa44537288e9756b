package gmailtest

import "slices"

func listMessages(c *call) (any, *apiError) {
	l, bad := c.listing()
	if bad != nil {
		return nil, bad
	}
	c.box.mu.RLock()
	defer c.box.mu.RUnlock()
	found, bad := c.box.list(l)
	if bad != nil {
		return nil, bad
	}
	page, next := l.page(found)
	answer := &messageList{NextPageToken: next, ResultSizeEstimate: len(found)}
	for _, m := range page {
		answer.Messages = append(answer.Messages, &messageResource{ID: m.id, ThreadID: m.threadID})
	}
	return answer, nil
}

func getMessage(c *call) (any, *apiError) {
	view, bad := c.view("minimal", "metadata", "full", "raw")
	if bad != nil {
		return nil, bad
	}
	id, bad := c.id("id")
	if bad != nil {
		return nil, bad
	}
	c.box.mu.RLock()
	defer c.box.mu.RUnlock()
	m := c.box.byID[id]
	if m == nil {
		return nil, notFound()
	}
	return view.render(m), nil
}

func modifyMessage(c *call) (any, *apiError) {
	var change struct {
		Add    []string `json:"addLabelIds"`
		Remove []string `json:"removeLabelIds"`
	}
	if bad := c.decode(&change); bad != nil {
		return nil, bad
	}
	return c.relabel(slices.Concat(change.Add, change.Remove), func(have []string) []string {
		return union(without(have, change.Remove), change.Add)
	})
}

func trashMessage(c *call) (any, *apiError) {
	return c.relabel(nil, trashed)
}

func untrashMessage(c *call) (any, *apiError) {
	return c.relabel(nil, func(have []string) []string { return without(have, []string{"TRASH"}) })
}

// relabel changes the labels of the message in the path, if the named ones may be changed.
func (c *call) relabel(named []string, change func([]string) []string) (any, *apiError) {
	id, bad := c.id("id")
	if bad != nil {
		return nil, bad
	}
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	m := c.box.byID[id]
	if m == nil {
		return nil, notFound()
	}
	for _, l := range named {
		if c.box.label(l) == nil || slices.Contains(fixedLabels, l) {
			return nil, badRequest("Invalid label: " + l)
		}
	}
	c.box.setLabels(m, change(m.labels))
	return &messageResource{ID: m.id, ThreadID: m.threadID, LabelIDs: m.labels}, nil
}

func getAttachment(c *call) (any, *apiError) {
	id, bad := c.id("messageId")
	if bad != nil {
		return nil, bad
	}
	c.box.mu.RLock()
	m := c.box.byID[id]
	c.box.mu.RUnlock()
	if m == nil {
		return nil, notFound()
	}
	var found *part
	m.root.walk(func(p *part) bool {
		if p.isAttachment() && attachmentID(p) == c.request.PathValue("id") {
			found = p
		}
		return found == nil
	})
	if found == nil {
		return nil, badRequest("Invalid attachment token")
	}
	return &bodyResource{Size: len(found.body), Data: encodeData(found.body)}, nil
}
