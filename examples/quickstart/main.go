// Quickstart takes a person through Google's consent, stores the grant sealed in a file, forgets everything, and then lists
// the person's mail with nobody present. By default Google is gmailtest, in this process, with a mailbox of
// its own; with -client-secrets it is Google itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"google.golang.org/api/gmail/v1"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc"
)

const usage = `Usage: go run ./examples/quickstart [flags]

Asks for consent to read a Gmail mailbox, stores the grant sealed in a file, and lists the mailbox from
what was stored, with nobody present. Run it again, and no consent is needed.

Without -client-secrets everything happens on this machine: a Google in process, with a mailbox of 63 messages.

Flags:
`

// settings are the command line.
type settings struct {
	clientSecrets string
	interactive   bool
	dir           string
	query         string
	pageSize      int
	limit         int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "quickstart:", err)
	os.Exit(1)
}

func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	set, err := parse(args, errOut)
	if err != nil {
		return err
	}
	place, err := openPlace(set)
	if err != nil {
		return err
	}
	google, err := openGoogle(set, place)
	if err != nil {
		return err
	}
	defer google.close()

	if err := connect(ctx, set, place, google, out); err != nil {
		return err
	}
	// Nothing that connect made is left: what follows could be another process on another day.
	err = listMail(ctx, set, place, google, out)
	var ended *authflow.ReauthorizationRequiredError
	if !errors.As(err, &ended) {
		return err
	}
	fmt.Fprintf(out, "The grant of %s has ended (%s): a new consent is needed.\n\n", ended.Email, ended.Reason)
	if err := askConsent(ctx, set, place, google, out); err != nil {
		return err
	}
	return listMail(ctx, set, place, google, out)
}

func parse(args []string, errOut io.Writer) (settings, error) {
	var set settings
	fs := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	fs.SetOutput(errOut)
	fs.Usage = func() {
		fmt.Fprint(errOut, usage)
		fs.PrintDefaults()
	}
	fs.StringVar(&set.clientSecrets, "client-secrets", "", "the client_secret.json of Google Cloud Console; uses the real Google")
	fs.BoolVar(&set.interactive, "interactive", false, "wait for you to open the consent URL in a browser; always so with -client-secrets")
	fs.StringVar(&set.dir, "dir", "", "where the key and the grants are kept (default: mailgrant-quickstart in the user's configuration folder)")
	fs.StringVar(&set.query, "q", "", "list what matches, as in Gmail's search box")
	fs.IntVar(&set.pageSize, "page", 25, "messages a page, at most 500")
	fs.IntVar(&set.limit, "limit", 100, "messages in all; 0 lists every one")
	if err := fs.Parse(args); err != nil {
		return set, err
	}
	if fs.NArg() > 0 {
		return set, fmt.Errorf("unexpected argument %q; see -h", fs.Arg(0))
	}
	if set.pageSize < 1 || set.pageSize > 500 || set.limit < 0 {
		return set, errors.New("-page must be within 1 and 500, and -limit not negative")
	}
	if set.dir == "" {
		base, err := os.UserConfigDir()
		if err != nil {
			return set, fmt.Errorf("no folder to keep the grant in (%w); name one with -dir", err)
		}
		set.dir = filepath.Join(base, "mailgrant-quickstart")
	}
	set.interactive = set.interactive || set.clientSecrets != ""
	return set, nil
}

// connect makes sure that a user's grant is stored, and asks for consent where there is none.
func connect(ctx context.Context, set settings, place *place, google *google, out io.Writer) error {
	creds, err := findStored(ctx, place, google)
	var ended *authflow.ReauthorizationRequiredError
	switch {
	case err == nil:
		fmt.Fprintf(out, "A grant of %s is stored: no consent needed.\n\n", creds.Email)
		return nil
	case errors.Is(err, errNobody) || errors.As(err, &ended):
		return askConsent(ctx, set, place, google, out)
	}
	return err
}

// findStored returns the credentials of the user whose grant is stored.
func findStored(ctx context.Context, place *place, google *google) (*authflow.Credentials, error) {
	open, err := place.open(google.config)
	if err != nil {
		return nil, err
	}
	defer open.close()
	return open.user(ctx)
}

// listMail lists the mailbox of the stored user, with nobody present.
func listMail(ctx context.Context, set settings, place *place, google *google, out io.Writer) error {
	open, err := place.open(google.config)
	if err != nil {
		return err
	}
	defer open.close()
	creds, err := open.user(ctx)
	if err != nil {
		return err
	}
	svc, err := gmailsvc.New(google.service).BuildService(ctx, creds)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Listing the mail of %s, with nobody present.\n", creds.Email)
	var page []*gmail.Message
	number := 0
	for ref, err := range svc.ListMessages(ctx, gmailsvc.Query{Q: set.query, PageSize: set.pageSize, Limit: set.limit}) {
		if err != nil {
			return err
		}
		msg, err := svc.Users.Messages.Get("me", ref.ID).Format("metadata").
			MetadataHeaders("From", "Subject", "Date").Context(ctx).Do()
		if err != nil {
			return err
		}
		if page = append(page, msg); len(page) == set.pageSize {
			number++
			printPage(out, number, page)
			page = page[:0]
		}
	}
	if len(page) > 0 {
		printPage(out, number+1, page)
	} else if number == 0 {
		fmt.Fprintln(out, "\nNo messages match.")
	}
	return nil
}
