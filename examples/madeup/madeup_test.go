package madeup_test

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mailgrant/mailgrant/examples/madeup"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestTheMailboxesAreFull(t *testing.T) {
	t.Parallel()
	google, err := madeup.Start(filepath.Join(t.TempDir(), "google.json"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = google.Close() })
	for name, c := range map[string]struct {
		add      func(*gmailtest.Server) (*gmailtest.Mailbox, error)
		messages int
	}{
		"ada@example.com":    {madeup.AddAda, 63},
		"gauges@example.com": {madeup.AddGauges, 14},
	} {
		box, err := c.add(google)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(box.MessageIDs()); got != c.messages || box.User().Email != name {
			t.Errorf("%s has %d messages, want %d", box.User().Email, got, c.messages)
		}
	}
}

func TestAFolderOfMailIsDelivered(t *testing.T) {
	t.Parallel()
	google, err := gmailtest.New(gmailtest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	box := google.AddUser(gmailtest.User{Email: "ada@example.com"})
	err = madeup.Deliver(box, fstest.MapFS{
		"1.eml": {Data: []byte("X-Gmail-Labels: SENT,Work\r\nSubject: sent\r\n\r\nx")},
		"2.eml": {Data: []byte("Subject: new\n\nx")},
		"3.txt": {Data: []byte("no mail")},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, id := range box.MessageIDs() {
		raw, err := box.Raw(id)
		if err != nil {
			t.Fatal(err)
		}
		labels, err := box.Labels(id)
		if err != nil {
			t.Fatal(err)
		}
		subject, _, _ := strings.Cut(string(raw), "\r\n")
		got[subject] = strings.Join(labels, ",")
	}
	if len(got) != 2 || !strings.HasPrefix(got["Subject: sent"], "SENT,") || got["Subject: new"] != "INBOX,UNREAD" {
		t.Errorf("delivered %q", got)
	}
	if err := madeup.Deliver(box, fstest.MapFS{}); err == nil {
		t.Error("a folder without mail is no error")
	}
}
