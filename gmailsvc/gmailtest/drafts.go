package gmailtest

import "slices"

func getDraft(c *call) (any, *apiError) {
	view, bad := c.view("minimal", "metadata", "full", "raw")
	if bad != nil {
		return nil, bad
	}
	c.box.mu.RLock()
	defer c.box.mu.RUnlock()
	msg := c.box.drafts[c.request.PathValue("id")]
	if msg == nil {
		return nil, notFound()
	}
	return &draftResource{ID: msg.draft, Message: view.render(msg)}, nil
}

func listDrafts(c *call) (any, *apiError) {
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
	found = slices.DeleteFunc(found, func(m *message) bool { return m.draft == "" })
	page, next := l.page(found)
	answer := &draftList{NextPageToken: next, ResultSizeEstimate: len(found)}
	for _, m := range page {
		message := &messageResource{ID: m.id, ThreadID: m.threadID}
		answer.Drafts = append(answer.Drafts, &draftResource{ID: m.draft, Message: message})
	}
	return answer, nil
}
