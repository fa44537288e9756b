package authflow_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// flipped returns text, which is base64 for URLs, with one bit of the character at i changed: the least, which may
// be left over.
func flipped(text string, i int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return text[:i] + string(alphabet[strings.IndexByte(alphabet, text[i])^1]) + text[i+1:]
}

func TestACookieThatWasNotMadeHereIsForged(t *testing.T) {
	t.Parallel()
	const otherClient = "other-client"
	for name, forge := range map[string]func(t *testing.T, x *fixture, genuine cookie, state string) string{
		"since it is empty":     func(*testing.T, *fixture, cookie, string) string { return "" },
		"since it is no base64": func(*testing.T, *fixture, cookie, string) string { return "{}!" },
		"since it is padded":    func(_ *testing.T, _ *fixture, c cookie, _ string) string { return c.value + "=" },
		"since it goes on":      func(_ *testing.T, _ *fixture, c cookie, _ string) string { return c.value + "AAAA" },
		"since it is short":     func(*testing.T, *fixture, cookie, string) string { return "AAAA" },
		"since it is zeros": func(_ *testing.T, _ *fixture, c cookie, _ string) string {
			return strings.Repeat("A", len(c.value))
		},
		"since it is plain text":    func(*testing.T, *fixture, cookie, string) string { return "eyJzIjoieCIsImUiOjk5OTk5OTk5OTk5fQ" },
		"since its start is gone":   func(_ *testing.T, _ *fixture, c cookie, _ string) string { return c.value[4:] },
		"since its end is gone":     func(_ *testing.T, _ *fixture, c cookie, _ string) string { return c.value[:len(c.value)-4] },
		"since its nonce was moved": func(_ *testing.T, _ *fixture, c cookie, _ string) string { return flipped(c.value, 0) },
		"since one bit is another": func(_ *testing.T, _ *fixture, c cookie, _ string) string {
			return flipped(c.value, len(c.value)/2)
		},
		"since its tag is another": func(_ *testing.T, _ *fixture, c cookie, _ string) string {
			return flipped(c.value, len(c.value)-3)
		},
		"since it is another sign-in's": func(t *testing.T, x *fixture, _ cookie, _ string) string {
			t.Helper()
			eve := x.site(x.flow(t)).ada()
			eve.begin(t)
			return eve.cookies[0].value
		},
		"since another key sealed it": func(t *testing.T, x *fixture, _ cookie, _ string) string {
			t.Helper()
			eve := x.site(x.flow(t, sessionKey)).ada()
			eve.begin(t)
			return eve.cookies[0].value
		},
		"since another client's Flow sealed it, with the same key": func(t *testing.T, x *fixture, _ cookie, _ string) string {
			t.Helper()
			eve := x.site(x.flow(t, withSessionKey, func(cfg *authflow.Config) { cfg.ClientID = otherClient })).ada()
			eve.login(t, "/login")
			return eve.cookies[0].value
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			p := x.site(x.flow(t, withSessionKey)).ada()
			query := p.begin(t)
			genuine := p.cookies[0]
			p.cookies[0].value = forge(t, x, genuine, param(t, query, "state"))
			if got := reason(p.refused(t, query)); got != authflow.CallbackForged {
				t.Errorf("it is refused as %q", got)
			}
			if w := p.arrive(t, query); w.Code != http.StatusBadRequest || leads(w) != "/login" || len(cookiesOf(w)) != 0 {
				t.Errorf("the person is told %d %q, which leads to %q", w.Code, told(w), leads(w))
			}
			if n := x.exchanges(); n != 0 || p.successes() != 0 {
				t.Errorf("the code was sent %d times, and %d sign-ins succeeded", n, p.successes())
			}
			p.cookies[0] = genuine
			p.connected(t, query, "/") // nothing of that used it up
		})
	}
}

func TestEveryByteOfACookieIsAuthenticated(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	for _, to := range []string{"/a", "/ab", "/abc"} { // base64 leaves none, two or four bits over
		p := x.site(flow).ada()
		query := p.consent(t, p.login(t, "/login?return_to="+to))
		genuine := p.cookies[0].value
		for i := range genuine {
			p.cookies[0].value = flipped(genuine, i)
			if got := reason(p.refused(t, query)); got != authflow.CallbackForged {
				t.Fatalf("with another character at %d of %d it is refused as %q", i, len(genuine), got)
			}
		}
	}
}

