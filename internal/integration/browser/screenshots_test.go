package browser_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// screenshots is where the pictures are, for people to look at.
const screenshots = "screenshots"

// beyond is what of a page is beyond the window, and can't be scrolled to where it is clipped.
const beyond = `[document.documentElement, ...document.querySelectorAll("main :is(a, button, time, h1, h2, dd, input, iframe, summary)")]
	.filter(e => e.checkVisibility({contentVisibilityAuto: true}))
	.filter(e => e.getBoundingClientRect().right > innerWidth + 1 || e === document.documentElement && e.scrollWidth > innerWidth)
	.map(e => e.tagName + " " + e.innerText)`

// pictures takes pictures of the tab's page: light and dark, on a desk and on a phone. It fails the test where a page is wider
// than a phone.
func (t *tab) pictures(name string) {
	t.tb.Helper()
	if err := os.MkdirAll(screenshots, 0o755); err != nil {
		t.tb.Fatal(err)
	}
	for _, scheme := range []string{"light", "dark"} {
		features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
		if _, err := chromedp.Call(t.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
			t.tb.Fatal(err)
		}
		for device, viewport := range map[string]chromedp.Action[chromedp.Void]{
			"desk":  chromedp.EmulateViewport(1200, 860),
			"phone": chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulatePortrait),
		} {
			t.do(viewport)
			if cut := evaluate[[]string](t, beyond); len(cut) > 0 {
				t.tb.Errorf("%s is wider than a %s: %q", name, device, cut)
			}
			png, err := chromedp.Run(t.ctx, shot(t))
			if err != nil {
				t.tb.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(screenshots, name+"-"+scheme+"-"+device+".png"), png, 0o644); err != nil {
				t.tb.Fatal(err)
			}
		}
	}
}

// shot takes the whole page, or what of it is in the window where it holds a frame, whose process paints when it likes.
func shot(t *tab) chromedp.Action[[]byte] {
	t.tb.Helper()
	evaluate[chromedp.Void](t, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done({}))))`)
	if evaluate[bool](t, `document.querySelector("iframe") !== null`) {
		return chromedp.CaptureScreenshot()
	}
	return chromedp.FullScreenshot(100)
}

func TestThePagesArePictured(t *testing.T) {
	t.Parallel()
	t.Logf("the pictures are in %s beside this file", screenshots)
	p := startProgram(t, nil)
	person := newPerson(t)
	person.open(p.url)
	person.pictures("welcome")
	p.connect(person, "Continue with Google", ada)
	p.connect(person, "Connect another account", gauges)
	person.pictures("accounts")

	inbox, others := p.inbox(person, ada), p.inbox(person, gauges)
	person.open(inbox)
	person.pictures("inbox")
	person.open(inbox + "?q=from%3Anobody")
	person.pictures("nothing-found")
	person.open(inbox + "?q=subject%3Akompasser")
	person.clickFirst()
	person.pictures("message-html")
	person.open(others + "?q=subject%3A45")
	person.clickFirst()
	person.pictures("message-report")
	person.open(inbox + "?q=subject%3Aalready")
	person.clickFirst()
	person.pictures("message-text")

	person.open(p.url)
	person.unfold("Disconnect")
	person.pictures("disconnecting")

}
