package gmailtest

import "fmt"

// maxBulk is how many messages one request may change.
const maxBulk = 1000

func modifyMessages(c *call) (any, *apiError) {
	var given struct {
		IDs []string `json:"ids"`
		labelEdit
	}
	if bad := c.decode(&given); bad != nil {
		return nil, bad
	}
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	messages, bad := c.box.bulk(given.IDs)
	if bad != nil {
		return nil, bad
	}
	if bad := given.check(c.box); bad != nil {
		return nil, bad
	}
	c.box.relabelAll(messages, given.apply)
	return nil, nil
}

func deleteMessages(c *call) (any, *apiError) {
	var given struct {
		IDs []string `json:"ids"`
	}
	if bad := c.decode(&given); bad != nil {
		return nil, bad
	}
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	messages, bad := c.box.bulk(given.IDs)
	if bad != nil {
		return nil, bad
	}
	c.box.removeAll(messages)
	return nil, nil
}

// bulk returns the messages with these IDs. As at Gmail, those that are not there are passed over. The caller
// holds m.mu.
func (m *Mailbox) bulk(ids []string) ([]*message, *apiError) {
	if len(ids) == 0 {
		return nil, badRequest("No message ids specified")
	}
	if len(ids) > maxBulk {
		return nil, badRequest(fmt.Sprintf("Number of ids cannot exceed %d", maxBulk))
	}
	var found []*message
	seen := make(map[string]bool)
	for _, digits := range ids {
		id, ok := parseID(digits)
		if !ok {
			return nil, badRequest("Invalid ids value")
		}
		if msg := m.byID[id]; msg != nil && !seen[id] {
			seen[id] = true
			found = append(found, msg)
		}
	}
	return found, nil
}
