package authflow_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// A double click, a reload, the back button: what becomes of a callback that comes again.

// arriving brings query to the redirect URL and returns a function that waits for the answer.
func (p *person) arriving(t *testing.T, query string) func() *httptest.ResponseRecorder {
	t.Helper()
	req := ask(t, http.MethodGet, "/callback?"+query)
	answer := make(chan *httptest.ResponseRecorder, 1)
	go func() { answer <- p.send(req) }()
	return func() *httptest.ResponseRecorder { return <-answer }
}

func TestAReloadShowsTheFirstOutcome(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		s := x.site(x.flow(t))
		p := s.ada()
		query := p.consent(t, p.login(t, "/login?return_to=/inbox"))
		for i, after := range []time.Duration{0, time.Second, 30 * time.Second, 28 * time.Second} {
			pass(after)
			p.connected(t, query, "/inbox")
			if s.successes() != i+1 || s.served[i].UserID != adaID || s.served[i].Email != ada {
				t.Errorf("Success was called with %v", s.served)
			}
		}
		other := p.at(x.site(x.flow(t))) // another process, which knows the store alone
		other.connected(t, query, "/inbox")
		if n := x.exchanges(); n != 1 {
			t.Errorf("the code was sent %d times", n)
		}
	})
}

func TestACallbackIsOfNoUseAMinuteLater(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keeps bool
		want  authflow.CallbackReason
	}{
		"since it is used":                         {true, authflow.CallbackUsed},
		"since the browser has dropped its cookie": {false, authflow.CallbackForeign},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				s := x.site(x.flow(t))
				p := s.ada()
				query := p.begin(t)
				p.keeps = c.keeps
				p.connected(t, query, "/")
				before := x.stored(t)
				for _, after := range []time.Duration{time.Minute + time.Nanosecond, 4 * time.Minute, 4 * time.Minute} {
					pass(after)
					for _, p := range []*person{p, p.at(x.site(x.flow(t)))} {
						if got := reason(p.refused(t, query)); got != c.want {
							t.Errorf("%v later it is refused as %q", after, got)
						}
					}
				}
				if n := x.exchanges(); n != 1 || s.successes() != 1 {
					t.Errorf("the code was sent %d times, and Success called %d times", n, s.successes())
				}
				x.unchanged(t, before)
			})
		})
	}
}

func TestAReloadOfAFailureShowsTheSamePage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*options)
		spoil  func(x *fixture, p *person)
		page   string
		wraps  func(err error) bool // what the application needs to know of the first error; nil: nothing
	}{
		"that scopes are missing": {
			nil, func(_ *fixture, p *person) { p.google.Untick = []string{gmailReadonly} }, "Some permissions are missing",
			func(err error) bool {
				e, ok := errors.AsType[*authflow.MissingScopesError](err)
				return ok && slices.Equal(e.Missing, []string{gmailReadonly}) && e.UserID == adaID && e.Email == ada
			},
		},
		"that the account is another": {
			begins(authflow.Login{UserID: "1234"}), func(*fixture, *person) {}, "That was another account",
			func(err error) bool {
				e, ok := errors.AsType[*authflow.AccountMismatchError](err)
				return ok && e.WantUserID == "1234" && e.UserID == adaID && e.Email == ada
			},
		},
		"that the provider sent no refresh token": {
			nil, func(x *fixture, _ *person) { x.withholdRefreshToken() },
			"The provider did not answer as it should",
			func(err error) bool {
				e, ok := errors.AsType[*authflow.NoRefreshTokenError](err)
				return ok && e.UserID == adaID && e.Email == ada && strings.Contains(err.Error(), "failed a moment ago")
			},
		},
		"that the provider is not well": {
			nil, func(x *fixture, _ *person) {
				x.google.Inject(gmailtest.Fault{Op: "token.exchange", Status: 503, Times: 1})
			},
			"The provider did not answer as it should", nil,
		},
		"that the application is not set up": {
			nil, func(x *fixture, _ *person) {
				f := gmailtest.TokenError("invalid_client", "x")
				f.Times = 1
				x.google.Inject(f)
			},
			"This application is not set up correctly", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				s := x.site(x.flow(t), failure{change: c.change}.changes)
				p := s.ada()
				authURL := p.login(t, "/login?return_to=/inbox")
				c.spoil(x, p)
				query := p.consent(t, authURL)
				first := p.arrive(t, query)
				if told(first) != c.page {
					t.Errorf("the person is told %q", told(first))
				}
				for _, p := range []*person{p, p.at(x.site(x.flow(t)))} {
					pass(10 * time.Second)
					again := p.arrive(t, query)
					if again.Code != first.Code || again.Body.String() != first.Body.String() {
						t.Errorf("then %d %q, after %d %q", again.Code, told(again), first.Code, told(first))
					}
					if err := p.refused(t, query); reason(err) != authflow.CallbackRepeated || c.wraps != nil && !c.wraps(err) {
						t.Errorf("Failure is told %v", err)
					}
				}
				if n := x.exchanges(); n != 1 || s.successes() != 0 {
					t.Errorf("the code was sent %d times, and Success called %d times", n, s.successes())
				}
				if _, err := x.grants(t).Get(t.Context(), adaID); !errors.Is(err, tokenstore.ErrNotFound) {
					t.Errorf("something is stored: %v", err)
				}
			})
		})
	}
}

