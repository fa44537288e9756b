package browser_test

import "testing"

func TestACallbackThatIsLoadedAgainShowsWhatItShowed(t *testing.T) {
	t.Parallel()
	p := startProgram(t, nil)
	person := p.signedIn()
	callback := person.lastAsked("/callback?")
	checkStatus(t, person.open(callback), 200)
	person.check("Your accounts", ada+" is connected.")

	// It is of no use to anybody else.
	thief := newPerson(t)
	checkStatus(t, thief.open(callback), 400)
	thief.check("This was not started in this browser")
	thief.pictures("problem-callback")
	thief.click("Start again")
	thief.check("Allow access to your Google Account?")
}

func TestTheBackButtonAfterConnectingDoesNoHarm(t *testing.T) {
	t.Parallel()
	p := startProgram(t, nil)
	person := p.signedIn()
	person.goBack()
	consent(person, ada)
	person.click("Allow")
	person.check("Your accounts", ada+" is connected.")
	person.goBack()
	person.goBack()
	person.check("Your accounts") // the welcome of before is not shown from memory
}

func TestACallbackThatWasTamperedWithIsRefused(t *testing.T) {
	t.Parallel()
	p := startProgram(t, nil)
	person := p.signedIn()
	for query, says := range map[string]string{
		"":                             "This link is damaged",
		"?code=4%2Fx":                  "This link is damaged",
		"?code=4%2Fx&state=a&state=b":  "This link is damaged",
		"?code=4%2Fx&state=unknown":    "This was not started in this browser",
		"?error=access_denied&state=x": "This was not started in this browser",
	} {
		checkStatus(t, person.open(p.url+"/callback"+query), 400)
		if got := person.heading(); got != says {
			t.Errorf("/callback%s says %q, want %q", query, got, says)
		}
	}
	person.open(p.url)
	person.check("Your accounts", "Connected")
}
