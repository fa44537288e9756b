package oidcpeers_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/authflow"
)

// workerVariable holds the duty of a re-executed test binary: a process of a fleet.
const workerVariable = "MAILGRANT_TEST_WORKER"

// A duty is what a process of a fleet works with.
type duty struct {
	Issuer     string
	Goroutines int

	DSN, Keys, UserID string // of the grant that mailgrant keeps in PostgreSQL
	RefreshToken      string // if it is set: of the grant that x/oauth2 has instead
}

// An order tells a process to assemble its goroutines for a round, or to let those that are assembled ask for a token.
type order struct {
	Ask      bool
	Clock    time.Duration // how far the time has advanced
	Rejected string        // an access token that an API refused
}

// A reply says what came of an order.
type reply struct {
	Tokens map[string]int // how many goroutines got each access token, by its digest
	Ended  int            // how many were told that the grant is dead
	Errors []string       // what the others were told
	Failed string         // why the order could not be carried out
}

// work is what a process of a fleet does, until its standard input ends.
func work(ctx context.Context, text string) error {
	var d duty
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return err
	}
	t, err := d.team(ctx)
	if err != nil {
		return err
	}
	var c *crowd
	for in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout); ; {
		var o order
		if err := in.Decode(&o); err != nil {
			return nil //nolint:nilerr // the test is over
		}
		var r reply
		if o.Ask {
			r = c.ask()
		} else if c, err = assemble(ctx, t, o, d.Goroutines); err != nil {
			r.Failed = err.Error()
		}
		if err := out.Encode(r); err != nil {
			return err
		}
	}
}

// A crowd is goroutines that ask for a token at the same moment.
type crowd struct {
	gate   chan struct{}
	asking sync.WaitGroup
	mu     sync.Mutex
	reply  reply
}

// assemble has n goroutines of a team get ready, each by itself. It returns when all are.
func assemble(ctx context.Context, t team, o order, n int) (*crowd, error) {
	join, err := t.round(ctx, o)
	if err != nil {
		return nil, err
	}
	c := &crowd{gate: make(chan struct{}), reply: reply{Tokens: make(map[string]int)}}
	errs := make([]error, n)
	var joining sync.WaitGroup
	joining.Add(n)
	for i := range n {
		c.asking.Go(func() {
			ask, err := join(ctx)
			errs[i] = err
			joining.Done()
			<-c.gate
			if err == nil {
				c.note(ask())
			}
		})
	}
	joining.Wait()
	return c, errors.Join(errs...)
}

// ask lets the crowd ask, once.
func (c *crowd) ask() reply {
	close(c.gate)
	c.asking.Wait()
	return c.reply
}

func (c *crowd) note(token *oauth2.Token, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch refusal, refused := errors.AsType[*oauth2.RetrieveError](err); {
	case errors.As(err, new(*authflow.ReauthorizationRequiredError)), refused && refusal.ErrorCode == "invalid_grant":
		c.reply.Ended++
	case err != nil:
		c.reply.Errors = append(c.reply.Errors, err.Error())
	default:
		c.reply.Tokens[digest(token.AccessToken)]++
	}
}

// digest names a token in what processes tell each other.
func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:8])
}
