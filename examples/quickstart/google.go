package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/api/gmail/v1"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/examples/madeup"
	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// A google is how the program reaches Google, or the one that stands in for it.
type google struct {
	config  authflow.Config // but for the store and its keys
	service gmailsvc.Config
	person  *gmailtest.Browser // who consents by itself; nil with the real Google
	close   func()
}

func openGoogle(set settings, place *place) (*google, error) {
	if set.clientSecrets == "" {
		return openInProcess(place)
	}
	secrets, err := os.ReadFile(set.clientSecrets)
	if err != nil {
		return nil, err
	}
	cfg, err := authflow.ConfigFromJSON(secrets, gmail.GmailReadonlyScope)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", set.clientSecrets, err)
	}
	cfg.RedirectURL = redirectHere(secrets, cfg.RedirectURL)
	return &google{config: cfg, close: func() {}}, nil
}

// redirectHere returns the first redirect URI of a client_secret.json that leads to this machine, or else the given one. Google
// takes any port for an installed application, and only the registered one for others.
func redirectHere(secrets []byte, otherwise string) string {
	type client struct {
		RedirectURIs []string `json:"redirect_uris"`
	}
	var file struct{ Web, Installed client }
	if json.Unmarshal(secrets, &file) != nil {
		return otherwise
	}
	for _, uri := range slices.Concat(file.Installed.RedirectURIs, file.Web.RedirectURIs) {
		u, err := url.Parse(uri)
		if err != nil || !leadsHere(u) {
			continue
		}
		if u.Port() == "" && len(file.Installed.RedirectURIs) == 0 {
			u.Host = net.JoinHostPort(u.Hostname(), "80")
		}
		return u.String()
	}
	return otherwise
}

// openInProcess starts a Google in this process.
func openInProcess(place *place) (*google, error) {
	server, err := madeup.Start(filepath.Join(place.dir, "google.json"))
	if err != nil {
		return nil, err
	}
	if _, err := madeup.AddAda(server); err != nil {
		return nil, err
	}
	// The port is chosen when the answer is awaited.
	cfg, err := authflow.ConfigFromJSON(server.ClientSecretsJSON("http://127.0.0.1/callback"), gmail.GmailReadonlyScope)
	if err != nil {
		return nil, err
	}
	cfg.AllowPrivateEndpoints = true
	cfg.Provider, err = authflow.Discover(context.Background(), nil, server.URL)
	if err != nil {
		return nil, err
	}
	return &google{
		config:  cfg,
		service: gmailsvc.Config{Endpoint: server.APIURL()},
		person:  &gmailtest.Browser{Server: server},
		close:   func() { _ = server.Close() },
	}, nil
}
