package gmailtest

import "slices"

// listThreads lists the threads of the messages that match, each where its newest such message stands.
func listThreads(c *call) (any, *apiError) {
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
	var heads []*message
	seen := make(map[string]bool)
	for _, m := range found {
		if !seen[m.threadID] {
			seen[m.threadID] = true
			heads = append(heads, m)
		}
	}
	page, next := l.page(heads)
	answer := &threadList{NextPageToken: next, ResultSizeEstimate: len(heads)}
	for _, m := range page {
		t := c.box.thread(m.threadID)
		t.Snippet = m.snippet
		answer.Threads = append(answer.Threads, t)
	}
	return answer, nil
}

func getThread(c *call) (any, *apiError) {
	view, bad := c.view("minimal", "metadata", "full")
	if bad != nil {
		return nil, bad
	}
	id, bad := c.id("id")
	if bad != nil {
		return nil, bad
	}
	c.box.mu.RLock()
	defer c.box.mu.RUnlock()
	messages := c.box.threads[id]
	if messages == nil {
		return nil, notFound()
	}
	t := c.box.thread(id)
	for _, m := range messages {
		t.Messages = append(t.Messages, view.render(m))
	}
	return t, nil
}

// thread returns the resource without its messages. The history ID of a thread is that of its last change.
func (m *Mailbox) thread(id string) *threadResource {
	t := &threadResource{ID: id}
	for _, msg := range m.threads[id] {
		t.HistoryID = max(t.HistoryID, msg.historyID)
	}
	return t
}

func modifyThread(c *call) (any, *apiError) {
	var edit labelEdit
	if bad := c.decode(&edit); bad != nil {
		return nil, bad
	}
	return c.relabelThread(edit, edit.apply)
}

func trashThread(c *call) (any, *apiError) { return c.relabelThread(labelEdit{none: true}, trashed) }

func untrashThread(c *call) (any, *apiError) {
	return c.relabelThread(labelEdit{none: true}, untrashed)
}

// relabelThread changes the labels of each message of the thread in the path.
func (c *call) relabelThread(edit labelEdit, apply func([]string) []string) (any, *apiError) {
	id, bad := c.id("id")
	if bad != nil {
		return nil, bad
	}
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	messages := c.box.threads[id]
	if messages == nil {
		return nil, notFound()
	}
	if bad := edit.check(c.box); bad != nil {
		return nil, bad
	}
	c.box.relabelAll(messages, apply)
	t := c.box.thread(id)
	for _, m := range messages {
		t.Messages = append(t.Messages, m.reference())
	}
	return t, nil
}

func deleteThread(c *call) (any, *apiError) {
	id, bad := c.id("id")
	if bad != nil {
		return nil, bad
	}
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	messages := c.box.threads[id]
	if messages == nil {
		return nil, notFound()
	}
	c.box.removeAll(slices.Clone(messages))
	return nil, nil
}
