package gmailtest

import "slices"

func listLabels(c *call) (any, *apiError) {
	c.box.mu.RLock()
	defer c.box.mu.RUnlock()
	answer := &labelList{}
	for _, l := range c.box.labels {
		answer.Labels = append(answer.Labels, l.resource())
	}
	return answer, nil
}

func getLabel(c *call) (any, *apiError) {
	c.box.mu.RLock()
	defer c.box.mu.RUnlock()
	l := c.box.label(c.request.PathValue("id"))
	if l == nil {
		return nil, notFound()
	}
	answer := l.resource()
	answer.labelCounts = c.box.count(l.id)
	return answer, nil
}

func (l *label) resource() *labelResource {
	r := &labelResource{
		ID: l.id, Name: l.name, Type: "user",
		MessageListVisibility: l.messageList, LabelListVisibility: l.labelList, Color: l.color,
	}
	if l.system {
		r.Type = "system"
	}
	return r
}

// count counts what carries a label. A thread counts where one of its messages does, as unread where one
// of those is unread.
func (m *Mailbox) count(labelID string) *labelCounts {
	var n labelCounts
	for _, thread := range m.threads {
		labeled, unread := 0, 0
		for _, msg := range thread {
			if slices.Contains(msg.labels, labelID) {
				labeled++
				if slices.Contains(msg.labels, "UNREAD") {
					unread++
				}
			}
		}
		n.MessagesTotal += labeled
		n.MessagesUnread += unread
		n.ThreadsTotal += min(labeled, 1)
		n.ThreadsUnread += min(unread, 1)
	}
	return &n
}
