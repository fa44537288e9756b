package gmailtest

import (
	"fmt"
	"slices"
	"time"
)

// insertMessage is users.messages.insert: the message is filed as an IMAP APPEND would.
func insertMessage(c *call) (any, *apiError) { return c.insert("receivedTime") }

// importMessage is users.messages.import. Nothing looks for spam and invitations here: only the date differs
// from insertMessage.
func importMessage(c *call) (any, *apiError) { return c.insert("dateHeader") }

func (c *call) insert(dateSource string) (any, *apiError) {
	var given messageResource
	raw, bad := c.message(&given, func() string { return given.Raw })
	if bad != nil {
		return nil, bad
	}
	if v := c.query.Get("internalDateSource"); v != "" {
		dateSource = v
	}
	var date time.Time // of the header
	switch dateSource {
	case "dateHeader":
	case "receivedTime":
		date = c.server.cfg.Now()
	default:
		return nil, badRequest(fmt.Sprintf("Invalid value at 'internal_date_source' "+
			"(type.googleapis.com/caribou.api.proto.InternalDateSource), %q", dateSource))
	}
	deleted, bad := c.flag("deleted", "deleted")
	if bad != nil {
		return nil, bad
	}
	for name, proto := range map[string]string{
		"neverMarkSpam": "never_mark_spam", "processForCalendar": "process_for_calendar",
	} {
		if _, bad := c.flag(name, proto); bad != nil {
			return nil, bad
		}
	}
	msg := c.box.charsets.newMessage(raw, date, c.server.cfg.Now())
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	for _, l := range given.LabelIDs {
		if c.box.label(l) == nil || l == "DRAFT" || l == "CHAT" {
			return nil, badRequest("Invalid label: " + l)
		}
		if !slices.Contains(msg.labels, l) {
			msg.labels = append(msg.labels, l)
		}
	}
	threadID, bad := c.box.requestedThread(msg, given.ThreadID)
	if bad != nil {
		return nil, bad
	}
	added := c.box.add(msg, threadID)
	if deleted {
		c.box.remove(msg) // only Vault would see it
		return added.message, nil
	}
	c.box.record(added)
	return added.message, nil
}
