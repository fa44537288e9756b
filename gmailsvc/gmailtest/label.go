package gmailtest

import (
	"fmt"
	"slices"
	"strings"
)

// systemLabels are those that every mailbox has; their IDs are their names.
// https://developers.google.com/workspace/gmail/api/guides/labels
var systemLabels = []string{
	"CHAT", "SENT", "INBOX", "IMPORTANT", "TRASH", "DRAFT", "SPAM", "CATEGORY_FORUMS", "CATEGORY_UPDATES",
	"CATEGORY_PERSONAL", "CATEGORY_PROMOTIONS", "CATEGORY_SOCIAL", "STARRED", "UNREAD",
}

// fixedLabels say what a message is; nobody can put them on or take them off.
var fixedLabels = []string{"SENT", "DRAFT", "CHAT"}

type label struct {
	id, name string
	system   bool

	messageList, labelList string // where it is seen
	color                  *colorResource
}

// CreateLabel adds a user label and returns its ID. A label of that name, in whatever case, is an error.
func (m *Mailbox) CreateLabel(name string) (id string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if strings.TrimSpace(name) == "" {
		return "", fmt.Errorf("gmailtest: create a label for %s: the name is empty", m.user.Email)
	}
	if m.labelNamed(name) != nil {
		return "", fmt.Errorf("gmailtest: create a label for %s: there is a label %q", m.user.Email, name)
	}
	return m.addLabel(name), nil
}

func (m *Mailbox) addLabel(name string) string {
	m.userLabels++
	id := fmt.Sprintf("Label_%d", m.userLabels)
	m.labels = append(m.labels, &label{id: id, name: name, messageList: "show", labelList: "labelShow"})
	return id
}

// RenameLabel gives a user label another name; its ID stays.
func (m *Mailbox) RenameLabel(label, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.userLabel(label)
	if err != nil {
		return err
	}
	if other := m.labelNamed(name); strings.TrimSpace(name) == "" || other != nil && other != l {
		return fmt.Errorf("gmailtest: rename the label %q of %s: there is a label %q, or that is no name", label, m.user.Email, name)
	}
	l.name = name
	return nil
}

// DeleteLabel takes a user label off all messages and away.
func (m *Mailbox) DeleteLabel(label string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.userLabel(label)
	if err != nil {
		return err
	}
	m.dropLabel(l)
	return nil
}

func (m *Mailbox) dropLabel(l *label) {
	m.relabelAll(m.order, func(have []string) []string { return without(have, []string{l.id}) })
	m.labels = slices.DeleteFunc(m.labels, func(x *label) bool { return x == l })
}

// userLabel finds one by ID or name.
func (m *Mailbox) userLabel(idOrName string) (*label, error) {
	l := m.label(idOrName)
	if l == nil {
		l = m.labelNamed(idOrName)
	}
	if l == nil || l.system {
		return nil, fmt.Errorf("gmailtest: %s has no label %q of their own", m.user.Email, idOrName)
	}
	return l, nil
}

// label returns the label with that ID, or nil.
func (m *Mailbox) label(id string) *label {
	if i := slices.IndexFunc(m.labels, func(l *label) bool { return l.id == id }); i >= 0 {
		return m.labels[i]
	}
	return nil
}

// labelNamed returns the label with that name, or nil.
func (m *Mailbox) labelNamed(name string) *label {
	if i := slices.IndexFunc(m.labels, func(l *label) bool { return strings.EqualFold(l.name, name) }); i >= 0 {
		return m.labels[i]
	}
	return nil
}

// labelIDs returns the IDs of labels that are given by ID or name. Names that are new become user labels.
func (m *Mailbox) labelIDs(labels []string) ([]string, error) {
	var ids []string
	for _, l := range labels {
		var id string
		if known := m.label(l); known != nil {
			id = known.id
		} else if known := m.labelNamed(l); known != nil {
			id = known.id
		} else if strings.TrimSpace(l) == "" {
			return nil, fmt.Errorf("gmailtest: a label for %s has no name", m.user.Email)
		} else {
			id = m.addLabel(l)
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
