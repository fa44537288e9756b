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

	mu         sync.RWMutex // guards all below
	byID       map[string]*message
	order      []*message            // newest first
	threads    map[string][]*message // oldest first
	threadOf   map[string]string     // Message-ID -> thread, also of messages that are referred to only
	labels     []*label
	userLabels int // how many user labels there ever were
	historyID  uint64
}

func newMailbox(u User, now func() time.Time, c charsets) *Mailbox {
	m := &Mailbox{
		user:      u,
		now:       now,
		charsets:  c,
		byID:      make(map[string]*message),
		threads:   make(map[string][]*message),
		threadOf:  make(map[string]string),
		historyID: 1000,
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
// message joins the thread of what its References and In-Reply-To name, else it starts one, which has its
// ID. Broken MIME is kept and shown as far as it can be read. The same message with the same date has the
// same ID in every run, unless it is there already.
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
	id := msg.naturalID()
	for m.byID[formatID(id)] != nil {
		id++
	}
	msg.id = formatID(id)
	m.file(msg, d.threadID)
	msg.historyID = m.touch()
	return msg.id, nil
}

// file puts a message into its thread and into the listing.
func (m *Mailbox) file(msg *message, threadID string) {
	own, refers := msg.messageIDs()
	known := refers
	if own != "" {
		known = append([]string{own}, refers...)
	}
	for _, id := range known {
		if threadID == "" {
			threadID = m.threadOf[id]
		}
	}
	if threadID == "" {
		threadID = msg.id
	}
	for _, id := range known {
		if m.threadOf[id] == "" {
			m.threadOf[id] = threadID
		}
	}
	msg.threadID = threadID
	m.byID[msg.id] = msg
	at, _ := slices.BinarySearchFunc(m.order, msg, newestFirst)
	m.order = slices.Insert(m.order, at, msg)
	thread := m.threads[threadID]
	at, _ = slices.BinarySearchFunc(thread, msg, func(a, b *message) int { return newestFirst(b, a) })
	m.threads[threadID] = slices.Insert(thread, at, msg)
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

// touch counts a change. Gmail's history IDs grow with gaps, so these do too.
func (m *Mailbox) touch() uint64 {
	m.historyID += 1 + m.historyID%17
	return m.historyID
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
	return m.relabel(messageID, labels, func(have, ids []string) []string { return union(have, ids) })
}

// RemoveLabels takes labels off a message.
func (m *Mailbox) RemoveLabels(messageID string, labels ...string) error {
	return m.relabel(messageID, labels, without)
}

// SetLabels replaces a message's labels.
func (m *Mailbox) SetLabels(messageID string, labels ...string) error {
	return m.relabel(messageID, labels, func(_, ids []string) []string { return ids })
}

// Trash moves a message to the trash.
func (m *Mailbox) Trash(messageID string) error {
	return m.relabel(messageID, nil, func(have, _ []string) []string { return trashed(have) })
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
	is := func(x *message) bool { return x == msg }
	delete(m.byID, msg.id)
	m.order = slices.DeleteFunc(m.order, is)
	if m.threads[msg.threadID] = slices.DeleteFunc(m.threads[msg.threadID], is); len(m.threads[msg.threadID]) == 0 {
		delete(m.threads, msg.threadID)
	}
	m.touch()
	return nil
}

func (m *Mailbox) relabel(messageID string, labels []string, change func(have, ids []string) []string) error {
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
	m.setLabels(msg, change(msg.labels, ids))
	return nil
}

// setLabels counts a change only where there is one.
func (m *Mailbox) setLabels(msg *message, labels []string) {
	if !slices.Equal(msg.labels, labels) {
		msg.labels = labels
		msg.historyID = m.touch()
	}
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

// without returns have but for what is in drop.
func without(have, drop []string) []string {
	return slices.DeleteFunc(slices.Clone(have), func(l string) bool { return slices.Contains(drop, l) })
}
