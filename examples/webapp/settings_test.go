package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

func TestMistakesOnTheCommandLineAreNamed(t *testing.T) {
	t.Parallel()
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "client_secret.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for name, c := range map[string]struct {
		args []string
		say  string
	}{
		"an argument":                   {[]string{"client_secret.json"}, "client_secret.json"},
		"an address that is taken":      {[]string{"-addr", taken.Addr().String()}, taken.Addr().String()},
		"a URL that is no origin":       {[]string{"-url", "https://example.com/mail"}, "-url"},
		"a URL of another scheme":       {[]string{"-url", "ftp://example.com"}, "-url"},
		"a file that is not there":      {[]string{"-client-secrets", "missing.json"}, "missing.json"},
		"a file of something else":      {[]string{"-client-secrets", file(`{"type":"service_account"}`)}, "service account"},
		"made-up mail at the real one":  {[]string{"-client-secrets", "x.json", "-mail", "."}, "-mail"},
		"a folder without mail":         {[]string{"-mail", t.TempDir()}, "no .eml files"},
		"a database that is not there":  {[]string{"-dsn", "postgres://nobody@127.0.0.1:1/none?connect_timeout=2"}, "open the database"},
		"plain http to other computers": {[]string{"-url", "http://mail.example.com"}, "RedirectURL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"-addr", "127.0.0.1:0", "-data", t.TempDir()}, c.args...)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // in which it serves if it does begin
			defer cancel()
			err := run(ctx, args, io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("got %v, want an error that says %q", err, c.say)
			}
		})
	}
}

func TestHelpTeaches(t *testing.T) {
	t.Parallel()
	var help bytes.Buffer
	if err := run(context.Background(), []string{"-h"}, io.Discard, &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v, want flag.ErrHelp", err)
	}
	for _, want := range []string{
		"Usage:", "-addr", "-client-secrets", "-data", "-dsn", "-mail", "-url", "http://localhost:8080/callback", "gmail.readonly",
		"ada@example.com", "MAILGRANT_KEYS",
	} {
		if !strings.Contains(help.String(), want) {
			t.Errorf("-h does not mention %q:\n%s", want, help.String())
		}
	}
}

func TestPeopleComeBackToWhereGoogleKnowsTheApplication(t *testing.T) {
	t.Parallel()
	here := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}
	everywhere := &net.TCPAddr{IP: net.IPv6unspecified, Port: 8080}
	for name, c := range map[string]struct {
		public, registered string
		addr               net.Addr
		want               string
	}{
		"where it listens":                  {"", "", here, "http://127.0.0.1:8080/callback"},
		"it listens everywhere":             {"", "", everywhere, "http://localhost:8080/callback"},
		"behind a proxy":                    {"https://mail.example.com", "http://localhost:8080/callback", here, "https://mail.example.com/callback"},
		"as registered":                     {"", "http://localhost:8080/back", here, "http://localhost:8080/back"},
		"registered behind a proxy":         {"", "https://mail.example.com/oauth", here, "https://mail.example.com/oauth"},
		"an installed application":          {"", "http://localhost", here, "http://localhost:8080/callback"},
		"an installed one, with a slash":    {"", "http://localhost/", here, "http://localhost:8080/callback"},
		"registered without any path":       {"", "https://mail.example.com", here, "https://mail.example.com/callback"},
		"registered with a port of its own": {"", "http://localhost:9000", here, "http://localhost:9000/callback"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := redirectURL(settings{url: c.public}, c.registered, c.addr); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestKeysComeFromTheEnvironmentOrAFile(t *testing.T) {
	folder := t.TempDir()
	first, err := openKeys(settings{data: folder})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := first.Encrypt([]byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := openKeys(settings{data: folder})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.Decrypt(sealed, nil); err != nil {
		t.Errorf("the next run does not have the key of the one before: %v", err)
	}
	t.Setenv("MAILGRANT_KEYS", tokenstore.GenerateKey())
	other, err := openKeys(settings{data: folder})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Decrypt(sealed, nil); err == nil {
		t.Error("MAILGRANT_KEYS is not used where it is set")
	}
	t.Setenv("MAILGRANT_KEYS", "short")
	if _, err := openKeys(settings{data: folder}); err == nil || !strings.Contains(err.Error(), "MAILGRANT_KEYS") {
		t.Errorf("got %v, want an error that names MAILGRANT_KEYS", err)
	}
}
