package risc_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/authflow/risc"
)

// handling returns a receiver like that of a, with another Handle.
func (a *application) handling(t *testing.T, handle func(context.Context, risc.Event) error) *risc.Receiver {
	t.Helper()
	receiver, err := risc.NewReceiver(t.Context(), a.flow, risc.Config{
		Audiences: []string{client}, Store: a.store, Keys: a.keys, HTTPClient: &http.Client{Transport: a.google}, Handle: handle,
	})
	if err != nil {
		t.Fatal(err)
	}
	return receiver
}

// What was marked the first time is told the second time, when no grant has the token any more.
func TestADeliveryAfterAFailureTellsAllThatTheFirstWouldHave(t *testing.T) {
	t.Parallel()
	for name, payload := range map[risc.EventType]func(token string) map[string]any{
		risc.TokenRevoked:  func(token string) map[string]any { return named("prefix", token[:16]) },
		risc.TokensRevoked: func(string) map[string]any { return about(adaID) },
	} {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			a := newApplication(t)
			set := genuine(claims(name, payload(a.consent(t))))
			a.failing = errors.New("the application is not ready")
			for range 3 {
				if status, _ := a.deliver(t, set); status != 500 || a.alive(t) {
					t.Errorf("with Handle failing it is answered %d, alive: %t", status, a.alive(t))
				}
			}
			a.failing = nil
			for range 2 {
				if status, _ := a.deliver(t, set); status != 202 {
					t.Errorf("then it is answered %d", status)
				}
			}
			if told := a.told(); len(told) != 1 || told[0].UserID != adaID || !told[0].Marked {
				t.Errorf("told %+v", told)
			}
		})
	}
}

func TestEveryGrantIsMarkedBeforeAnybodyIsTold(t *testing.T) {
	t.Parallel()
	a := newApplication(t)
	a.consent(t)
	c := claims(risc.TokensRevoked, nil)
	c["events"] = map[string]any{"https://a.example/sorts-first": about(adaID), string(risc.TokensRevoked): about(adaID)}
	a.failing = errors.New("the application is not ready")
	if status, _ := a.deliver(t, genuine(c)); status != 500 || a.alive(t) {
		t.Errorf("answered %d, alive: %t", status, a.alive(t))
	}
}

func TestATokenThatIsBeingTakenIsNotTakenTwice(t *testing.T) {
	t.Parallel()
	a := newApplication(t)
	a.consent(t)
	var told atomic.Int32
	begun, finish := make(chan struct{}), make(chan struct{})
	a.receiver = a.handling(t, func(context.Context, risc.Event) error {
		told.Add(1)
		close(begun)
		<-finish
		return nil
	})
	set := genuine(claims(risc.TokensRevoked, about(adaID)))
	var first sync.WaitGroup
	first.Go(func() {
		if status, _ := a.deliver(t, set); status != 202 {
			t.Errorf("the first is answered %d", status)
		}
	})
	<-begun
	for range 10 {
		if status, _ := a.deliver(t, set); status != 500 {
			t.Errorf("another meanwhile is answered %d", status)
		}
	}
	close(finish)
	first.Wait()
	if status, _ := a.deliver(t, set); status != 202 || told.Load() != 1 {
		t.Errorf("one that comes afterwards is answered %d, told %d times", status, told.Load())
	}
}

func TestATokenWhoseProcessDiedIsTakenByAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newApplication(t)
		set := genuine(claims(risc.TokenRevoked, named("prefix", a.consent(t)[:16])))
		working := a.receiver
		a.receiver = a.handling(t, func(context.Context, risc.Event) error { panic(http.ErrAbortHandler) })
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the process lives")
				}
			}()
			a.deliver(t, set)
		}()
		a.receiver = working
		if status, _ := a.deliver(t, set); status != 500 {
			t.Errorf("at once it is answered %d", status)
		}
		<-time.After(time.Minute)
		if status, _ := a.deliver(t, set); status != 202 {
			t.Errorf("a minute later it is answered %d", status)
		}
		if told := a.told(); len(told) != 1 || told[0].UserID != adaID || !told[0].Marked {
			t.Errorf("told %+v", told)
		}
	})
}

func TestTheApplicationHasHalfAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newApplication(t)
		a.receiver = a.handling(t, func(ctx context.Context, _ risc.Event) error {
			<-ctx.Done()
			return ctx.Err()
		})
		set := genuine(claims(risc.Verification, nil))
		begin := time.Now()
		if status, _ := a.deliver(t, set); status != 500 || time.Since(begin) != 30*time.Second {
			t.Errorf("answered %d after %v", status, time.Since(begin))
		}
		a.receiver = a.handling(t, nil)
		if status, _ := a.deliver(t, set); status != 202 {
			t.Errorf("delivered again it is answered %d", status)
		}
	})
}

func TestATokenThatFailsForEverIsGivenUp(t *testing.T) {
	t.Parallel()
	a := newApplication(t)
	told := 0
	a.receiver = a.handling(t, func(context.Context, risc.Event) error {
		told++
		return errors.New("never")
	})
	set := genuine(claims(risc.Verification, nil))
	for range 110 {
		if status, _ := a.deliver(t, set); status != 500 {
			t.Fatalf("answered %d", status)
		}
	}
	if told != 100 {
		t.Errorf("told %d times", told)
	}
}

// Two projects may number their events alike.
func TestTheSameEventIDOfAnotherProjectIsAnotherEvent(t *testing.T) {
	t.Parallel()
	a := newApplication(t)
	for _, audience := range []string{client, "another client", client} {
		c := claims(risc.Verification, nil)
		c["jti"], c["aud"] = "1", audience
		if status, _ := a.deliver(t, genuine(c)); status != 202 {
			t.Errorf("answered %d", status)
		}
	}
	if told := a.told(); len(told) != 2 {
		t.Errorf("told %+v", told)
	}
}
