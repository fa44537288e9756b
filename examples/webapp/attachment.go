package main

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc"
)

// attachment sends a file of a message, as it comes in. It is always saved, never shown: it is a stranger's, and this is our
// origin. Its number names it, since Gmail's attachment IDs change with every call.
func (a *app) attachment(w http.ResponseWriter, r *http.Request, acct account) error {
	svc, err := a.mailOf(r.Context(), acct)
	if err != nil {
		return err
	}
	m, err := fetch(r.Context(), svc, r.PathValue("message"))
	if err != nil {
		return err
	}
	all := m.Attachments()
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || number < 0 || number >= len(all) {
		return errNoPage
	}
	p := all[number]
	content, err := open(r.Context(), svc, m.ID, p)
	if err != nil {
		return err
	}
	defer content.Close()
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(downloadTimeout)); err != nil {
		return err
	}
	kind := p.Type
	if _, _, err := mime.ParseMediaType(kind); err != nil {
		kind = "application/octet-stream"
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": cmp.Or(p.Filename, "untitled")}))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	if _, err := io.Copy(w, content); err != nil {
		a.log.WarnContext(r.Context(), "attachment cut short", "path", r.URL.Path, "error", err)
		panic(http.ErrAbortHandler) // half a file must not look like a whole one
	}
	return nil
}

// open returns what is in a part: it came with the message, or is fetched.
func open(ctx context.Context, svc *gmailsvc.Service, messageID string, p *gmailsvc.Part) (io.ReadCloser, error) {
	if p.AttachmentID != "" {
		return svc.Attachment(ctx, messageID, p.AttachmentID)
	}
	if p.Text != "" {
		return io.NopCloser(bytes.NewReader([]byte(p.Text))), nil
	}
	return io.NopCloser(bytes.NewReader(p.Data)), nil
}
