package gmailtest

import (
	"slices"
	"sync"
)

// A record is an entry of a mailbox's history: what happened at one time, to one message or to several.
type record struct {
	id      uint64
	changes []change
}

// A change is what happened to one message. It keeps what the message was then.
type change struct {
	message        *messageResource // its IDs and its labels: those after the change, or the last ones of a deleted message
	kind           string           // as historyTypes has it; "": the labels alone changed
	added, removed []string         // labels
}

const (
	messageAdded   = "messageAdded"
	messageDeleted = "messageDeleted"
	labelAdded     = "labelAdded"
	labelRemoved   = "labelRemoved"
)

// concerns reports whether the message had the label before or after the change. "" is every label.
func (c change) concerns(labelID string) bool {
	return labelID == "" || slices.Contains(c.message.LabelIDs, labelID) || slices.Contains(c.removed, labelID)
}

// relabel gives msg other labels and says what changed; ok is false where nothing did. The caller records it.
func (m *Mailbox) relabel(msg *message, labels []string) (_ change, ok bool) {
	added, removed := without(labels, msg.labels), without(msg.labels, labels)
	msg.labels = labels
	if len(added)+len(removed) == 0 {
		return change{}, false
	}
	return change{message: msg.reference(), added: added, removed: removed}, true
}

// relabelAll changes the labels of messages, and records it as one change of the mailbox.
func (m *Mailbox) relabelAll(messages []*message, apply func(have []string) []string) {
	var changes []change
	for _, msg := range messages {
		if c, ok := m.relabel(msg, apply(msg.labels)); ok {
			changes = append(changes, c)
		}
	}
	m.record(changes...)
}

// removeAll deletes messages, and records it as one change of the mailbox.
func (m *Mailbox) removeAll(messages []*message) {
	var changes []change
	for _, msg := range messages {
		changes = append(changes, m.remove(msg))
	}
	m.record(changes...)
}

// record enters changes into the history, under one new ID. The caller holds m.mu.
func (m *Mailbox) record(changes ...change) {
	if len(changes) == 0 {
		return
	}
	id := m.touch()
	for _, c := range changes {
		if msg := m.byID[c.message.ID]; msg != nil {
			msg.historyID = id
		}
	}
	m.history = append(m.history, record{id, changes})
	if w := m.watching(); w != nil && w.wants(changes) {
		m.notify(w.topic)
	}
}

// touch returns a new history ID. Gmail's grow with gaps, so these do too.
func (m *Mailbox) touch() uint64 {
	m.historyID += 1 + m.historyID%17
	return m.historyID
}

// HistoryID returns the ID of the mailbox's last change.
func (m *Mailbox) HistoryID() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.historyID
}

// ExpireHistory forgets all changes until now, as Gmail does after about a week and sometimes after hours:
// a history.list from before then is answered with 404, also in the middle of its pages.
func (m *Mailbox) ExpireHistory() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.history = nil
	m.expired = m.historyID
	if m.heldAt != 0 {
		m.heldAt = m.historyID
	}
}

// HoldHistory keeps the changes that come from now on out of history.list until release is called, as Gmail's
// history can lag behind what the profile and push messages say. Messages and labels are up to date meanwhile.
// Holding a history that is held changes nothing.
func (m *Mailbox) HoldHistory() (release func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.heldAt == 0 {
		m.heldAt = m.historyID
	}
	return sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.heldAt = 0
	})
}

// since returns the records after a history ID that can be seen, and the ID of the last of all that can; ok is
// false where the history does not reach back so far. The caller holds m.mu.
func (m *Mailbox) since(id uint64) (records []record, current uint64, ok bool) {
	records, current = m.history, m.historyID
	if m.heldAt != 0 {
		current = m.heldAt
	}
	if id < m.expired {
		return nil, current, false
	}
	from, _ := slices.BinarySearchFunc(records, id+1, compareID)
	to, _ := slices.BinarySearchFunc(records, current+1, compareID)
	return records[min(from, to):to], current, true
}

func compareID(r record, id uint64) int {
	if r.id < id {
		return -1
	}
	return 1 // the index of the first record with that ID or a later one
}
