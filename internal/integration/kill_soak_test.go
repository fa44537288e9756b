package integration_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// A ledger adds up what the processes of a soak announce, those that were killed included.
type ledger struct {
	mu       sync.Mutex
	begun    int             // refreshes
	rejected map[string]bool // the tokens that were not to be had again: for each there is one refresh
	cut      int             // refreshes that a kill may have cut off after the provider was asked
	last     map[string]act  // revocation or consent, by user
	wrong    []string
}

// follow reads what a process announces until that is killed. The channel is closed when all is read.
func (l *ledger) follow(p *process) <-chan struct{} {
	read := make(chan struct{})
	go func() {
		defer close(read)
		var mine int // refreshes that have begun and not ended
		for {
			var a act
			if err := p.replies.Decode(&a); err != nil {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.cut += mine
				if !errors.Is(err, io.EOF) {
					l.wrong = append(l.wrong, err.Error())
				}
				return
			}
			mine += l.add(a)
		}
	}()
	return read
}

// add enters an act, and returns by how many there are now more refreshes under way.
func (l *ledger) add(a act) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.Wrong != "" {
		l.wrong = append(l.wrong, fmt.Sprintf("%s of %s: %s", a.What, a.UserID, a.Wrong))
	}
	switch {
	case a.What != actRefresh:
		l.last[a.UserID] = a
	case a.Rejected == "": // there was no token to replace
	case a.Done:
		return -1
	default:
		l.begun++
		l.rejected[a.UserID+a.Rejected] = true
		return 1
	}
	return 0
}

// testKillsWithoutEnd kills three processes, one after another, while they refresh, revoke and consent for twenty users.
// At the end no grant is lost, none has come back from its revocation, and the provider was asked no more often than there
// were tokens to replace (each rejected by an API, which stands for an expiry) and refreshes that a kill may have cut off.
func testKillsWithoutEnd(t *testing.T) {
	const users, workers, length = 20, 3, 15 * time.Second
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	f := newFleet(t, postgreSQL.backend(), gmailtest.Config{})
	// So that more happens at the same time.
	slow := f.google.Inject(gmailtest.Fault{Op: "token.refresh", Delay: 20 * time.Millisecond})
	people := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		browser := &gmailtest.Browser{Server: f.google, User: r.PostFormValue("email")}
		back, err := browser.Visit(r.Context(), r.PostFormValue("url"))
		if err != nil {
			http.Error(w, "", http.StatusInternalServerError)
			return
		}
		io.WriteString(w, back.String())
	}))
	t.Cleanup(people.Close)
	all := make([]account, users)
	for n := range all {
		grant := f.connect(t, n, time.Now().Add(time.Hour))
		all[n] = account{grant.UserID, grant.Email}
	}

	ledger := &ledger{rejected: make(map[string]bool), last: make(map[string]act)}
	processes, read := make([]*process, workers), make([]<-chan struct{}, workers)
	startOne := func(i int) {
		d := f.duty
		d.Churn = &churn{Seed: random.Uint64(), Users: all, Visit: people.URL}
		for n := i; n < users; n += workers {
			d.Churn.Own = append(d.Churn.Own, all[n])
		}
		processes[i] = d.start(t)
		read[i] = ledger.follow(processes[i])
	}
	for i := range workers {
		startOne(i)
	}
	kills := workers
	for end := time.After(length); end != nil; {
		select {
		case <-end:
			end = nil
		case <-time.After(300*time.Millisecond + time.Duration(random.IntN(700))*time.Millisecond):
			i := random.IntN(workers)
			processes[i].kill(t, read[i])
			startOne(i)
			kills++
		}
	}
	for i := range workers {
		processes[i].kill(t, read[i])
	}

	for _, wrong := range ledger.wrong {
		t.Error(wrong)
	}
	calls, most := f.google.Count("token.refresh"), len(ledger.rejected)+ledger.cut
	t.Logf("%d kills; %d refreshes of %d tokens, %d cut off; the provider was asked %d times",
		kills, ledger.begun, len(ledger.rejected), ledger.cut, calls)
	if calls > most || calls < users {
		t.Errorf("the provider was asked %d times; want at most %d, and at least %d", calls, most, users)
	}
	slow()
	f.checkSurvivors(t, all, ledger.last)
}

// checkSurvivors fails the test unless every grant is as the last act that was acknowledged left it, and every
// living one can be refreshed.
func (f *fleet) checkSurvivors(t *testing.T, all []account, last map[string]act) {
	t.Helper()
	flow := f.ownFlow(t)
	if _, err := flow.RetryRevocations(t.Context()); err != nil {
		t.Errorf("revocations that were cut off: %v", err)
	}
	living, before := 0, f.google.Count("token.refresh")
	var wg sync.WaitGroup
	for _, who := range all {
		creds, err := flow.GetStoredCredentials(t.Context(), who.UserID)
		ended := hasEnded(err)
		a, acted := last[who.UserID]
		switch {
		case err != nil && !ended:
			t.Errorf("the grant of %s is lost: %v", who.UserID, err)
		case ended && (!acted || a.Done && a.What == actConsent):
			t.Errorf("the grant of %s has ended, and nobody has revoked it: %v", who.UserID, err)
		case !ended && acted && a.Done && a.What == actRevoke:
			t.Errorf("the grant of %s has come back from its revocation", who.UserID)
		}
		if err != nil {
			continue
		}
		living++
		rejected := f.stored(t, who.UserID).AccessToken
		wg.Go(func() { // the leases of killed processes are waited for
			if _, err := creds.Refresh(t.Context(), rejected); err != nil {
				t.Errorf("the refresh token of %s is lost: %v", who.UserID, err)
			}
		})
	}
	wg.Wait()
	if n := f.google.Count("token.refresh") - before; n != living || living == 0 {
		t.Errorf("the provider was asked %d times for tokens of %d living grants", n, living)
	}
}
