package oidcpeers_test

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

//go:embed package.json package-lock.json provider.mjs
var npmProject embed.FS

// install installs oidc-provider, once for all tests of the process, and returns where.
var install = sync.OnceValues(func() (string, error) {
	const advice = "install Debian's nodejs and npm (make servers does)"
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("%w: %s", err, advice)
		}
	}
	dir := filepath.Join(scratch, "npm")
	if err := os.CopyFS(dir, npmProject); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	cmd.Dir = dir
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w, saying:\n%s", err, output)
	}
	return dir, nil
})

// An account is a person's at a provider, by the names of its claims.
type account struct {
	Email string `json:"email"`
	Name  string `json:"name"`
}

const adaID = "7e1c5f0a-ada"

// adasAccount is where Ada reads her mail.
var adasAccount = account{Email: "ada@example.com", Name: "Ada Lovelace"}

// A client is an application as oidc-provider knows it: RFC 7591 §2.
type client struct {
	ID           string   `json:"client_id"`
	Secret       string   `json:"client_secret,omitempty"`
	AuthMethod   string   `json:"token_endpoint_auth_method"`
	RedirectURIs []string `json:"redirect_uris"`
	GrantTypes   []string `json:"grant_types"`
	Scope        string   `json:"scope,omitempty"` // what it may ask for; empty: anything
}

// The client's ID and secret need all the escaping that there is.
const (
	clientID     = "app:1+2/3%4=5"
	clientSecret = "a secret: +/%&=?"
)

// webClient is one that keeps a secret, and sends it in the form.
func webClient() client {
	return client{ID: clientID, Secret: clientSecret, AuthMethod: "client_secret_post"}
}

// A provider is oidc-provider in a process of its own, which ends with the test, or with the process of the
// test at the latest.
type provider struct{ issuer string }

// startProvider starts a provider with one client, and an account of Ada's.
func startProvider(tb testing.TB, c client) *provider {
	tb.Helper()
	dir, err := install()
	if err != nil {
		tb.Fatal(err)
	}
	// It inherits the socket: its address is known beforehand, and connections wait until it serves them.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer listener.Close()
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		tb.Fatal(err)
	}
	defer socket.Close()
	p := &provider{issuer: "http://" + listener.Addr().String()}
	c.GrantTypes = []string{"authorization_code", "refresh_token"}
	if c.RedirectURIs == nil {
		c.RedirectURIs = []string{redirectURL}
	}
	description, err := json.Marshal(map[string]any{
		"issuer":   p.issuer,
		"clients":  []client{c},
		"scopes":   []string{gmailReadonly},
		"accounts": map[string]account{adaID: adasAccount},
	})
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command("node", "provider.mjs", string(description)) // it ends with its standard input
	cmd.Dir, cmd.ExtraFiles = dir, []*os.File{socket}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	input, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		input.Close()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("oidc-provider ended with %v", err)
		}
		if tb.Failed() {
			tb.Logf("oidc-provider says:\n%s", &log)
		}
	})
	return p
}

// calls returns what the token and revocation endpoints were asked, with the errors that they answered, and how often.
func (p *provider) calls(tb testing.TB) map[string]int {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, p.issuer+"/calls", nil)
	if err != nil {
		tb.Fatal(err)
	}
	resp, err := new(http.Client).Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	var calls map[string]int
	if err := json.NewDecoder(resp.Body).Decode(&calls); err != nil {
		tb.Fatal(err)
	}
	return calls
}

// checkCalls fails the test unless those are all calls there were.
func (p *provider) checkCalls(tb testing.TB, want map[string]int) {
	tb.Helper()
	if got := p.calls(tb); !maps.Equal(got, want) {
		tb.Errorf("the provider was asked for %v, want %v", got, want)
	}
}
