package gmailtest

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
	var edit labelEdit
	if bad := c.decode(&edit); bad != nil {
		return nil, bad
	}
	return c.relabel(edit, edit.apply)
}

func trashMessage(c *call) (any, *apiError) { return c.relabel(labelEdit{none: true}, trashed) }

func untrashMessage(c *call) (any, *apiError) { return c.relabel(labelEdit{none: true}, untrashed) }

// relabel changes the labels of the message in the path, if those that edit names may be changed.
func (c *call) relabel(edit labelEdit, apply func([]string) []string) (any, *apiError) {
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
	if bad := edit.check(c.box); bad != nil {
		return nil, bad
	}
	c.box.relabelAll([]*message{m}, apply)
	return m.reference(), nil
}

func deleteMessage(c *call) (any, *apiError) {
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
	c.box.removeAll([]*message{m})
	return nil, nil
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
		if p.isApart(c.server.cfg.InlineBodyLimit) && attachmentID(p) == c.request.PathValue("id") {
			found = p
		}
		return found == nil
	})
	if found == nil {
		return nil, badRequest("Invalid attachment token")
	}
	return &bodyResource{Size: len(found.body), Data: encodeData(found.body)}, nil
}
