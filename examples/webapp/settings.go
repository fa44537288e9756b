package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"github.com/mailgrant/mailgrant/examples/keyfile"
	"github.com/mailgrant/mailgrant/tokenstore"
)

const usage = `Usage: go run ./examples/webapp [flags]

A web application in which people connect their Gmail accounts and read their mail. Open the URL that it
prints in your browser.

Without flags everything happens on this machine: a Google in process, whose consent page your browser shows,
with two accounts to connect: ada@example.com and gauges@example.com. Nothing is asked of the real Google.

With the real Google:
  1. In Google Cloud Console enable the Gmail API, and set up the consent screen with yourself as a test user
     and the scope https://www.googleapis.com/auth/gmail.readonly.
  2. Create an OAuth client of the type "Web application" with the redirect URI
     http://localhost:8080/callback, and download its file.
  3. go run ./examples/webapp -client-secrets client_secret.json

For others to use it, put it behind a proxy that does TLS, register https://mail.example.com/callback, and say
-url https://mail.example.com. Several processes can share one PostgreSQL (-dsn) if all have the same
MAILGRANT_KEYS: keys in base64, the primary first ("openssl rand -base64 32" makes one). Without that variable
the key is a file in the data folder.

Flags:
`

// settings are the command line.
type settings struct {
	addr          string
	url           string
	clientSecrets string
	dsn           string
	data          string
	mail          string
}

func parse(args []string, errOut io.Writer) (settings, error) {
	var set settings
	fs := flag.NewFlagSet("webapp", flag.ContinueOnError)
	fs.SetOutput(errOut)
	fs.Usage = func() {
		fmt.Fprint(errOut, usage)
		fs.PrintDefaults()
	}
	fs.StringVar(&set.addr, "addr", "127.0.0.1:8080", "where to listen; port 0 is any free one")
	fs.StringVar(&set.url, "url", "", "the `origin` under which browsers reach the application "+
		"(default: that of the first redirect URI in the client secrets, else where it listens)")
	fs.StringVar(&set.clientSecrets, "client-secrets", "", "the client_secret.json of Google Cloud Console; uses the real Google")
	fs.StringVar(&set.dsn, "dsn", "", "a PostgreSQL database, say postgres://user@host/name (default: an SQLite file in the data folder)")
	fs.StringVar(&set.data, "data", "", "the `folder` of the database and the key (default: mailgrant-webapp in the user's configuration folder)")
	fs.StringVar(&set.mail, "mail", "", "a `folder` of .eml files to deliver to ada@example.com as well; not with -client-secrets")
	if err := fs.Parse(args); err != nil {
		return set, err
	}
	if fs.NArg() > 0 {
		return set, fmt.Errorf("unexpected argument %q; see -h", fs.Arg(0))
	}
	if set.url != "" {
		u, err := url.Parse(set.url)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || (u.Path != "" && u.Path != "/") {
			return set, fmt.Errorf("-url %s is no origin, such as https://mail.example.com", set.url)
		}
		set.url = u.Scheme + "://" + u.Host
	}
	if set.mail != "" && set.clientSecrets != "" {
		return set, errors.New("-mail is for the Google in process: drop it or -client-secrets")
	}
	return set.withFolder()
}

// withFolder makes the folder of data. The real Google and the one in process know different users, and have a folder each.
func (s settings) withFolder() (settings, error) {
	if s.data == "" {
		base, err := os.UserConfigDir()
		if err != nil {
			return s, fmt.Errorf("no folder to keep the database in (%w); name one with -data", err)
		}
		s.data = filepath.Join(base, "mailgrant-webapp")
	}
	google := "in-process"
	if s.clientSecrets != "" {
		google = "google"
	}
	folder, err := filepath.Abs(filepath.Join(s.data, google))
	if err != nil {
		return s, err
	}
	s.data = folder
	return s, os.MkdirAll(s.data, 0o700)
}

// openKeys returns what the grants are sealed with.
func openKeys(set settings) (*tokenstore.Keyring, error) {
	if text := os.Getenv("MAILGRANT_KEYS"); text != "" {
		keys, err := tokenstore.ParseKeyring(text)
		if err != nil {
			return nil, fmt.Errorf("MAILGRANT_KEYS: %w", err)
		}
		return keys, nil
	}
	return keyfile.Open(filepath.Join(set.data, "key"))
}
