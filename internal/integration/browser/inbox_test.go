package browser_test

import (
	"context"
	"encoding/base64"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// subjects returns the subjects of a list, in their order.
func (t *tab) subjects() []string {
	t.tb.Helper()
	return evaluate[[]string](t, `[...document.querySelectorAll(".rows .subject")].map(e => e.innerText)`)
}

func TestSearchingNarrowsTheList(t *testing.T) {
	t.Parallel()
	p := startProgram(t, nil)
	person := p.signedIn()
	person.click("Open the inbox of " + ada)
	person.goes(chromedp.SendKeys(chromedp.CSS("input[type=search]"), "from:helmut is:unread"+kb.Enter))
	if got := person.subjects(); len(got) != 1 || !strings.Contains(got[0], "Prüftermin") {
		t.Errorf("the search finds %q", got)
	}
	if got := evaluate[string](person, `document.querySelector("input[type=search]").value`); got != "from:helmut is:unread" {
		t.Errorf("after searching the field holds %q", got)
	}
	person.goes(chromedp.SetValue(chromedp.CSS("input[type=search]"), "barometer & \"<b>\" &q=1"), chromedp.Submit(chromedp.CSS("form[role=search]")))
	person.check("Nothing matches", `barometer & "<b>" &q=1`)
	person.click("has:attachment")
	if got := person.subjects(); len(got) < 4 {
		t.Errorf("has:attachment finds %q", got)
	}
	person.click("Back to the inbox")
	if got := person.subjects(); len(got) != 20 {
		t.Errorf("the inbox shows %d messages on a page, want 20", len(got))
	}
}

func TestPagesLeadForthAndBack(t *testing.T) {
	t.Parallel()
	p := startProgram(t, nil)
	person := p.signedIn()
	person.click("Open the inbox of " + ada)
	var pages [][]string
	seen := map[string]bool{}
	for {
		rows := evaluate[[]string](person, `[...document.querySelectorAll(".rows a")].map(e => e.href)`)
		for _, row := range rows {
			if seen[row] {
				t.Errorf("%s is on two pages", row)
			}
			seen[row] = true
		}
		pages = append(pages, rows)
		if !person.says("Older") {
			break
		}
		person.click("Older →")
	}
	if len(pages) != 3 || len(seen) < 41 {
		t.Fatalf("%d messages on %d pages, want at least 41 on 3", len(seen), len(pages))
	}
	person.click("← Newer")
	person.check("Page 2")
	person.click("← Newer")
	if at, err := url.Parse(person.address()); err != nil || at.RawQuery != "" {
		t.Errorf("the first page is at %s", person.address())
	}
	if rows := evaluate[[]string](person, `[...document.querySelectorAll(".rows a")].map(e => e.href)`); rows[0] != pages[0][0] {
		t.Errorf("back on the first page it begins with %s, not %s", rows[0], pages[0][0])
	}
	person.goBack()
	person.check("Page 2")
}

func TestAnAttachmentIsDownloaded(t *testing.T) {
	t.Parallel()
	p := startProgram(t, nil)
	person := newPerson(t)
	person.open(p.url)
	p.connect(person, "Continue with Google", gauges)
	person.open(p.inbox(person, gauges) + "?q=draught")
	person.clickFirst()
	person.check("draught 2027.csv", "LIES MICH – läs mig.txt", "46 bytes")
	name, content := person.download("LIES MICH – läs mig.txt")
	if name != "LIES MICH – läs mig.txt" || content != "Read the fourth column.\r\nThen read it again.\r\n" {
		t.Errorf("downloaded %q with %q", name, content)
	}
}

func TestAnAttachmentArrivesByteByByteUnderItsJapaneseName(t *testing.T) {
	t.Parallel()
	mail, err := os.ReadFile(filepath.Join("..", "..", "..", "examples", "madeup", "ada", "30-inspection-certificate.eml"))
	if err != nil {
		t.Fatal(err)
	}
	_, encoded, _ := strings.Cut(string(mail), "application/pdf")
	_, encoded, _ = strings.Cut(encoded, "\r\n\r\n")
	encoded, _, _ = strings.Cut(encoded, "\r\n--")
	pdf, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(encoded, "\r\n", ""))
	if err != nil || len(pdf) < 500 {
		t.Fatalf("the attachment has %d bytes, %v", len(pdf), err)
	}
	p := startProgram(t, nil)
	person := p.signedIn()
	person.open(p.inbox(person, ada) + "?q=filename%3A0317")
	person.clickFirst()
	name, content := person.download("TG4-0317.pdf")
	if name != "検査成績書_TG4-0317.pdf" || content != string(pdf) {
		t.Errorf("downloaded %q of %d bytes", name, len(content))
	}
}

// download clicks on an attachment, and returns the name and content of the file that comes of it.
func (t *tab) download(name string) (file, content string) {
	t.tb.Helper()
	folder := t.tb.TempDir()
	enabled := true
	c := chromedp.FromContext(t.ctx)
	if _, err := chromedp.CallBrowser(t.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: c.BrowserContextID, DownloadPath: folder, EventsEnabled: &enabled,
	}); err != nil {
		t.tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	progress := chromedp.BrowserEvents(ctx, browser.DownloadProgress)
	t.do(clickOn(`//ul[@class="attachments"]//a[contains(., "` + name + `")]`))
	for event, err := range progress {
		if err != nil {
			t.tb.Fatal(err)
		}
		if event.State != browser.DownloadProgressStateInProgress {
			break
		}
	}
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != 1 {
		t.tb.Fatalf("the folder of downloads has %v, %v", files, err)
	}
	data, err := os.ReadFile(filepath.Join(folder, files[0].Name()))
	if err != nil {
		t.tb.Fatal(err)
	}
	return files[0].Name(), string(data)
}
