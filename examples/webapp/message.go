package main

import (
	"cmp"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc"
)

// A letter is a message as its page shows it.
type letter struct {
	Account      account
	ID, Subject  string
	From, To, Cc []*mail.Address
	Date         time.Time
	Labels       []string
	Files        []file

	Framed   bool   // its body is in a frame, since it is HTML
	Text     string // its body, if it is not framed
	HasHTML  bool   // what the other view is
	HasPlain bool
}

// A file came with a message.
type file struct {
	Number int // among the message's attachments
	Name   string
	Size   int64
}

// message shows a message: its HTML in a frame, or with view=text as plain text.
func (a *app) message(w http.ResponseWriter, r *http.Request, acct account) error {
	svc, err := a.mailOf(r.Context(), acct)
	if err != nil {
		return err
	}
	m, err := fetch(r.Context(), svc, r.PathValue("message"))
	if err != nil {
		return err
	}
	header := m.Header()
	rich, plain := bodies(m, false), bodies(m, true)
	l := letter{
		Account:  acct,
		ID:       m.ID,
		Subject:  subject(m),
		From:     addresses(header, "From"),
		To:       addresses(header, "To"),
		Cc:       addresses(header, "Cc"),
		Date:     m.InternalDate,
		Labels:   folders(m),
		Files:    filesOf(m),
		HasHTML:  hasHTML(rich),
		HasPlain: !hasHTML(plain),
	}
	l.Framed = l.HasHTML && (!l.HasPlain || r.FormValue("view") != "text")
	if !l.Framed {
		texts := make([]string, len(plain))
		for i, p := range plain {
			texts[i] = p.Text
		}
		l.Text = strings.TrimSpace(strings.Join(texts, "\n\n"))
	}
	return a.show(w, r, http.StatusOK, "message", view{Title: l.Subject, Here: acct.UserID, Main: l})
}

// filesOf lists the attachments of a message, but for the images that its HTML shows.
func filesOf(m *gmailsvc.Message) []file {
	var all []file
	framed := hasHTML(bodies(m, false))
	for i, p := range m.Attachments() {
		if !framed || p.ContentID() == "" || !isImage(p) {
			all = append(all, file{i, cmp.Or(p.Filename, "untitled"), p.Size})
		}
	}
	return all
}

// folders names what of a message's labels says something on its page.
func folders(m *gmailsvc.Message) []string {
	var all []string
	for _, label := range []struct{ id, name string }{
		{"INBOX", "Inbox"}, {"SENT", "Sent"}, {"SPAM", "Spam"}, {"TRASH", "Trash"}, {"STARRED", "Starred"}, {"IMPORTANT", "Important"},
	} {
		if slices.Contains(m.LabelIDs, label.id) {
			all = append(all, label.name)
		}
	}
	return all
}
