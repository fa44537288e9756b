package authflow_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// A process is a Flow on the shared store, and what it can know.
type process struct {
	name string
	w    *world
	flow *authflow.Flow
	dead chan struct{}

	mu     sync.Mutex
	counts map[string]int // of its events by kind
	busy   map[string]int // of its operations by name
	faults int            // of its store
	what   int            // of the store fails
	till   time.Time
	kept   *authflow.Credentials
	served string // the last token that it was served
	did    map[string]bool
	saw    map[string]bool
	knows  map[string]bool // IDs of grants that an answer of its Flow said to have ended
}

// What of a store fails.
const (
	readsFail  = 1
	writesFail = 2
)

func (w *world) boot() *process {
	p := &process{
		name: fmt.Sprint("process", len(w.everyone)), w: w, dead: make(chan struct{}),
		counts: make(map[string]int), busy: make(map[string]int),
		did: make(map[string]bool), saw: make(map[string]bool), knows: make(map[string]bool),
	}
	flow, err := authflow.New(authflow.Config{
		ClientID: "client", ClientSecret: "secret", RedirectURL: redirectURL, Scopes: []string{"mail"}, Provider: modelEndpoints(),
		Store: handle{p}, Keys: nopAEAD{}, HTTPClient: &http.Client{Transport: line{p}},
		Observer: func(e authflow.Event) {
			if e.Kind == authflow.Revoked {
				p.learns(&p.did, e.GrantID)
			}
		},
	})
	if err != nil {
		panic(err)
	}
	p.flow = flow
	w.everyone = append(w.everyone, p)
	w.tell("%s starts", p.name)
	return p
}

// crash ends p as kill -9 does: nothing that it still tries takes effect, but for what is on the wire.
func (p *process) crash() {
	p.w.tell("%s crashes", p.name)
	close(p.dead)
}

func (p *process) isDead() bool {
	select {
	case <-p.dead:
		return true
	default:
		return false
	}
}

// cut makes p's store fail for d: reads (1), writes (2), or both (0).
func (p *process) cut(what int, d time.Duration) {
	p.w.tell("the store of %s fails (%d) for %v", p.name, what, d)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what, p.till = what, time.Now().Add(d)
}

func (p *process) isCut(what int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.what != 3-what && time.Now().Before(p.till)
}

func (p *process) storeFault(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults++
	return err
}

func (p *process) storeFaults() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults
}

func (p *process) learns(what *map[string]bool, grantID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	(*what)[grantID] = true
}

func (p *process) doing(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.busy[name] > 0
}

// chance returns the random numbers of p's next event of a kind.
func (p *process) chance(kind string) *rand.Rand {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[kind]++
	return p.w.chance(p.name+kind, p.counts[kind])
}

// wait lets d pass, unless p dies or ctx ends before.
func (p *process) wait(ctx context.Context, d time.Duration) error {
	if p.isDead() {
		return errBroken
	}
	if d == 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.dead:
		return errBroken
	}
}

// begin lets p do something in the background.
func (p *process) begin(t *testing.T, name string, do func(*process, context.Context) error) {
	t.Helper()
	p.w.tell("%s begins: %s", p.name, name)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	p.mu.Lock()
	p.busy[name]++
	p.mu.Unlock()
	p.w.wire.Go(func() {
		defer cancel()
		err := do(p, ctx)
		if p.isDead() {
			return
		}
		p.w.tell("%s is done: %s: %v", p.name, name, err)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.busy[name]--
		if _, ended := errors.AsType[*authflow.ReauthorizationRequiredError](err); ended {
			maps.Copy(p.knows, p.saw)
			maps.Copy(p.knows, p.did)
		}
		_, pending := errors.AsType[*authflow.RevocationPendingError](err)
		if (err == nil || pending) && (name == "revoke" || name == "mark" || name == "forget") {
			maps.Copy(p.knows, p.did)
		}
	})
}

func (p *process) consent(ctx context.Context) error {
	_, err := p.flow.GetCredentials(ctx, p.w.provider.code(), "state")
	return err
}

func (p *process) revoke(ctx context.Context) error { return p.flow.Revoke(ctx, modelUser) }

func (p *process) mark(ctx context.Context) error {
	return p.flow.MarkRevoked(ctx, modelUser, tokenstore.ReasonUser)
}

func (p *process) forget(ctx context.Context) error { return p.flow.Forget(ctx, modelUser) }

func (p *process) retryRevocations(ctx context.Context) error {
	_, err := p.flow.RetryRevocations(ctx)
	return err
}

func (p *process) keepAlive(ctx context.Context) error {
	_, err := p.flow.KeepAlive(ctx, authflow.KeepAliveOptions{Idle: modelLifetime * 3 / 4})
	return err
}

// credentials returns what jobs work with: credentials that were just asked for, or that are kept for long.
func (p *process) credentials(ctx context.Context) (*authflow.Credentials, error) {
	fresh := p.chance("credentials").IntN(2) == 0
	p.mu.Lock()
	kept := p.kept
	p.mu.Unlock()
	if kept != nil && !fresh {
		return kept, nil
	}
	creds, err := p.flow.GetStoredCredentials(ctx, modelUser)
	if err == nil {
		p.mu.Lock()
		p.kept = creds
		p.mu.Unlock()
	}
	return creds, err
}

// token asks for a token.
func (p *process) token(ctx context.Context) error {
	return p.serve(ctx, func(creds *authflow.Credentials) (*oauth2.Token, error) { return creds.TokenContext(ctx) })
}

// refresh says that the last token was refused by an API.
func (p *process) refresh(ctx context.Context) error {
	p.mu.Lock()
	rejected := p.served
	p.mu.Unlock()
	if rejected == "" {
		return p.token(ctx)
	}
	p.w.provider.reject(rejected)
	return p.serve(ctx, func(creds *authflow.Credentials) (*oauth2.Token, error) {
		token, err := creds.Refresh(ctx, rejected)
		if err == nil && token.AccessToken == rejected {
			p.w.wrong("%s is served %s, which it said is refused", p.name, rejected)
		}
		return token, err
	})
}

// serve holds a token that p is served against what p knew when it asked.
func (p *process) serve(ctx context.Context, ask func(*authflow.Credentials) (*oauth2.Token, error)) error {
	p.mu.Lock()
	known := maps.Clone(p.knows)
	p.mu.Unlock()
	creds, err := p.credentials(ctx)
	if err != nil {
		return err
	}
	got, err := ask(creds)
	if err != nil || p.isDead() {
		return err
	}
	token := got.AccessToken
	made := p.w.provider.issued(token)
	if made == nil {
		p.w.wrong("%s is served %q, which never was a token", p.name, token)
		return nil
	}
	if age := time.Since(made.at); age >= modelLifetime {
		p.w.wrong("%s is served %s, which has expired %v ago", p.name, token, age-modelLifetime)
	}
	if ids := p.w.provider.grantsOf(made.family); len(ids) > 0 && !slices.ContainsFunc(ids, func(id string) bool { return !known[id] }) {
		p.w.wrong("%s is served %s though it knew that %s has ended", p.name, token, ids)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.served = token
	return nil
}
