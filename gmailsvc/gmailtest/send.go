package gmailtest

// sendMessage is users.messages.send. Recipients who are users of the server get the message.
func sendMessage(c *call) (any, *apiError) {
	var given messageResource
	raw, bad := c.message(&given, func() string { return given.Raw })
	if bad != nil {
		return nil, bad
	}
	return c.send(func() (submission, *apiError) { return submission{raw: raw, threadID: given.ThreadID}, nil })
}

// A submission is a message on its way out.
type submission struct {
	raw      []byte
	threadID string   // as asked for
	draft    *message // whose place it takes, or nil
}

// send files what submit returns under SENT and delivers it. submit runs under the lock of the mailbox, so
// that what it finds there is still so when the message is sent.
func (c *call) send(submit func() (submission, *apiError)) (any, *apiError) {
	out, sent, bad := c.fileSent(submit)
	if bad != nil {
		return nil, bad
	}
	for _, address := range out.recipients {
		if box := c.server.Mailbox(address); box != nil && box != c.box {
			if _, err := box.Deliver(out.delivered, WithInternalDate(c.server.cfg.Now())); err != nil {
				return nil, &apiError{code: 500, reason: "backendError", message: err.Error()}
			}
		}
	}
	return sent, nil
}

func (c *call) fileSent(submit func() (submission, *apiError)) (*outgoing, *messageResource, *apiError) {
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	s, bad := submit()
	if bad != nil {
		return nil, nil, bad
	}
	now := c.server.cfg.Now()
	out, bad := c.box.user.outgoing(s.raw, now, c.box.historyID)
	if bad != nil {
		return nil, nil, bad
	}
	msg := c.box.charsets.newMessage(out.kept, now, now)
	threadID := ""
	if s.draft != nil && s.threadID == "" {
		threadID = s.draft.threadID
	} else if threadID, bad = c.box.requestedThread(msg, s.threadID); bad != nil {
		return nil, nil, bad
	}
	msg.labels = []string{"SENT"}
	for _, address := range out.recipients {
		if c.server.Mailbox(address) == c.box {
			msg.labels = []string{"UNREAD", "SENT", "INBOX"} // one message, not two
		}
	}
	var changes []change
	if s.draft != nil {
		changes = append(changes, c.box.remove(s.draft))
	}
	c.box.record(append(changes, c.box.add(msg, threadID))...)
	return out, msg.reference(), nil
}