func TestADoubleClickSendsTheCodeOnce(t *testing.T) {
	t.Parallel()
	for name, processes := range map[string]int{"to one process": 1, "to two processes": 2, "to five processes": 5} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				x.google.Inject(gmailtest.Fault{Op: "token.exchange", Delay: 3 * time.Second})
				var people []*person
				first := x.site(x.flow(t)).ada()
				query := first.consent(t, first.login(t, "/login?return_to=/inbox"))
				for range processes {
					people = append(people, first.at(x.site(x.flow(t))))
				}
				var answers []func() *httptest.ResponseRecorder
				start := time.Now()
				for i := range 10 {
					answers = append(answers, people[i%processes].arriving(t, query))
				}
				for _, answer := range answers {
					if w := answer(); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/inbox" {
						t.Errorf("a click is answered %d %q", w.Code, told(w))
					}
				}
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("the clicks were answered after %v", took)
				}
				successes := 0
				for _, p := range people {
					successes += p.successes()
				}
				if n := x.exchanges(); n != 1 || successes != 10 {
					t.Errorf("the code was sent %d times, and Success called %d times", n, successes)
				}
			})
		})
	}
}

func TestAProcessThatDiesLeavesNoCodeToBeSentTwice(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		dying := &faultyStore{TokenStore: x.store}
		dead := x.site(x.flow(t, func(cfg *authflow.Config) {
			cfg.Store = dying
			cfg.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				dying.fail(errStoreDown, errStoreDown) // it has claimed, and writes nothing any more
				<-r.Context().Done()
				return nil, r.Context().Err()
			})}
		}))
		p := dead.ada()
		query := p.begin(t)
		_ = p.arriving(t, query)
		synctest.Wait()

		p = p.at(x.site(x.flow(t)))
		start := time.Now()
		err := p.refused(t, query)
		if reason(err) != authflow.CallbackUsed || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the second callback is refused with %v", err)
		}
		if took := time.Since(start); took < 30*time.Second || took > 40*time.Second {
			t.Errorf("it waited %v", took)
		}
		if n := x.exchanges(); n != 0 {
			t.Errorf("the code was sent %d times", n)
		}
		p.connected(t, p.begin(t), "/") // who starts again is connected
	})
}

func TestAStoreThatFailsAfterTheExchangeLetsNobodySendTheCodeAgain(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		var d diary
		s := x.site(x.flow(t, func(cfg *authflow.Config) {
			cfg.Observer = func(e authflow.Event) {
				d.observe(e)
				if e.Kind == authflow.Consented {
					x.store.fail(nil, errStoreDown) // when the outcome is to be noted
				}
			}
		}))
		p := s.ada()
		query := p.begin(t)
		p.connected(t, query, "/")
		if want := []string{"consented", "store_trouble"}; !slices.Equal(d.kinds(), want) {
			t.Errorf("the Observer is told %v, want %v", d.kinds(), want)
		}
		x.store.fail(nil, nil)
		if got := reason(p.refused(t, query)); got != authflow.CallbackUsed {
			t.Errorf("a reload is refused as %q", got)
		}
		if n := x.exchanges(); n != 1 {
			t.Errorf("the code was sent %d times", n)
		}
		x.stored(t)
	})
}

