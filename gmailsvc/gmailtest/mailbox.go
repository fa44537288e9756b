package gmailtest

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// A Mailbox is the mail of one user. Its methods act as Gmail itself or the user in Gmail's own pages
// would: no token is needed. A label is given by its ID or its name, and a name that no label has becomes
// a new user label. A Mailbox is safe for concurrent use.
type Mailbox struct {
	user     User
	now      func() time.Time
	charsets charsets
	publish  func(topic string, data []byte)

	mu         sync.RWMutex // guards all below
	byID       map[string]*message
	used       map[string]bool       // the IDs of messages that are or were there
	order      []*message            // newest first
	threads    map[string][]*message // oldest first
	threadOf   map[string]string     // Message-ID -> thread, also of messages that are referred to only
	subjects   map[string]string     // of threads, as baseSubject returns them
	drafts     map[string]*message   // by the draft's ID
	drafted    int                   // how many drafts there ever were
	labels     []*label
	userLabels int // how many user labels there ever were
	history    []record
	historyID  uint64 // of the last change
	expired    uint64 // the history reaches back to this ID
	heldAt     uint64 // HoldHistory: the last ID that can be seen; 0: all can
	watch      *watch // nil, or the last one; it may have expired
}

// firstHistoryID is that of an empty mailbox.
const firstHistoryID = 1000

func newMailbox(u User, now func() time.Time, c charsets) *Mailbox {
	m := &Mailbox{
		user:      u,
		now:       now,
		charsets:  c,
		byID:      make(map[string]*message),
		used:      make(map[string]bool),
		threads:   make(map[string][]*message),
		threadOf:  make(map[string]string),
		subjects:  make(map[string]string),
		drafts:    make(map[string]*message),
		historyID: firstHistoryID,
		expired:   firstHistoryID,
	}
	for _, name := range systemLabels {
		m.labels = append(m.labels, &label{id: name, name: name, system: true})
	}
	return m
}

// A DeliverOption changes how Deliver files a message.
type DeliverOption interface{ apply(*delivery) }

type delivery struct {
	labels   []string
	date     time.Time
	threadID string
}

type deliverOption func(*delivery)

func (o deliverOption) apply(d *delivery) { o(d) }

// WithLabels files the message under these labels instead of INBOX and UNREAD; with none, it is archived
// and read.
func WithLabels(labels ...string) DeliverOption {
	return deliverOption(func(d *delivery) { d.labels = labels })
}

// WithInternalDate sets when Gmail received the message. Default: its Date header, else now.
func WithInternalDate(t time.Time) DeliverOption {
	return deliverOption(func(d *delivery) { d.date = t })
}

// InThread puts the message into that thread, whatever it refers to.
func InThread(threadID string) DeliverOption {
	return deliverOption(func(d *delivery) { d.threadID = threadID })
}

// User returns whose mailbox it is, with the defaults of AddUser filled in.
func (m *Mailbox) User() User { return m.user }

// Deliver puts an RFC 822 message into the mailbox and returns its ID. Bare line feeds become CRLF. The
// message joins the thread of what its References and In-Reply-To name if it has the same subject but for
// "Re:" and the like, else it starts one, which has its ID. Broken MIME is kept and shown as far as it can
// be read. The same message with the same date has the same ID in every run, unless it was there already.
func (m *Mailbox) Deliver(raw []byte, opts ...DeliverOption) (messageID string, err error) {
	if len(raw) == 0 {
		return "", fmt.Errorf("gmailtest: deliver to %s: the message is empty", m.user.Email)
	}
	d := delivery{labels: []string{"INBOX", "UNREAD"}}
	for _, o := range opts {
		o.apply(&d)
	}
	msg := m.charsets.newMessage(raw, d.date, m.now())

	m.mu.Lock()
	defer m.mu.Unlock()
	if d.threadID != "" && m.threads[d.threadID] == nil {
		return "", fmt.Errorf("gmailtest: deliver to %s: there is no thread %q", m.user.Email, d.threadID)
	}
	if msg.labels, err = m.labelIDs(d.labels); err != nil {
		return "", err
	}
	if d.threadID == "" {
		d.threadID = m.threadFor(msg)
	}
	m.record(m.add(msg, d.threadID))
	return msg.id, nil
}

