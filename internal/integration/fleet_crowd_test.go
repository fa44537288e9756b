package integration_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/authflow"
)

// A crowd is goroutines of one process, each with credentials that it has loaded itself, which ask for a token
// at the same moment.
type crowd struct {
	gate    chan struct{}
	asking  sync.WaitGroup
	mu      sync.Mutex
	outcome outcome
}

// An outcome is what a crowd was answered.
type outcome struct {
	Tokens map[string]int // how many got each token, by its digest
	Ended  int            // how many were told to ask for a new consent
	Errors []string       // what the others were told
}

// assemble has n goroutines load the credentials of a user. It returns when all have.
func assemble(ctx context.Context, flow *authflow.Flow, userID string, n int) (*crowd, error) {
	c := &crowd{gate: make(chan struct{}), outcome: outcome{Tokens: make(map[string]int)}}
	errs := make([]error, n)
	var loading sync.WaitGroup
	loading.Add(n)
	for i := range n {
		c.asking.Go(func() {
			creds, err := flow.GetStoredCredentials(ctx, userID)
			errs[i] = err
			loading.Done()
			<-c.gate
			if err == nil {
				c.note(creds.TokenContext(ctx))
			}
		})
	}
	loading.Wait()
	return c, errors.Join(errs...)
}

// ask lets the crowd ask, once.
func (c *crowd) ask() outcome {
	close(c.gate)
	c.asking.Wait()
	return c.outcome
}

func (c *crowd) note(token *oauth2.Token, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case hasEnded(err):
		c.outcome.Ended++
	case err != nil:
		c.outcome.Errors = append(c.outcome.Errors, err.Error())
	default:
		c.outcome.Tokens[digest(token.AccessToken)]++
	}
}

// hasEnded reports whether err asks for a new consent.
func hasEnded(err error) bool {
	_, ended := errors.AsType[*authflow.ReauthorizationRequiredError](err)
	return ended
}

// digest names a token in what processes tell each other.
func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:8])
}
