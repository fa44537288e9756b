package browser_test

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// A program is a running web application, with a Google in its process.
type program struct {
	tb   testing.TB
	url  string // its origin
	data string
}

var announcement = regexp.MustCompile(`The application is at (http://127\.0\.0\.1:\d+)/`)

// startProgram starts the web application with nothing stored. mail is delivered to Ada as well, by file names.
func startProgram(tb testing.TB, mail map[string]string) *program {
	tb.Helper()
	p := &program{tb: tb, data: tb.TempDir()}
	if len(mail) == 0 {
		p.start("-addr", "127.0.0.1:0")
		return p
	}
	folder := tb.TempDir()
	for name, text := range mail {
		text = strings.ReplaceAll(text, "\n", "\r\n")
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	p.start("-addr", "127.0.0.1:0", "-mail", folder)
	return p
}

// start starts the application on what is stored, and returns how to stop it. It is stopped after the test at the latest.
func (p *program) start(args ...string) (stop func()) {
	p.tb.Helper()
	// Not the test's context, which kills before the application is asked to end.
	cmd := exec.CommandContext(context.WithoutCancel(p.tb.Context()), webapp, append(args, "-data", p.data)...)
	var log lockedBuffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.tb.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			p.tb.Error(err)
		}
		if err := cmd.Wait(); err != nil { // the browser keeps connections open, and that is no reason to wait
			p.tb.Errorf("the application ended with %v", err)
		}
		if p.tb.Failed() {
			p.tb.Errorf("the application's log:\n%s", log.String())
		}
	})
	p.tb.Cleanup(stop)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := announcement.FindStringSubmatch(lines.Text()); m != nil {
			p.url = m[1]
			return stop
		}
	}
	p.tb.Fatalf("the application does not say where it is:\n%s", log.String())
	return nil
}

// connect connects an account, at the application's page that has that link, and returns to the list of accounts.
func (p *program) connect(t *tab, link, email string) {
	t.tb.Helper()
	t.click(link)
	consent(t, email)
	if t.click("Allow"); t.heading() != "Your accounts" {
		t.tb.Fatalf("after consenting:\n%s", t.where())
	}
	t.check(email + " is connected.")
}

// signedIn returns a person who has connected Ada's account.
func (p *program) signedIn() *tab {
	p.tb.Helper()
	t := newPerson(p.tb)
	t.open(p.url)
	p.connect(t, "Continue with Google", ada)
	return t
}

// inbox is where an account's inbox is, by the link to it.
func (p *program) inbox(t *tab, email string) string {
	t.tb.Helper()
	return evaluate[string](t, `document.querySelector('[aria-label="Open the inbox of `+email+`"]').href`)
}

// The accounts of the Google in process.
const (
	ada    = "ada@example.com"
	gauges = "gauges@example.com"
)

// consent chooses an account on the consent page.
func consent(t *tab, email string) {
	t.tb.Helper()
	t.check("Allow access to your Google Account?")
	t.do(clickOn(`//label[contains(., "` + email + `")]/input`))
}

// A lockedBuffer is a bytes.Buffer that one goroutine reads while another writes.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
