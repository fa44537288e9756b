package gmailtest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// A labelInput is a label as an application hands it in. What Gmail counts by itself is passed over.
type labelInput struct {
	ID                    string         `json:"id"`
	Name                  *string        `json:"name"`
	MessageListVisibility *string        `json:"messageListVisibility"`
	LabelListVisibility   *string        `json:"labelListVisibility"`
	Color                 *colorResource `json:"color"`
	Type                  string         `json:"type"`
	labelCounts
}

func createLabel(c *call) (any, *apiError) {
	var given labelInput
	if bad := c.decode(&given); bad != nil {
		return nil, bad
	}
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	next := label{messageList: "show", labelList: "labelShow"}
	if bad := given.edit(&next, c.box, nil); bad != nil {
		return nil, bad
	}
	l := c.box.label(c.box.addLabel(next.name))
	l.messageList, l.labelList, l.color = next.messageList, next.labelList, next.color
	return l.resource(), nil
}

// updateLabel replaces a label: what the request leaves out becomes what it is in a new one.
func updateLabel(c *call) (any, *apiError) {
	return c.editLabel(func(l *label) label { return label{id: l.id, messageList: "show", labelList: "labelShow"} })
}

// patchLabel changes what the request has.
func patchLabel(c *call) (any, *apiError) {
	return c.editLabel(func(l *label) label { return *l })
}

func (c *call) editLabel(start func(*label) label) (any, *apiError) {
	var given labelInput
	if bad := c.decode(&given); bad != nil {
		return nil, bad
	}
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	l, bad := c.ownLabel("Invalid update request")
	if bad != nil {
		return nil, bad
	}
	next := start(l)
	if bad := given.edit(&next, c.box, l); bad != nil {
		return nil, bad
	}
	*l = next
	return l.resource(), nil
}

func deleteLabel(c *call) (any, *apiError) {
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	l, bad := c.ownLabel("Invalid delete request")
	if bad != nil {
		return nil, bad
	}
	c.box.dropLabel(l)
	return nil, nil
}

// ownLabel returns the label in the path if it is one that the user may change.
func (c *call) ownLabel(refusal string) (*label, *apiError) {
	l := c.box.label(c.request.PathValue("id"))
	if l == nil {
		return nil, notFound()
	}
	if l.system {
		return nil, badRequest(refusal)
	}
	return l, nil
}

// edit changes l, which is to be old or a new label, as far as the input says how.
func (in labelInput) edit(l *label, m *Mailbox, old *label) *apiError {
	if in.Name != nil {
		l.name = *in.Name
	}
	named := m.labelNamed(l.name)
	switch {
	case strings.TrimSpace(l.name) == "" || named != nil && named.system:
		return badRequest("Invalid label name")
	case named != nil && named != old:
		return &apiError{code: http.StatusConflict, reason: "aborted", message: "Label name exists or conflicts"}
	}
	for _, v := range []struct {
		given   *string
		into    *string
		allowed []string
		name    string
	}{
		{in.MessageListVisibility, &l.messageList, []string{"show", "hide"}, "message_list_visibility"},
		{in.LabelListVisibility, &l.labelList, []string{"labelShow", "labelShowIfUnread", "labelHide"}, "label_list_visibility"},
	} {
		if v.given == nil {
			continue
		}
		if !slices.Contains(v.allowed, *v.given) {
			return badRequest(fmt.Sprintf("Invalid value at 'label.%s', %q", v.name, *v.given))
		}
		*v.into = *v.given
	}
	if in.Color != nil {
		if bad := in.Color.check(); bad != nil {
			return bad
		}
		l.color = in.Color
	}
	return nil
}
