package authflow_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

func TestASignInConnectsThePerson(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{SendIss: true})
	s := x.site(x.flow(t))
	p := s.ada()
	query := p.consent(t, p.login(t, "/login?return_to=/inbox"))
	w := p.arrive(t, query)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/inbox" {
		t.Errorf("the callback answers %d to %q: %s", w.Code, w.Header().Get("Location"), told(w))
	}
	if s.successes() != 1 || s.served[0].UserID != adaID || s.served[0].Email != ada {
		t.Fatalf("Success was called with %v", s.served)
	}
	if grant := x.stored(t); grant.RefreshToken == "" || grant.UserID != adaID {
		t.Errorf("stored: %+v", grant)
	}
	if token(t, s.served[0]) == "" {
		t.Error("the credentials have no token")
	}
	// Neither a cache, nor a Referer, nor a frame learns the code that is in the callback's URL.
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestACallbackThatNoProviderMakesIsMalformed(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{SendIss: true})
	s := x.site(x.flow(t))
	for name, spoil := range map[string]func(query string) string{
		"nothing":              func(string) string { return "" },
		"no state":             func(q string) string { return without(q, "state") },
		"no code":              func(q string) string { return without(q, "code") },
		"an empty state":       func(q string) string { return without(q, "state") + "&state=" },
		"two states":           func(q string) string { return q + "&state=another" },
		"the same state twice": func(q string) string { return q + "&state=" + valueOf(q, "state") },
		"two codes":            func(q string) string { return q + "&code=another" },
		"a code and an error":  func(q string) string { return q + "&error=access_denied" },
		"two errors":           func(q string) string { return without(q, "code") + "&error=access_denied&error=x" },
		"another issuer":       func(q string) string { return without(q, "iss") + "&iss=https://evil.example" },
		"a denial of another": func(q string) string {
			return "error=access_denied&iss=https://evil.example&state=" + valueOf(q, "state")
		},
		"the issuer with slash": func(q string) string { return without(q, "iss") + "&iss=https://accounts.google.com/" },
		"the issuer shortened":  func(q string) string { return without(q, "iss") + "&iss=accounts.google.com" },
		"no issuer's name":      func(q string) string { return without(q, "iss") + "&iss=" },
		"two issuers":           func(q string) string { return q + "&iss=https://evil.example" },
		"the same issuer twice": func(q string) string { return q + "&iss=https://accounts.google.com" },
		"a broken escape":       func(q string) string { return q + "&x=%zz" },
		"a semicolon":           func(q string) string { return strings.ReplaceAll(q, "&", ";") },
		"100 KB":                func(q string) string { return q + "&x=" + strings.Repeat("x", 100<<10) },
		"20,000 parameters":     func(q string) string { return q + strings.Repeat("&x", 20_000) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := s.ada()
			query := p.begin(t)
			spoilt := spoil(query)
			err := p.refused(t, spoilt)
			if got := reason(err); got != authflow.CallbackMalformed {
				t.Errorf("it is refused as %q: %v", got, err)
			}
			if err != nil && len(err.Error()) > 300 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			w := p.arrive(t, spoilt)
			if w.Code != http.StatusBadRequest || told(w) != "This link is damaged" || leads(w) != "/login" || len(cookiesOf(w)) != 0 {
				t.Errorf("the person is told %d %q, which leads to %q", w.Code, told(w), leads(w))
			}
			p.connected(t, query, "/") // it has used up nothing
		})
	}
}

// without returns query without a parameter.
func without(query, name string) string {
	values, _ := url.ParseQuery(query)
	values.Del(name)
	return values.Encode()
}

func valueOf(query, name string) string {
	values, _ := url.ParseQuery(query)
	return url.QueryEscape(values.Get(name))
}

func TestWhoDeniesIsToldSo(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	s := x.site(x.flow(t))
	p := s.ada()
	p.google.Deny = true
	authURL := p.login(t, "/login?return_to=/inbox")
	query := p.consent(t, authURL)
	denied, ok := errors.AsType[*authflow.AuthorizationDeniedError](p.refused(t, query))
	if !ok || !denied.ByUser() {
		t.Errorf("Failure is told %v", denied)
	}
	for range 2 { // by a reload, too
		if w := p.arrive(t, query); w.Code != http.StatusForbidden || told(w) != "Not connected" || leads(w) != "/login?return_to=/inbox" {
			t.Errorf("the person is told %d %q, which leads to %q", w.Code, told(w), leads(w))
		}
	}
	if n := x.google.Count("token.*"); n != 0 || s.successes() != 0 {
		t.Errorf("the token endpoint was asked %d times", n)
	}
}

func TestWhoDeniesCanGoBackAndConsent(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		p := x.site(x.flow(t)).ada()
		p.google.Deny = true
		authURL := p.login(t, "/login")
		p.arrive(t, p.consent(t, authURL))
		pass(5 * time.Minute)
		p.google.Deny = false
		p.connected(t, p.consent(t, authURL), "/")
	})
}

func TestADenialNeedsTheBrowserThatItBelongsTo(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	if got := reason(x.site(x.flow(t)).ada().refused(t, "error=access_denied&state=anything")); got != authflow.CallbackForeign {
		t.Errorf("it is refused as %q", got)
	}
}

