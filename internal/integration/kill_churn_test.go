package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/authflow"
)

// A churn is what a process does by itself until it is killed: it refreshes all users' tokens, and has its own users
// revoke and consent.
type churn struct {
	Seed  uint64
	Users []account
	Own   []account // no other process revokes or consents for them: who did so last would depend on the network
	// Visit is where the people sit: it takes a form with a consent page's url and the user's email, and answers with
	// the address that the user is sent back to.
	Visit string
}

type account struct{ UserID, Email string }

// What a churn does. It announces each act before it begins and after it has ended, and what went wrong.
const (
	actRefresh = "refresh"
	actRevoke  = "revoke"
	actConsent = "consent"
)

type act struct {
	What, UserID string
	Rejected     string // of actRefresh: the digest of the token that is not to be had again
	Done         bool
	Wrong        string // what should not have happened
}

// refreshers are how many goroutines of a process refresh. One more revokes and consents.
const refreshers = 4

// run churns with a flow, and announces to out what it does. It ends with an error.
func (c *churn) run(ctx context.Context, flow *authflow.Flow, out io.Writer) error {
	var mu sync.Mutex
	lines := json.NewEncoder(out) // one write for each line, which no kill cuts
	w := &churner{churn: c, flow: flow, revoked: make(map[string]bool), say: func(a act) error {
		mu.Lock()
		defer mu.Unlock()
		return lines.Encode(a)
	}}
	errs := make(chan error)
	for n := range refreshers + 1 {
		step := w.refresh
		if n == refreshers {
			step = w.changeHands
		}
		go func() {
			r := rand.New(rand.NewPCG(c.Seed, uint64(n)))
			for {
				if err := step(ctx, r); err != nil {
					errs <- err
					return
				}
				<-time.After(10*time.Millisecond + time.Duration(r.IntN(50))*time.Millisecond) // bounds the load on the machine
			}
		}()
	}
	return <-errs
}

type churner struct {
	*churn
	flow    *authflow.Flow
	say     func(act) error
	revoked map[string]bool // of the own users, those that revoked last
}

// refresh asks for another token than the one at hand, as after an API's 401. It gives up after two seconds: the lease
// of a process that was killed may be in the way. Then it is not announced as done, for in the background it goes on.
func (w *churner) refresh(ctx context.Context, r *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	who := w.Users[r.IntN(1+r.IntN(len(w.Users)))] // the first ones most, so that processes meet
	a := act{What: actRefresh, UserID: who.UserID}
	creds, err := w.flow.GetStoredCredentials(ctx, who.UserID)
	if err == nil {
		var token *oauth2.Token
		if token, err = creds.TokenContext(ctx); err == nil {
			a.Rejected = digest(token.AccessToken)
			if err := w.say(a); err != nil {
				return err
			}
			_, err = creds.Refresh(ctx, token.AccessToken)
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if err != nil && !hasEnded(err) {
		a.Wrong = err.Error()
	}
	a.Done = true
	return w.say(a)
}

// changeHands revokes an own user's grant, or has the user consent.
func (w *churner) changeHands(ctx context.Context, r *rand.Rand) error {
	who := w.Own[r.IntN(len(w.Own))]
	a := act{What: actConsent, UserID: who.UserID}
	do := w.consent
	if !w.revoked[who.UserID] && r.IntN(3) == 0 {
		a.What, do = actRevoke, w.revoke
	}
	if _, err := w.flow.GetStoredCredentials(ctx, who.UserID); w.revoked[who.UserID] && !hasEnded(err) {
		a.Wrong = fmt.Sprintf("the grant had come back from its revocation, %v", err)
	}
	if err := w.say(a); err != nil {
		return err
	}
	a.Done, a.Wrong = true, ""
	if err := do(ctx, who); err != nil {
		a.Wrong = err.Error()
	}
	w.revoked[who.UserID] = a.What == actRevoke
	return w.say(a)
}

func (w *churner) revoke(ctx context.Context, who account) error {
	return w.flow.Revoke(ctx, who.UserID)
}

func (w *churner) consent(ctx context.Context, who account) error {
	form := url.Values{"url": {w.flow.GetAuthorizationURL(who.Email, authflow.NewState())}, "email": {who.Email}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.Visit, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := new(http.Client).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	back, err := url.Parse(string(text))
	if err != nil {
		return err
	}
	code, state, err := w.flow.ParseCallback(back.Query())
	if err != nil {
		return err
	}
	_, err = w.flow.GetCredentials(ctx, code, state)
	return err
}
