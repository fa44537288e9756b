package gmailtest

import (
	"slices"
	"strings"
)

// join puts a message into a thread; "" is a new one, which has the message's ID.
func (m *Mailbox) join(msg *message, threadID string) {
	if threadID == "" {
		threadID = msg.id
	}
	msg.threadID = threadID
	for _, id := range msg.related() {
		if m.threadOf[id] == "" {
			m.threadOf[id] = threadID
		}
	}
	if _, known := m.subjects[threadID]; !known {
		m.subjects[threadID] = baseSubject(msg)
	}
	thread := m.threads[threadID]
	at, _ := slices.BinarySearchFunc(thread, msg, func(a, b *message) int { return newestFirst(b, a) })
	m.threads[threadID] = slices.Insert(thread, at, msg)
}

// threadFor returns the thread that a message belongs to by what it refers to and by its subject, or "".
func (m *Mailbox) threadFor(msg *message) string {
	for _, id := range msg.related() {
		if thread := m.threadOf[id]; thread != "" && m.subjects[thread] == baseSubject(msg) {
			return thread
		}
	}
	return ""
}

// requestedThread returns the thread for a message that an application asks to be put into one. Gmail does so
// only where the message refers to one of the thread's and has its subject too.
// https://developers.google.com/workspace/gmail/api/guides/threads
func (m *Mailbox) requestedThread(msg *message, threadID string) (string, *apiError) {
	if threadID == "" {
		return m.threadFor(msg), nil
	}
	id, ok := parseID(threadID)
	if !ok {
		return "", badRequest("Invalid thread_id value")
	}
	if m.threads[id] == nil {
		return "", notFound()
	}
	refers := slices.ContainsFunc(msg.related(), func(messageID string) bool { return m.threadOf[messageID] == id })
	if refers && m.subjects[id] == baseSubject(msg) {
		return id, nil
	}
	return m.threadFor(msg), nil
}

// related returns the Message-IDs that may say which thread a message belongs to, its own first.
func (m *message) related() []string {
	own, refers := m.messageIDs()
	if own == "" {
		return refers
	}
	return append([]string{own}, refers...)
}

// baseSubject returns the subject without what answering and forwarding put in front of it.
func baseSubject(m *message) string {
	subject := strings.ToLower(strings.Join(strings.Fields(m.root.headers.text("Subject")), " "))
	for {
		prefix, rest, ok := strings.Cut(subject, ":")
		if !ok || !slices.Contains([]string{"re", "fw", "fwd", "aw", "wg"}, strings.TrimSpace(prefix)) {
			return subject
		}
		subject = strings.TrimSpace(rest)
	}
}