func TestSuccessMustSayWhatBecameOfTheSession(t *testing.T) {
	t.Parallel()
	errSession := errors.New("the session store is full")
	for name, c := range map[string]struct {
		said authflow.SessionRenewal
		err  error
		want string // in the error; "" for none
	}{
		"renewed":                  {authflow.SessionRenewed, nil, ""},
		"none kept":                {authflow.NoSession, nil, ""},
		"nothing":                  {0, nil, "return SessionRenewed or NoSession"},
		"something else":           {17, nil, "return SessionRenewed or NoSession"},
		"an error":                 {0, errSession, errSession.Error()},
		"an error, but it renewed": {authflow.SessionRenewed, errSession, errSession.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			s := x.site(x.flow(t), func(o *options) {
				o.callback.Success = func(http.ResponseWriter, *http.Request, *authflow.Credentials) (authflow.SessionRenewal, error) {
					return c.said, c.err
				}
			})
			p := s.ada()
			query := p.begin(t)
			if c.want == "" {
				p.connected(t, query, "/")
				return
			}
			if w := p.arrive(t, query); w.Code != http.StatusInternalServerError || w.Header().Get("Location") != "" || leads(w) != "/login" {
				t.Errorf("the callback answers %d %q, which leads to %q", w.Code, told(w), leads(w))
			}
			err := p.refused(t, query)
			if err == nil || !strings.Contains(err.Error(), c.want) || c.err != nil && !errors.Is(err, c.err) {
				t.Errorf("Failure is told %v", err)
			}
		})
	}
}

func TestHandlersPanicWhereTheyCouldNotWork(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	user := func(*http.Request) (string, error) { return adaID, nil }
	withoutRevocation := x.flow(t, func(cfg *authflow.Config) {
		cfg.Provider = authflow.Google()
		cfg.Provider.RevokeURL = ""
	})
	for field, mount := range map[string]func() http.Handler{
		"CallbackOptions.Success": func() http.Handler { return flow.CallbackHandler(authflow.CallbackOptions{}) },
		"CallbackOptions.LoginPath": func() http.Handler {
			return flow.CallbackHandler(authflow.CallbackOptions{Success: new(site).succeed, LoginPath: "//evil.example/login"})
		},
		"DisconnectOptions.User": func() http.Handler { return flow.DisconnectHandler(authflow.DisconnectOptions{}) },
		"DisconnectOptions.ForgetOnly": func() http.Handler {
			return withoutRevocation.DisconnectHandler(authflow.DisconnectOptions{User: user})
		},
	} {
		func() {
			defer func() {
				err, _ := recover().(error)
				if wrong, ok := errors.AsType[*authflow.ConfigError](err); !ok || wrong.Field != field {
					t.Errorf("%s: panic %v", field, err)
				}
			}()
			mount()
		}()
	}
	withoutRevocation.DisconnectHandler(authflow.DisconnectOptions{User: user, ForgetOnly: true})
}

// Somebody who knows the session ID that a person had before has nothing of what the person connects (session fixation).
func TestASessionIDFromBeforeIsWorthNothing(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	sessions := map[string]string{"planted by eve": ""} // user IDs by session ID
	flow := x.flow(t)
	s := x.site(flow, func(o *options) {
		o.callback.Success = func(w http.ResponseWriter, r *http.Request, creds *authflow.Credentials) (authflow.SessionRenewal, error) {
			if old, err := r.Cookie("__Host-session"); err == nil {
				delete(sessions, old.Value)
			}
			id := authflow.NewState()
			sessions[id] = creds.UserID
			http.SetCookie(w, &http.Cookie{
				Name: "__Host-session", Value: id, Path: "/", MaxAge: 3600, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
			})
			return authflow.SessionRenewed, nil
		}
	})
	p := s.ada()
	p.cookies = []cookie{{"__Host-session", "planted by eve", time.Now().Add(time.Hour)}}
	p.connected(t, p.begin(t), "/")
	if _, alive := sessions["planted by eve"]; alive {
		t.Error("the old session lives")
	}
	if now := p.cookies[0]; now.name != "__Host-session" || sessions[now.value] != adaID {
		t.Errorf("the person's session is %q, of %q", now.value, sessions[now.value])
	}
}

func TestAStoreThatIsDownSignsNobodyIn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ get, put error }{
		"for reading and writing": {errStoreDown, errStoreDown},
		"for writing":             {nil, errStoreDown},
		"for reading":             {errStoreDown, nil},
		"since it never agrees":   {nil, tokenstore.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				p := x.site(x.flow(t)).ada()
				query := p.begin(t)
				x.store.fail(c.get, c.put)
				w := p.arrive(t, query)
				if w.Code != http.StatusInternalServerError || told(w) != "Something went wrong" || leads(w) != "/login" {
					t.Errorf("the person is told %d %q, which leads to %q", w.Code, told(w), leads(w))
				}
				if err := p.refused(t, query); err == nil || reason(err) != "" {
					t.Errorf("Failure is told %v", err)
				}
				if n := x.exchanges(); n != 0 {
					t.Errorf("the code was sent %d times, without a claim", n)
				}
				x.store.fail(nil, nil)
				p.connected(t, query, "/") // nothing is lost
			})
		})
	}
}