func TestABrowserThatGoesAwayIsConnectedAllTheSame(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		s := x.site(x.flow(t))
		p := s.ada()
		query := p.consent(t, p.login(t, "/login?return_to=/inbox"))
		x.google.Inject(gmailtest.Fault{Op: "token.exchange", Delay: 3 * time.Second})
		ctx, leave := context.WithCancel(t.Context())
		var first sync.WaitGroup
		req := ask(t, http.MethodGet, "/callback?"+query).WithContext(ctx)
		first.Go(func() { s.ServeHTTP(httptest.NewRecorder(), p.withCookies(req)) })
		pass(time.Second)
		leave()
		p.connected(t, query, "/inbox") // it comes again, and waits for what was begun
		first.Wait()
		if n := x.exchanges(); n != 1 {
			t.Errorf("the code was sent %d times", n)
		}
		x.stored(t)
	})
}

func TestWhoWaitsForAnOutcomeCanGoAway(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		p := x.site(x.flow(t)).ada()
		query := p.begin(t)
		x.google.Inject(gmailtest.Fault{Op: "token.exchange", Delay: 8 * time.Second})
		first := p.arriving(t, query)
		pass(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := p.failure(t, ask(t, http.MethodGet, "/caught?"+query).WithContext(ctx))
		if took := time.Since(start); took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v", took, err)
		}
		if w := first(); w.Code != http.StatusSeeOther {
			t.Errorf("the first is answered %d %q", w.Code, told(w))
		}
	})
}

func TestWhoWaitsInVainIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		meanwhile func(t *testing.T, x *fixture)
		reason    authflow.CallbackReason
		err       error
	}{
		"since the store has forgotten the first": {func(t *testing.T, x *fixture) {
			t.Helper()
			for key, err := range tokenstore.List(t.Context(), x.store, "ns:mailgrant%20sign-ins/") {
				if err != nil {
					t.Error(err)
					return
				}
				rec, err := x.store.Get(t.Context(), key)
				if err == nil {
					err = x.store.Swap(t.Context(), key, rec.Version, tokenstore.Record{})
				}
				if err != nil {
					t.Error(err)
				}
			}
		}, authflow.CallbackUsed, tokenstore.ErrNotFound},
		"since the store is down": {func(_ *testing.T, x *fixture) { x.store.fail(errStoreDown, errStoreDown) }, "", errStoreDown},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				p := x.site(x.flow(t)).ada()
				query := p.begin(t)
				x.google.Inject(gmailtest.Fault{Op: "token.exchange", Delay: 8 * time.Second})
				first := p.arriving(t, query)
				pass(time.Second)
				time.AfterFunc(time.Second, func() { c.meanwhile(t, x) })
				if err := p.refused(t, query); reason(err) != c.reason || !errors.Is(err, c.err) {
					t.Errorf("the second callback is refused with %v", err)
				}
				first()
				if n := x.exchanges(); n != 1 {
					t.Errorf("the code was sent %d times", n)
				}
			})
		})
	}
}

// An outcome that can't be used any more is told as what it is by now.
func TestAReloadAfterTheGrantHasEnded(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(context.Context, *authflow.Flow) error{
		"since it was revoked":   func(ctx context.Context, f *authflow.Flow) error { return f.Revoke(ctx, adaID) },
		"since it was forgotten": func(ctx context.Context, f *authflow.Flow) error { return f.Forget(ctx, adaID) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			s := x.site(x.flow(t))
			p := s.ada()
			query := p.begin(t)
			p.connected(t, query, "/")
			if err := end(t.Context(), s.flow); err != nil {
				t.Fatal(err)
			}
			if w := p.arrive(t, query); told(w) != "This account is not connected" || leads(w) != "/login" {
				t.Errorf("the person is told %d %q, which leads to %q", w.Code, told(w), leads(w))
			}
			err := p.refused(t, query)
			if !errors.Is(err, tokenstore.ErrNotFound) && !strings.Contains(name, "revoked") {
				t.Errorf("Failure is told %v", err)
			}
			if s.successes() != 1 || x.exchanges() != 1 {
				t.Error("Success was called again, or the code sent")
			}
		})
	}
}