func TestACallbackInAnotherBrowserIsForeign(t *testing.T) {
	t.Parallel()
	for name, browser := range map[string]func(t *testing.T, s *site, eve *person) *person{
		"that knows nothing":   func(_ *testing.T, s *site, _ *person) *person { return s.ada() },
		"that signs in itself": func(t *testing.T, s *site, _ *person) *person { t.Helper(); p := s.ada(); p.begin(t); return p },
		"of the same person, elsewhere": func(t *testing.T, s *site, _ *person) *person {
			t.Helper()
			p := s.ada()
			p.connected(t, p.begin(t), "/")
			return p
		},
		"that takes no cookies": func(_ *testing.T, _ *site, eve *person) *person { eve.cookies = nil; return eve },
		"whose cookie has another's name": func(_ *testing.T, _ *site, eve *person) *person {
			eve.cookies[0].name = flipped(eve.cookies[0].name, len(eve.cookies[0].name)-1)
			return eve
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			s := x.site(x.flow(t))
			eve := s.ada() // who wants others to be connected to her account
			query := eve.begin(t)
			victim := browser(t, s, eve)
			before, asked := s.successes(), x.exchanges()
			if got := reason(victim.refused(t, query)); got != authflow.CallbackForeign {
				t.Errorf("it is refused as %q", got)
			}
			if w := victim.arrive(t, query); w.Code != http.StatusBadRequest || leads(w) != "/login" {
				t.Errorf("the person is told %d %q, which leads to %q", w.Code, told(w), leads(w))
			}
			if s.successes() != before || x.exchanges() != asked {
				t.Error("it signed somebody in, or the code was sent")
			}
		})
	}
}

func TestASignInLastsTenMinutes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		took time.Duration
		want authflow.CallbackReason
	}{
		"and ends within":          {10*time.Minute - time.Second, ""},
		"and not a second longer":  {10 * time.Minute, authflow.CallbackExpired},
		"nor into the next summer": {300 * 24 * time.Hour, authflow.CallbackExpired},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				p := x.site(x.flow(t)).ada()
				p.keeps = true // as somebody who kept a cookie for later would
				authURL := p.login(t, "/login?return_to=/inbox")
				pass(c.took)
				query := "code=4/0A&state=" + param(t, authURL, "state")
				if c.want == "" {
					query = p.consent(t, authURL)
					p.connected(t, query, "/inbox")
					return
				}
				if got := reason(p.refused(t, query)); got != c.want {
					t.Errorf("it is refused as %q", got)
				}
				w := p.arrive(t, query)
				if told(w) != "That took too long" || leads(w) != "/login?return_to=/inbox" {
					t.Errorf("the person is told %q, which leads to %q", told(w), leads(w))
				}
				if n := x.exchanges(); n != 0 {
					t.Errorf("the code was sent %d times", n)
				}
			})
		})
	}
}

func TestTheClockOfTheConfigEndsASignIn(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	var ahead time.Duration
	flow := x.flow(t, func(cfg *authflow.Config) { cfg.Now = func() time.Time { return time.Now().Add(ahead) } })
	p := x.site(flow).ada()
	query := p.begin(t)
	ahead = 11 * time.Minute
	if got := reason(p.refused(t, query)); got != authflow.CallbackExpired {
		t.Errorf("it is refused as %q", got)
	}
}

func TestALoginTidiesUp(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		p := x.site(x.flow(t)).ada()
		p.keeps = true
		p.begin(t)
		name := p.cookies[0].name
		pass(11 * time.Minute)
		others := []string{
			"__Host-session", "__Host-mailgrant-session", "mailgrant-theme", "__Host-mailgrant", "theme",
			strings.TrimPrefix(name, "__Host-"), // on localhost
		}
		for _, other := range others {
			p.cookies = append(p.cookies, cookie{name: other, value: "the application's own"})
		}
		unreadable := name[:len(name)-12] + "0123456789ab"
		p.cookies = append(p.cookies, cookie{name: unreadable, value: "left over from an older key"})

		w := p.get(t, "/login")
		var dropped []string
		for _, c := range cookiesOf(w) {
			if c.MaxAge < 0 {
				dropped = append(dropped, c.Name)
			}
			if err := c.Valid(); err != nil || !c.Secure || c.Path != "/" || c.Domain != "" {
				t.Errorf("browsers ignore %s: %v", c.Raw, err)
			}
		}
		if want := []string{name, unreadable}; !slices.Equal(dropped, want) {
			t.Errorf("the cookies %q were dropped, want %q", dropped, want)
		}
	})
}

func TestFlowsOfTwoClientsShareAHost(t *testing.T) {
	t.Parallel()
	second := gmailtest.Client{ID: "second-client", Secret: "the second client's secret"}
	x := newFixture(t, gmailtest.Config{Clients: []gmailtest.Client{gmailtest.DefaultClient(), second}})
	personal := x.site(x.flow(t)).ada()
	query := personal.begin(t)
	work := personal.at(x.site(x.flow(t, func(cfg *authflow.Config) { cfg.ClientID, cfg.ClientSecret = second.ID, second.Secret })))
	other := work.begin(t)
	personal.cookies = work.cookies // one browser, which both told of their cookies
	personal.connected(t, query, "/")
	work.connected(t, other, "/")
}
