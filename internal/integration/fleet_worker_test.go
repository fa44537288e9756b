package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// workerVariable holds the duty of a re-executed test binary: a process of a fleet.
const workerVariable = "MAILGRANT_TEST_WORKER"

func TestMain(m *testing.M) {
	text := os.Getenv(workerVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	if err := work(context.Background(), text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A duty is what a process of a fleet works with. All that share a fleet have the same, but for their clocks.
type duty struct {
	Backend, Place string
	Keys           string        // as tokenstore.ParseKeyring reads them
	Issuer         string        // the provider
	Clock          time.Duration // how far the clock of the process is off
	Churn          *churn        // what it does by itself; nil: it waits for orders
}

const gmailReadonly = "https://www.googleapis.com/auth/gmail.readonly"

// flow returns a Flow as the duty describes it.
func (d duty) flow(ctx context.Context, store tokenstore.TokenStore) (*authflow.Flow, error) {
	keys, err := tokenstore.ParseKeyring(d.Keys)
	if err != nil {
		return nil, err
	}
	provider, err := authflow.Discover(ctx, nil, d.Issuer)
	if err != nil {
		return nil, err
	}
	client := gmailtest.DefaultClient()
	return authflow.New(authflow.Config{
		ClientID: client.ID, ClientSecret: client.Secret,
		RedirectURL: "https://app.example/callback", Scopes: []string{gmailReadonly},
		Provider: provider, AllowPrivateEndpoints: true,
		Store: store, Keys: keys,
		Now: func() time.Time { return time.Now().Add(d.Clock) },
	})
}

// An order tells a process what to do next.
type order struct {
	Load  []string // assemble a crowd for each of these users
	Crowd int      // of so many goroutines
	Ask   bool     // let the crowds that are assembled ask for a token
}

// A reply says that an order was carried out.
type reply struct {
	Outcomes map[string]outcome // of Ask, by user
	Error    string
}

// work is what a process of a fleet does: until its standard input ends, or it is killed.
func work(ctx context.Context, text string) error {
	var d duty
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return err
	}
	orders := make(chan order)
	go func() {
		for in := json.NewDecoder(os.Stdin); ; {
			var o order
			if err := in.Decode(&o); err != nil {
				os.Exit(0) // whatever is under way: the test is over
			}
			orders <- o
		}
	}()
	store, _, err := backendNamed(d.Backend).open(ctx, d.Place)
	if err != nil {
		return err
	}
	flow, err := d.flow(ctx, store)
	if err != nil {
		return err
	}
	if d.Churn != nil {
		return d.Churn.run(ctx, flow, os.Stdout)
	}
	return obey(ctx, flow, orders, os.Stdout)
}

func obey(ctx context.Context, flow *authflow.Flow, orders <-chan order, replies io.Writer) error {
	out := json.NewEncoder(replies)
	crowds := make(map[string]*crowd)
	for o := range orders {
		var r reply
		for _, userID := range o.Load {
			c, err := assemble(ctx, flow, userID, o.Crowd)
			if err != nil {
				r.Error = err.Error()
			}
			crowds[userID] = c
		}
		if o.Ask {
			r.Outcomes = askAll(maps.Clone(crowds))
			clear(crowds)
		}
		if err := out.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// askAll lets all crowds ask at the same time.
func askAll(crowds map[string]*crowd) map[string]outcome {
	outcomes := make(map[string]outcome)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for userID, c := range crowds {
		wg.Go(func() {
			o := c.ask()
			mu.Lock()
			defer mu.Unlock()
			outcomes[userID] = o
		})
	}
	wg.Wait()
	return outcomes
}
