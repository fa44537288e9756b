package gmailtest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// newDraftID returns an ID that looks like Gmail's and is the same in every run.
func (m *Mailbox) newDraftID() string {
	m.drafted++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", m.user.Sub, m.drafted))
	return fmt.Sprintf("r%d", int64(binary.BigEndian.Uint64(sum[:8])))
}

// SaveDraft writes a draft as the user does in Gmail's own pages: a new one where draftID is empty, else another
// text for that one, which gets a new message in the same thread. It returns the draft's ID.
func (m *Mailbox) SaveDraft(draftID string, raw []byte) (id string, err error) {
	if len(raw) == 0 {
		return "", fmt.Errorf("gmailtest: save a draft of %s: the message is empty", m.user.Email)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if draftID == "" {
		msg := m.newDraft(raw, m.newDraftID())
		m.record(m.add(msg, m.threadFor(msg)))
		return msg.draft, nil
	}
	old := m.drafts[draftID]
	if old == nil {
		return "", fmt.Errorf("gmailtest: %s has no draft %q", m.user.Email, draftID)
	}
	m.record(m.remove(old), m.add(m.newDraft(raw, draftID), old.threadID))
	return draftID, nil
}

// newDraft makes the message of a draft.
func (m *Mailbox) newDraft(raw []byte, draftID string) *message {
	msg := m.charsets.newMessage(raw, m.now(), m.now())
	msg.draft, msg.labels = draftID, []string{"DRAFT"}
	return msg
}

func createDraft(c *call) (any, *apiError) {
	var given draftResource
	raw, bad := c.message(&given, func() string { return given.message().Raw })
	if bad != nil {
		return nil, bad
	}
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	msg := c.box.newDraft(raw, c.box.newDraftID())
	threadID, bad := c.box.requestedThread(msg, given.message().ThreadID)
	if bad != nil {
		return nil, bad
	}
	c.box.record(c.box.add(msg, threadID))
	return &draftResource{ID: msg.draft, Message: msg.reference()}, nil
}

// updateDraft replaces the message of a draft by another one, with another ID, in the same thread unless one
// is asked for.
func updateDraft(c *call) (any, *apiError) {
	var given draftResource
	raw, bad := c.message(&given, func() string { return given.message().Raw })
	if bad != nil {
		return nil, bad
	}
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	old := c.box.drafts[c.request.PathValue("id")]
	if old == nil {
		return nil, notFound()
	}
	msg := c.box.newDraft(raw, old.draft)
	threadID := old.threadID
	if given.message().ThreadID != "" {
		if threadID, bad = c.box.requestedThread(msg, given.message().ThreadID); bad != nil {
			return nil, bad
		}
	}
	c.box.record(c.box.remove(old), c.box.add(msg, threadID))
	return &draftResource{ID: msg.draft, Message: msg.reference()}, nil
}

// sendDraft sends a draft, or what the request has instead of its message, and removes it. A second time
// there is none.
func sendDraft(c *call) (any, *apiError) {
	var given draftResource
	raw, bad := c.optionalMessage(&given, func() string { return given.message().Raw })
	if bad != nil {
		return nil, bad
	}
	return c.send(func() (submission, *apiError) {
		draft := c.box.drafts[given.ID]
		if draft == nil {
			return submission{}, notFound()
		}
		if len(raw) == 0 {
			raw = draft.raw
		}
		return submission{raw: raw, threadID: given.message().ThreadID, draft: draft}, nil
	})
}

func deleteDraft(c *call) (any, *apiError) {
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	draft := c.box.drafts[c.request.PathValue("id")]
	if draft == nil {
		return nil, notFound()
	}
	c.box.removeAll([]*message{draft})
	return nil, nil
}
