package browser_test

import (
	"strings"
	"testing"
)

func TestAPersonConnectsOneAccountAndThenAnother(t *testing.T) {
	t.Parallel()
	p := startProgram(t, nil)
	person := newPerson(t)
	checkStatus(t, person.open(p.url), 200)
	person.check("All your inboxes, in one place")
	p.connect(person, "Continue with Google", ada)
	person.check("Connected", "Read mail, and change nothing", "gmail.readonly", "just now")
	p.connect(person, "Connect another account", gauges)
	for _, email := range []string{ada, gauges} {
		person.click("Open the inbox of " + email)
		if title := person.title(); title != "Inbox of "+email {
			t.Errorf("the inbox of %s is called %q", email, title)
		}
		person.click("Mailroom")
	}
	// The page that was loaded again says no more that an account was connected.
	if person.says("is connected.") {
		t.Error("a notice is shown twice")
	}
}

func TestAPersonWhoSaysNoIsNotConnected(t *testing.T) {
	t.Parallel()
	p := startProgram(t, nil)
	person := newPerson(t)
	person.open(p.url)
	person.click("Continue with Google")
	person.do(clickOn(`//input[@name="user"]`))
	checkStatus(t, person.click("Deny"), 403)
	if person.heading() != "Not connected" {
		t.Errorf("after Deny the page says %q", person.heading())
	}
	person.click("Try again")
	consent(person, ada)
	person.click("Allow")
	person.check(ada + " is connected.")
}

func TestAScopeThatIsUntickedIsMissedAndAskedForAgain(t *testing.T) {
	t.Parallel()
	p := startProgram(t, nil)
	person := newPerson(t)
	person.open(p.url)
	person.click("Continue with Google")
	consent(person, ada)
	person.do(clickOn(`//input[@name="scope"]`))
	checkStatus(t, person.click("Allow"), 403)
	person.check("A permission is missing", ada)
	person.click("Try again")
	consent(person, ada)
	person.click("Allow")
	person.check(ada + " is connected.")
}

func TestTwoTabsConnectAtOnce(t *testing.T) {
	t.Parallel()
	p := startProgram(t, nil)
	first := newPerson(t)
	first.open(p.url)
	second := first.another()
	second.open(p.url)
	first.click("Continue with Google")
	second.click("Continue with Google")
	consent(second, gauges)
	second.click("Allow")
	second.check(gauges + " is connected.")
	consent(first, ada)
	first.click("Allow")
	first.check(ada+" is connected.", gauges)
}

func TestPeopleSeeTheirOwnAccountsAlone(t *testing.T) {
	t.Parallel()
	p := startProgram(t, nil)
	hers := p.signedIn()
	inbox := p.inbox(hers, ada)

	stranger := newPerson(t)
	stranger.open(inbox)
	if at := stranger.address(); !strings.HasPrefix(at, p.url+"/?return_to=") {
		t.Fatalf("without a session the inbox leads to %s:\n%s", at, stranger.where())
	}
	stranger.click("Continue with Google")
	consent(stranger, gauges)
	checkStatus(t, stranger.click("Allow"), 404) // where they wanted to go is not theirs
	stranger.check("There is no such page")
	stranger.open(p.url)
	if stranger.says(ada) {
		t.Errorf("another person's account is shown:\n%s", stranger.where())
	}
}

func TestWhoSignsOutLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	p := startProgram(t, nil)
	person := p.signedIn()
	person.click("Open the inbox of " + ada)
	inbox := person.address()
	person.click("Sign out")
	person.check("All your inboxes, in one place")
	person.goBack()
	if person.says("Tomas Brandt") {
		t.Errorf("the back button shows mail to whoever comes next:\n%s", person.where())
	}
	// Signing in again leads to where the person wanted to go.
	person.open(inbox)
	person.click("Continue with Google")
	consent(person, ada)
	person.click("Allow")
	if at := person.address(); at != inbox {
		t.Errorf("after signing in again the person is at %s, not at %s", at, inbox)
	}
}
