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
	m.labels = append(m.labels, &label{id: id, name: name})
	m.touch()
	return id
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
