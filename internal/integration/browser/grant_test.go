package browser_test

import (
	"strings"
	"testing"
)

func TestAGrantThatIsRevokedAtTheProviderIsReconnected(t *testing.T) {
	t.Parallel()
	p := startProgram(t, nil)
	person := p.signedIn()
	p.connect(person, "Connect another account", gauges)
	inbox := p.inbox(person, ada)
	card := `//article[contains(., "` + ada + `")]`
	person.do(clickOn(card + `//summary[contains(., "revoke at Google")]`))
	person.goes(clickOn(card + `//button[contains(., "Revoke")]`))
	person.check("The made-up Google has taken back its permission for " + ada)

	// Nobody told the application: it finds out at the next call.
	checkStatus(t, person.open(inbox), 403)
	person.check("The permission for "+ada+" has ended", "It was taken back in the Google Account", "Reconnect")
	person.pictures("problem-ended")
	person.click("Mailroom")
	person.check("Not connected", "Noticed just now")
	person.pictures("accounts-ended")

	// Another account is no way to reconnect this one.
	person.click("Reconnect " + ada)
	consent(person, gauges)
	checkStatus(t, person.click("Allow"), 403)
	person.check("That was another account", gauges)

	person.open(inbox)
	person.click("Reconnect")
	if !evaluate[bool](person, `document.querySelector('input[name=user]:checked').closest("label").innerText.includes("`+ada+`")`) {
		t.Error("the consent page does not preselect the account that is to be reconnected")
	}
	checkStatus(t, person.click("Allow"), 200)
	if at := person.address(); at != inbox {
		t.Errorf("after reconnecting the person is at %s, not back at %s", at, inbox)
	}
	person.check(ada+" is connected.", "Tomas Brandt")
}

func TestAnAccountIsDisconnectedAndConnectedAgainOrRemoved(t *testing.T) {
	t.Parallel()
	p := startProgram(t, nil)
	person := p.signedIn()
	inbox := p.inbox(person, ada)
	person.unfold("Disconnect")
	person.click("Disconnect " + ada)
	person.check("Not connected", "The account was disconnected here.")
	checkStatus(t, person.open(inbox), 403)
	person.check("The account was disconnected here.")

	// At Google, too: whoever consents there again does so for the first time.
	person.click("Reconnect")
	person.click("Allow")
	person.check("Tomas Brandt")

	person.click("Mailroom")
	person.unfold("Disconnect")
	person.click("Disconnect " + ada)
	person.click("Remove " + ada + " from the list")
	person.check(ada+" is removed.", "No account is connected")
	checkStatus(t, person.open(inbox), 404)
}

func TestAnotherSiteCanNotDisconnectAnAccount(t *testing.T) {
	t.Parallel()
	p := startProgram(t, nil)
	person := p.signedIn()
	action := p.inbox(person, ada) + "/disconnect"

	other := person.another()
	other.open(pageOf(t, `<h1>Win a barometer</h1><form method="post" action="`+action+`"><button>Win</button></form>`))
	checkStatus(t, other.click("Win"), 403)
	person.open(p.url)
	if person.click("Open the inbox of " + ada); !strings.Contains(person.title(), "Inbox") {
		t.Errorf("another site's form has disconnected the account:\n%s", person.where())
	}
}
