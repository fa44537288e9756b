package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/mattn/go-runewidth"

	"github.com/mailgrant/mailgrant/authflow"
)

// output runs the program and returns what it prints.
func output(t *testing.T, args ...string) string {
	t.Helper()
	var out, errOut bytes.Buffer
	if err := run(t.Context(), args, &out, &errOut); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), errOut.String())
	}
	return out.String()
}

const consentHeading = "Consent URL:"

func TestTheFirstRunAsksForConsentAndTheSecondDoesNot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := output(t, "-dir", dir)
	second := output(t, "-dir", dir)
	if !strings.Contains(first, consentHeading) {
		t.Errorf("the first run shows no consent URL:\n%s", first)
	}
	if strings.Contains(second, consentHeading) {
		t.Errorf("the second run asks for consent again:\n%s", second)
	}
	_, mail, found := strings.Cut(first, "\nListing the mail of ")
	if !found || !strings.HasSuffix(second, mail) {
		t.Errorf("the second run lists other mail than the first:\n%s\nand\n%s", first, second)
	}
}

func TestAConsentThatGoogleForgotIsAskedForAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	output(t, "-dir", dir)
	if err := os.Remove(filepath.Join(dir, "in-process", "google.json")); err != nil {
		t.Fatal(err)
	}
	// The stored access token would still be taken for alive, as it would after a revocation.
	again := output(t, "-dir", dir, "-limit", "1")
	if !strings.Contains(again, "has ended (invalid_grant)") || !strings.Contains(again, consentHeading) {
		t.Errorf("want the end of the grant named and a new consent:\n%s", again)
	}
}

func TestTheTableIsAlignedAndComesInPages(t *testing.T) {
	t.Parallel()
	out := output(t, "-dir", t.TempDir(), "-page", "20", "-limit", "50")
	if pages := strings.Count(out, "\nPage "); pages != 3 {
		t.Errorf("%d pages of 20 for 50 messages, want 3", pages)
	}
	dates := regexp.MustCompile(`^(.*)  (20\d\d-\d\d-\d\d \d\d:\d\d)`)
	rows := 0
	for line := range strings.Lines(out) {
		m := dates.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		rows++
		if got, want := runewidth.StringWidth(m[1]), columns[0].width+2+columns[1].width; got != want {
			t.Errorf("the date begins after %d cells, want %d: %s", got, want, line)
		}
	}
	if rows != 50 {
		t.Errorf("%d rows, want 50", rows)
	}
	for _, want := range []string{"佐藤 美咲", "TG-4 改訂図面の件", "Prüftermin für drei Pegel", "Αποδοχή της εργασίας", "(no subject)"} {
		if !strings.Contains(output(t, "-dir", t.TempDir(), "-limit", "0"), want) {
			t.Errorf("the mailbox does not show %q", want)
		}
	}
}

func TestASearchNarrowsTheList(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := output(t, "-dir", dir, "-q", "from:helmut")
	if got := strings.Count(out, "Helmut Weiß"); got < 2 || strings.Contains(out, "Skärbanken") {
		t.Errorf("from:helmut finds:\n%s", out)
	}
	if out := output(t, "-dir", dir, "-q", "from:nobody@example.org"); !strings.Contains(out, "No messages match.") {
		t.Errorf("a search without results prints:\n%s", out)
	}
}

func TestNothingReadableIsStored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	output(t, "-dir", dir, "-limit", "1")
	grants := filepath.Join(dir, "in-process", "grants")
	google, err := os.ReadFile(filepath.Join(dir, "in-process", "google.json"))
	if err != nil {
		t.Fatal(err)
	}
	tokens := regexp.MustCompile(`(1//|ya29\.)[A-Za-z0-9]+`).FindAllString(string(google), -1)
	if len(tokens) < 2 {
		t.Fatalf("found %d tokens at Google, want an access and a refresh token", len(tokens))
	}
	files := 0
	err = filepath.WalkDir(grants, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		stored, err := os.ReadFile(path)
		for _, token := range append(tokens, "ada@example.com") {
			if bytes.Contains(stored, []byte(token)) {
				t.Errorf("%s holds %s in the clear", path, token)
			}
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("found %d files, %v; want the grant's", files, err)
	}
}

