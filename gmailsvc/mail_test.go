package gmailsvc_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-message/charset"
	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// A mailroom is a mailbox, and what is needed to read it in every format of the API.
type mailroom struct {
	google *gmailtest.Server
	box    *gmailtest.Mailbox
	svc    *gmailsvc.Service
	token  string
}

func newMailroom(tb testing.TB, cfg gmailtest.Config) *mailroom {
	tb.Helper()
	if cfg.CharsetReader == nil {
		cfg.CharsetReader = charset.Reader
	}
	google, err := gmailtest.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { google.Close() })
	box := google.AddUser(gmailtest.User{Email: ada})
	token, _, err := google.Grant(ada, "https://www.googleapis.com/auth/gmail.readonly")
	if err != nil {
		tb.Fatal(err)
	}
	creds := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token})
	svc, err := gmailsvc.New(gmailsvc.Config{HTTPClient: google.Client()}).BuildService(tb.Context(), creds)
	if err != nil {
		tb.Fatal(err)
	}
	return &mailroom{google, box, svc, token}
}

func (r *mailroom) deliver(tb testing.TB, raw string, opts ...gmailtest.DeliverOption) string {
	tb.Helper()
	id, err := r.box.Deliver([]byte(raw), opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// get returns the API's answer to a GET of a path below users/me.
func (r *mailroom) get(tb testing.TB, path string) []byte {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, "https://gmail.googleapis.com/gmail/v1/users/me/"+path, nil)
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	resp, err := r.google.Client().Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		tb.Fatalf("GET %s: %s, %v\n%s", path, resp.Status, err, body)
	}
	return body
}

// fetch returns a message in a format of the API.
func (r *mailroom) fetch(tb testing.TB, id, format string) (*gmailsvc.Message, error) {
	tb.Helper()
	return gmailsvc.DecodeMessage(bytes.NewReader(r.get(tb, "messages/"+id+"?format="+format)))
}

// exampleMail is the mail of the examples by file name, a correspondence of two months in which little is missing.
func exampleMail(tb testing.TB) map[string]string {
	tb.Helper()
	mail := make(map[string]string)
	err := filepath.WalkDir("../examples", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".eml" {
			return err
		}
		raw, err := os.ReadFile(path)
		mail[filepath.Base(path)] = string(raw)
		return err
	})
	if err != nil || len(mail) < 63 {
		tb.Fatalf("found %d files of mail, %v; these tests need a checkout of the repository", len(mail), err)
	}
	return mail
}

// outline describes a tree of parts, so that two can be compared. What only one way of reading a message can say
// is left out: raw values, and which bodies came apart, for which r fetches them.
func (r *mailroom) outline(tb testing.TB, m *gmailsvc.Message) string {
	tb.Helper()
	var b strings.Builder
	for p := range m.Root.All() {
		data := p.Data
		if p.AttachmentID != "" {
			data = r.attachment(tb, m.ID, p.AttachmentID)
		}
		fmt.Fprintf(&b, "part %q of %q named %q with %d parts and %d bytes\ntext %q\ndata %q\n",
			p.ID, p.Type, p.Filename, len(p.Parts), p.Size, p.Text, data)
		for _, f := range p.Header {
			// gmailtest replaces a fold by one space, where Gmail leaves all its white space.
			fmt.Fprintf(&b, "%s: %q\n", f.Name, strings.Join(strings.Fields(f.Value), " "))
		}
	}
	return b.String()
}

func (r *mailroom) attachment(tb testing.TB, messageID, attachmentID string) []byte {
	tb.Helper()
	body, err := r.svc.Attachment(tb.Context(), messageID, attachmentID)
	if err != nil {
		tb.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}