// add files a new message in a thread and in the listing; "" is a new thread. The caller records the change.
func (m *Mailbox) add(msg *message, threadID string) change {
	id := msg.naturalID()
	for m.used[formatID(id)] {
		id++
	}
	msg.id = formatID(id)
	m.used[msg.id] = true
	m.byID[msg.id] = msg
	if msg.draft != "" {
		m.drafts[msg.draft] = msg
	}
	m.join(msg, threadID)
	at, _ := slices.BinarySearchFunc(m.order, msg, newestFirst)
	m.order = slices.Insert(m.order, at, msg)
	return change{message: msg.reference(), kind: messageAdded}
}

func newestFirst(a, b *message) int {
	switch {
	case a == b:
		return 0
	case a.before(b.date, b.id):
		return -1
	}
	return 1
}

// MessageIDs returns the IDs of all messages, spam and trash included, newest first.
func (m *Mailbox) MessageIDs() []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	ids := make([]string, len(m.order))
	for i, msg := range m.order {
		ids[i] = msg.id
	}
	return ids
}

// Raw returns a message as it was delivered, sent or saved.
func (m *Mailbox) Raw(messageID string) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	msg, err := m.find(messageID)
	if err != nil {
		return nil, err
	}
	return slices.Clone(msg.raw), nil
}

// ThreadID returns the thread that a message belongs to.
func (m *Mailbox) ThreadID(messageID string) (string, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	msg, err := m.find(messageID)
	if err != nil {
		return "", err
	}
	return msg.threadID, nil
}

// Labels returns the IDs of a message's labels.
func (m *Mailbox) Labels(messageID string) ([]string, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	msg, err := m.find(messageID)
	if err != nil {
		return nil, err
	}
	return slices.Clone(msg.labels), nil
}

// AddLabels puts labels on a message.
func (m *Mailbox) AddLabels(messageID string, labels ...string) error {
	return m.editLabels(messageID, labels, func(have, ids []string) []string { return union(have, ids) })
}

// RemoveLabels takes labels off a message.
func (m *Mailbox) RemoveLabels(messageID string, labels ...string) error {
	return m.editLabels(messageID, labels, without)
}

// SetLabels replaces a message's labels.
func (m *Mailbox) SetLabels(messageID string, labels ...string) error {
	return m.editLabels(messageID, labels, func(_, ids []string) []string { return ids })
}

// Trash moves a message to the trash.
func (m *Mailbox) Trash(messageID string) error {
	return m.editLabels(messageID, nil, func(have, _ []string) []string { return trashed(have) })
}

// Untrash takes a message out of the trash. It comes back archived.
func (m *Mailbox) Untrash(messageID string) error { return m.RemoveLabels(messageID, "TRASH") }

// Delete removes a message for good.
func (m *Mailbox) Delete(messageID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	msg, err := m.find(messageID)
	if err != nil {
		return err
	}
	m.removeAll([]*message{msg})
	return nil
}

// remove takes a message out of its thread and out of the listing. The caller records the change.
func (m *Mailbox) remove(msg *message) change {
	is := func(x *message) bool { return x == msg }
	delete(m.byID, msg.id)
	delete(m.drafts, msg.draft)
	m.order = slices.DeleteFunc(m.order, is)
	if m.threads[msg.threadID] = slices.DeleteFunc(m.threads[msg.threadID], is); len(m.threads[msg.threadID]) == 0 {
		delete(m.threads, msg.threadID)
	}
	return change{message: msg.reference(), kind: messageDeleted}
}

func (m *Mailbox) editLabels(messageID string, labels []string, edit func(have, ids []string) []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	msg, err := m.find(messageID)
	if err != nil {
		return err
	}
	ids, err := m.labelIDs(labels)
	if err != nil {
		return err
	}
	m.relabelAll([]*message{msg}, func(have []string) []string { return edit(have, ids) })
	return nil
}

func (m *Mailbox) find(messageID string) (*message, error) {
	if msg := m.byID[messageID]; msg != nil {
		return msg, nil
	}
	return nil, fmt.Errorf("gmailtest: %s has no message %q", m.user.Email, messageID)
}

func trashed(labels []string) []string {
	return union(without(labels, []string{"INBOX", "SPAM"}), []string{"TRASH"})
}

func untrashed(labels []string) []string { return without(labels, []string{"TRASH"}) }

// without returns have but for what is in drop.
func without(have, drop []string) []string {
	return slices.DeleteFunc(slices.Clone(have), func(l string) bool { return slices.Contains(drop, l) })
}