// interactive runs the program and does at the consent URL what decide does. It returns what the program printed.
func interactive(t *testing.T, decide func(consentURL string)) (string, error) {
	t.Helper()
	reader, writer := io.Pipe()
	dir := t.TempDir()
	done := make(chan error, 1)
	go func() {
		err := run(t.Context(), []string{"-dir", dir, "-interactive", "-limit", "1"}, writer, io.Discard)
		writer.Close()
		done <- err
	}()
	var person sync.WaitGroup
	defer person.Wait()
	var text strings.Builder
	lines := bufio.NewScanner(reader)
	for lines.Scan() {
		fmt.Fprintln(&text, lines.Text())
		if consentURL, ok := strings.CutPrefix(lines.Text(), "  http"); ok {
			person.Go(func() { decide("http" + consentURL) })
		}
	}
	return text.String(), <-done
}

func TestInteractiveWaitsForTheBrowser(t *testing.T) {
	t.Parallel()
	out, err := interactive(t, func(consentURL string) {
		if page := press(t, consentURL, "allow"); !strings.Contains(page, "ada@example.com is connected") {
			t.Errorf("after Allow the browser shows:\n%s", page)
		}
	})
	if err != nil || !strings.Contains(out, "Waiting for the answer") || !strings.Contains(out, "Page 1") {
		t.Errorf("got %v and\n%s\nwant it to wait, and then to list", err, out)
	}
}

func TestARefusalIsNamed(t *testing.T) {
	t.Parallel()
	_, err := interactive(t, func(consentURL string) {
		if page := press(t, consentURL, "deny"); !strings.Contains(page, "the person said no") {
			t.Errorf("after Deny the browser shows:\n%s", page)
		}
	})
	var denied *authflow.AuthorizationDeniedError
	if !errors.As(err, &denied) || !denied.ByUser() {
		t.Errorf("got %v, want *AuthorizationDeniedError by the user", err)
	}
}

// press opens the consent page, presses a button of its form, and returns the page that comes of it.
func press(t *testing.T, consentURL, button string) string {
	page := fetch(t, http.MethodGet, consentURL, nil)
	form := url.Values{"decision": {button}}
	for _, m := range regexp.MustCompile(`name="(request|user|scope)" value="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		form.Add(m[1], html.UnescapeString(m[2]))
	}
	action := regexp.MustCompile(`action="([^"]+)"`).FindStringSubmatch(page)
	base, err := url.Parse(consentURL)
	if err != nil || action == nil {
		t.Errorf("no consent page at %s: %v\n%s", consentURL, err, page)
		return ""
	}
	return fetch(t, http.MethodPost, base.ResolveReference(&url.URL{Path: action[1]}).String(), form)
}

func fetch(t *testing.T, method, address string, form url.Values) string {
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Error(err)
		return ""
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := new(http.Client).Do(req)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return string(body)
}

func TestMistakesOnTheCommandLineAreNamed(t *testing.T) {
	t.Parallel()
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "client_secret.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		args []string
		say  string
	}{
		"a page of none":             {[]string{"-page", "0"}, "-page"},
		"a page larger than Gmail's": {[]string{"-page", "501"}, "-page"},
		"an argument":                {[]string{"client_secret.json"}, "client_secret.json"},
		"a file that is not there":   {[]string{"-client-secrets", "missing.json"}, "missing.json"},
		"a file of something else":   {[]string{"-client-secrets", file(`{"type":"service_account"}`)}, "service account"},
		"a redirect URL on the web":  {[]string{"-client-secrets", file(`{"web":{"client_id":"a","client_secret":"b","redirect_uris":["https://app.example.com/cb"]}}`)}, "http://localhost:8085/callback"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"-dir", t.TempDir()}, c.args...)
			err := run(t.Context(), args, io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("got %v, want an error that says %q", err, c.say)
			}
		})
	}
}

func TestHelpExplainsTheProgram(t *testing.T) {
	t.Parallel()
	var help bytes.Buffer
	if err := run(context.Background(), []string{"-h"}, io.Discard, &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v, want flag.ErrHelp", err)
	}
	for _, want := range []string{"Usage:", "-client-secrets", "-interactive", "-dir", "-q", "nobody present"} {
		if !strings.Contains(help.String(), want) {
			t.Errorf("-h does not mention %q:\n%s", want, help.String())
		}
	}
}
