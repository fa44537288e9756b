package browser_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// patience is how long a page, or a change of one, may take.
const patience = 45 * time.Second

// chromium is the one browser of all tests, and endChromium ends it if it was started.
var (
	chromium    = sync.OnceValues(startChromium)
	endChromium = func() {}
)

// startChromium starts a browser that reaches this machine alone.
func startChromium() (context.Context, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, errors.New("there is no chromium: make servers installs it")
	}
	process, end := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.NoDefaultBrowserCheck, chromedp.UserDataDir(filepath.Join(scratch, "chromium")),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-features", "Translate"),
		chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.Flag("force-color-profile", "srgb"),
		chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))
	ctx, disconnect := chromedp.NewContext(process)
	endChromium = func() {
		disconnect()
		end() // and wait for the process
	}
	return ctx, chromedp.Do(ctx)
}

// A tab is one of a person's browser.
type tab struct {
	tb  testing.TB
	ctx context.Context

	mu       sync.Mutex
	asked    []string // every address, redirects and frames included
	breaches []string // of a page's security policy
}

// newPerson returns a tab of a browser without cookies and history.
func newPerson(tb testing.TB) *tab {
	tb.Helper()
	ctx, err := chromium()
	if err != nil {
		tb.Fatal(err)
	}
	return newTab(ctx, tb, chromedp.WithNewBrowserContext())
}

// another returns one more tab of the same browser.
func (t *tab) another() *tab {
	t.tb.Helper()
	return newTab(t.ctx, t.tb)
}

func newTab(parent context.Context, tb testing.TB, opts ...chromedp.ContextOption) *tab {
	tb.Helper()
	ctx, end := chromedp.NewContext(parent, opts...)
	tb.Cleanup(end)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1200, 860)); err != nil {
		tb.Fatal(err)
	}
	t := &tab{tb: tb, ctx: ctx}
	if err := chromedp.Listen(ctx, t.note); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if len(t.breaches) > 0 {
			tb.Errorf("pages break their own policy:\n%s", strings.Join(t.breaches, "\n"))
		}
	})
	return t
}

// note notes what a tab does.
func (t *tab) note(event any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		t.asked = append(t.asked, e.Request.URL)
	case *log.EventEntryAdded:
		if strings.Contains(e.Entry.Text, "Content Security Policy") {
			t.breaches = append(t.breaches, e.Entry.Text)
		}
	}
}

// lastAsked returns the last address that the tab asked for with that in it.
func (t *tab) lastAsked(part string) string {
	t.tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, address := range slices.Backward(t.asked) {
		if strings.Contains(address, part) {
			return address
		}
	}
	t.tb.Fatalf("the browser asked for nothing with %s, but for:\n%s", part, strings.Join(t.asked, "\n"))
	return ""
}

// do performs steps.
func (t *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	t.tb.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.tb.Fatalf("%v\n%s", err, t.where())
	}
}

// goes performs steps that lead to another page, and returns the answer that it came with.
func (t *tab) goes(steps ...chromedp.Action[chromedp.Void]) *network.Response {
	t.tb.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	response, err := chromedp.RunResponse(ctx, steps...)
	if err != nil {
		t.tb.Fatalf("%v\n%s", err, t.where())
	}
	if response == nil { // from the history
		return new(network.Response)
	}
	return response
}

// open goes to an address.
func (t *tab) open(address string) *network.Response {
	t.tb.Helper()
	return t.goes(chromedp.Navigate(address))
}

// click clicks on a link or button, by what it says or is called.
func (t *tab) click(name string) *network.Response {
	t.tb.Helper()
	return t.goes(chromedp.Click(control(name)))
}

// clickFirst clicks on the first link of a list of messages.
func (t *tab) clickFirst() *network.Response {
	t.tb.Helper()
	return t.goes(clickOn(`//ol//a`))
}

// unfold opens what a summary hides.
func (t *tab) unfold(name string) {
	t.tb.Helper()
	t.do(chromedp.Click(control(name)))
}

// control selects the link, button or summary with that text or label.
func control(name string) chromedp.Search {
	return chromedp.Search(fmt.Sprintf(`//*[self::a or self::button or self::summary][normalize-space()="%[1]s" or @aria-label="%[1]s"]`, name))
}

// clickOn clicks on what an XPath leads to.
func clickOn(path string) chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.Search(path))
}

// evaluate returns what an expression is in a tab's page.
func evaluate[T any](t *tab, expression string) T {
	t.tb.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.tb.Fatalf("%s: %v", expression, err)
	}
	return value
}

func (t *tab) title() string {
	t.tb.Helper()
	return strings.TrimSuffix(evaluate[string](t, "document.title"), " – Mailroom")
}

func (t *tab) heading() string {
	t.tb.Helper()
	return evaluate[string](t, `document.querySelector("h1")?.innerText ?? ""`)
}

func (t *tab) address() string {
	t.tb.Helper()
	return evaluate[string](t, "location.href")
}

// says reports whether the page shows a text.
func (t *tab) says(text string) bool {
	t.tb.Helper()
	return strings.Contains(evaluate[string](t, "document.body.innerText"), text)
}

// check fails the test unless the page shows all texts.
func (t *tab) check(texts ...string) {
	t.tb.Helper()
	for _, text := range texts {
		if !t.says(text) {
			t.tb.Errorf("the page does not say %q:\n%s", text, t.where())
		}
	}
}

// where says which page a tab is on, for failures.
func (t *tab) where() string {
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.origin + location.pathname + "\n" + document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

// until waits for something to become true in the page.
func (t *tab) until(expression string) {
	t.tb.Helper()
	if _, err := chromedp.Run(t.ctx, chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(patience))); err != nil {
		t.tb.Fatalf("%s: %v\n%s", expression, err, t.where())
	}
}

func checkStatus(tb testing.TB, got *network.Response, want int) {
	tb.Helper()
	if int(got.Status) != want {
		tb.Errorf("the answer is %d, want %d %s", got.Status, want, http.StatusText(want))
	}
}

// goBack presses the browser's back button, and waits for another page. It may come out of the browser's memory, without loading.
func (t *tab) goBack() {
	t.tb.Helper()
	history, err := chromedp.Run(t.ctx, chromedp.NavigationEntries())
	if err != nil {
		t.tb.Fatal(err)
	}
	if history.CurrentIndex == 0 {
		t.tb.Fatal("there is nothing to go back to")
	}
	left := fmt.Sprint("left ", history.CurrentIndex)
	evaluate[string](t, fmt.Sprintf("window.mark = %q", left))
	entry := page.NavigateToHistoryEntryParams{EntryID: history.Entries[history.CurrentIndex-1].ID}
	if _, err := chromedp.Call(t.ctx, page.NavigateToHistoryEntry, entry); err != nil {
		t.tb.Fatal(err)
	}
	there := fmt.Sprintf("window.mark !== %q && document.readyState === 'complete'", left)
	deadline, tick := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-deadline:
			t.tb.Fatalf("the back button leads nowhere:\n%s", t.where())
		case <-tick.C:
			// Between two pages there is nothing to ask.
			if is, err := chromedp.Run(t.ctx, chromedp.Evaluate[bool](there)); err == nil && is {
				return
			}
		}
	}
}
