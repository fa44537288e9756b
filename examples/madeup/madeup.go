// Package madeup has the made-up people of the examples and their mail, for a Google in process.
package madeup

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/net/html/charset"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

//go:embed ada/*.eml gauges/*.eml
var mail embed.FS

// Start starts a Google on a loopback port. What it granted is kept in stateFile, since the real one does not forget between
// two runs either.
func Start(stateFile string) (*gmailtest.Server, error) {
	return gmailtest.Start(gmailtest.Config{StateFile: stateFile, CharsetReader: charset.NewReaderLabel})
}

// AddAda adds the account of Ada Lindqvist, who builds tide gauges, with 63 messages of two months.
func AddAda(google *gmailtest.Server) (*gmailtest.Mailbox, error) {
	return add(google, gmailtest.User{Email: "ada@example.com", Name: "Ada Lindqvist"}, "ada")
}

// AddGauges adds the account that Ada shares with her colleagues, with 14 messages.
func AddGauges(google *gmailtest.Server) (*gmailtest.Mailbox, error) {
	return add(google, gmailtest.User{Email: "gauges@example.com", Name: "Tide gauges"}, "gauges")
}

func add(google *gmailtest.Server, user gmailtest.User, folder string) (*gmailtest.Mailbox, error) {
	box := google.AddUser(user)
	messages, err := fs.Sub(mail, folder)
	if err != nil {
		return nil, err
	}
	return box, Deliver(box, messages)
}

// Deliver delivers the .eml files of a folder, in the order of their names. The first line of a file can name its
// labels, as in an export of Google Takeout (X-Gmail-Labels: INBOX,UNREAD); otherwise it is unread, in the inbox.
func Deliver(box *gmailtest.Mailbox, folder fs.FS) error {
	files, err := fs.Glob(folder, "*.eml")
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.New("the folder has no .eml files")
	}
	for _, file := range files {
		raw, err := fs.ReadFile(folder, file)
		if err != nil {
			return err
		}
		var opts []gmailtest.DeliverOption
		first, rest, _ := bytes.Cut(raw, []byte("\n"))
		if labels, ok := strings.CutPrefix(strings.TrimSpace(string(first)), "X-Gmail-Labels: "); ok {
			raw, opts = rest, append(opts, gmailtest.WithLabels(strings.Split(labels, ",")...))
		}
		if _, err := box.Deliver(raw, opts...); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}
