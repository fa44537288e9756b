package browser_test

import (
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// A stop is what has the keyboard's focus.
type stop struct {
	Name    string // what a screen reader would say
	Outline bool   // people see that it has the focus
	Seen    bool   // it is within the window
}

// tab presses the tab key, and returns where that leads.
func (t *tab) press() stop {
	t.tb.Helper()
	t.do(chromedp.KeyEvent(kb.Tab))
	return evaluate[stop](t, `(() => {
		const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
		const name = e.getAttribute("aria-label") || e.labels?.[0]?.innerText || e.innerText || e.title || e.tagName;
		return {Name: name.replace(/\s+/g, " ").trim(), Outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
			Seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth};
	})()`)
}

// walk presses the tab key until the focus is on name, and returns the names of all that it was on.
func (t *tab) walk(name string) []string {
	t.tb.Helper()
	var names []string
	for range 60 {
		s := t.press()
		if names = append(names, s.Name); s.Name != "BODY" && (!s.Outline || !s.Seen) {
			t.tb.Errorf("the focus is on %q, and nobody sees it: %+v", s.Name, s)
		}
		if s.Name == name {
			return names
		}
	}
	t.tb.Fatalf("the tab key never leads to %q, but to %q", name, names)
	return nil
}

func (t *tab) enter() {
	t.tb.Helper()
	t.goes(chromedp.KeyEvent(kb.Enter))
}

func TestEverythingIsDoneWithTheKeyboardAlone(t *testing.T) {
	t.Parallel()
	p := startProgram(t, nil)
	person := newPerson(t)
	person.open(p.url)
	person.walk("Continue with Google")
	person.enter()

	// The stand-in's consent page.
	person.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(" "))
	person.walk("Allow")
	person.enter()
	person.check("Your accounts")

	inbox := p.inbox(person, ada)
	want := []string{
		"Skip to the content", "Mailroom", "A ada@example.com", "Sign out", "Connect another account",
		"Open the inbox of ada@example.com", "Disconnect", "Try: revoke at Google",
	}
	if got := person.walk("Try: revoke at Google"); !slices.Equal(got, want) {
		t.Errorf("the tab key leads to\n%q, want\n%q", got, want)
	}

	// Past the navigation at once.
	person.open(inbox)
	person.walk("Skip to the content")
	person.do(chromedp.KeyEvent(kb.Enter))
	if got := person.press(); got.Name != "Search the mail of ada@example.com" {
		t.Errorf("after skipping to the content the next stop is %q", got.Name)
	}
	person.goes(chromedp.KeyEvent("subject:kalibrering" + kb.Enter))
	person.walk("Back to the inbox")
	person.press()
	person.enter()
	person.check("Kalibrering klar", "From")

	person.walk("← Inbox")
	person.enter()
	person.walk("Older →")
	person.enter()
	person.check("Page 2")
}
