package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"google.golang.org/api/gmail/v1"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/examples/madeup"
	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// A google is how the application reaches Google, or the one that stands in for it.
type google struct {
	config  authflow.Config // but for the store and its keys
	service gmailsvc.Config
	madeUp  *gmailtest.Server // nil with the real Google
	close   func()
}

// openGoogle prepares the Google of the settings for an application that listens at addr.
func openGoogle(ctx context.Context, set settings, addr net.Addr) (*google, error) {
	if set.clientSecrets == "" {
		return openInProcess(ctx, set, addr)
	}
	secrets, err := os.ReadFile(set.clientSecrets)
	if err != nil {
		return nil, err
	}
	cfg, err := authflow.ConfigFromJSON(secrets, gmail.GmailReadonlyScope)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", set.clientSecrets, err)
	}
	cfg.RedirectURL = redirectURL(set, cfg.RedirectURL, addr)
	return &google{config: cfg, close: func() {}}, nil
}

// openInProcess starts a Google on a loopback port of its own: the browser shows its consent page.
func openInProcess(ctx context.Context, set settings, addr net.Addr) (*google, error) {
	server, err := madeup.Start(filepath.Join(set.data, "google.json"))
	if err != nil {
		return nil, err
	}
	g := &google{
		service: gmailsvc.Config{Endpoint: server.APIURL()},
		madeUp:  server,
		close:   func() { _ = server.Close() },
	}
	if err := fill(server, set.mail); err != nil {
		g.close()
		return nil, err
	}
	callback := redirectURL(set, "", addr)
	if g.config, err = authflow.ConfigFromJSON(server.ClientSecretsJSON(callback), gmail.GmailReadonlyScope); err == nil {
		g.config.AllowPrivateEndpoints = true
		g.config.Provider, err = authflow.Discover(ctx, nil, server.URL)
	}
	if err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

// fill adds two accounts and their mail.
func fill(server *gmailtest.Server, folder string) error {
	ada, err := madeup.AddAda(server)
	if err == nil {
		_, err = madeup.AddGauges(server)
	}
	if err == nil && folder != "" {
		if err = madeup.Deliver(ada, os.DirFS(folder)); err != nil {
			err = fmt.Errorf("-mail %s: %w", folder, err)
		}
	}
	return err
}

// redirectURL returns where Google sends people back to: at the origin of -url, else as registered, else here. The URL of an
// installed application is registered without a port and a path, and any will do (RFC 8252 §7.3).
func redirectURL(set settings, registered string, addr net.Addr) string {
	if set.url != "" {
		return set.url + callbackPath
	}
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return registered
	}
	u, err := url.Parse(registered)
	switch {
	case err != nil:
		return registered
	case registered == "":
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
			host = "localhost" // it listens everywhere
		}
		u = &url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: callbackPath}
	case u.Path == "" || u.Path == "/":
		u.Path = callbackPath
		if u.Port() == "" && u.Scheme == "http" {
			u.Host = net.JoinHostPort(u.Hostname(), port)
		}
	}
	return u.String()
}
