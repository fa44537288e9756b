package gmailsvc

import (
	"net/mail"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxReferences is how much of the way back to the beginning a reply names: the first message, and the last ones.
const maxReferences = 50

// Reply returns the beginning of an answer to whoever wrote the message, in its thread: recipient, subject,
// References (RFC 5322, section 3.6.4) and ThreadID, without a text. self are the user's own addresses: an answer
// to one's own message goes to whom that went to. Addresses that can't be written to are left out; nothing of the
// message, however hostile, makes WriteTo refuse the answer.
func (m *Message) Reply(self ...string) *Compose {
	c := m.answer()
	c.To, _ = m.parties(self)
	return c
}

// ReplyAll is Reply to all whom the message went to, but for self.
func (m *Message) ReplyAll(self ...string) *Compose {
	c := m.answer()
	c.To, c.Cc = m.parties(self)
	return c
}

// answer returns an answer without recipients.
func (m *Message) answer() *Compose {
	h := m.Header()
	c := &Compose{Subject: replySubject(h.Get("Subject")), ThreadID: m.ThreadID}
	ids := h.messageIDs("Message-ID")
	if len(ids) == 0 {
		return c
	}
	c.InReplyTo = ids[0]
	c.References = h.messageIDs("References")
	if before := h.messageIDs("In-Reply-To"); len(c.References) == 0 && len(before) == 1 {
		c.References = before
	}
	if n := len(c.References); n >= maxReferences {
		c.References = slices.Delete(c.References, 1, n-maxReferences+2)
	}
	c.References = append(c.References, ids[0])
	return c
}

// parties returns whom an answer goes to, and to whom else if it goes to all.
func (m *Message) parties(self []string) (to, others []*mail.Address) {
	h := m.Header()
	seen := slices.Clone(self)
	take := func(names ...string) []*mail.Address {
		var taken []*mail.Address
		for _, name := range names {
			all, _ := h.Addresses(name) // those that can be read
			for _, a := range all {
				known := func(s string) bool { return strings.EqualFold(s, a.Address) }
				if slices.ContainsFunc(seen, known) {
					continue
				}
				if checkText(a.Name, maxSubjectBytes) != nil {
					a.Name = ""
				}
				if checkAddress(a) == nil {
					taken, seen = append(taken, a), append(seen, a.Address)
				}
			}
		}
		return taken
	}
	if to = take("Reply-To"); len(to) == 0 {
		to = take("From")
	}
	if len(to) == 0 {
		to = take("To")
	}
	return to, take("To", "Cc")
}

// replySubject marks a subject as that of an answer, once, and takes out what must not be in one.
func replySubject(subject string) string {
	subject = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, subject)
	subject = strings.TrimSpace(subject)
	if len(subject) < 3 || !strings.EqualFold(subject[:3], "re:") {
		subject = strings.TrimSpace("Re: " + subject)
	}
	if len(subject) <= maxSubjectBytes {
		return subject
	}
	n := maxSubjectBytes
	for !utf8.RuneStart(subject[n]) {
		n--
	}
	return subject[:n]
}
