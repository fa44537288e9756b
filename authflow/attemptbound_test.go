package authflow_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// A cookie is for one sign-in, even among those of one browser that were sealed with one key.
func TestAnotherSignInsCookieIsForged(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	p := x.site(x.flow(t)).ada()
	p.begin(t)
	query := p.begin(t)
	p.cookies[1].value = p.cookies[0].value
	if got := reason(p.refused(t, query)); got != authflow.CallbackForged {
		t.Errorf("refused as %q", got)
	}
}

// A hostile provider can assign the client ID of another, and would be sent that one's code.
func TestASignInAtOneProviderIsForeignAtAnother(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	a := x.site(x.flow(t, withSessionKey)).ada()
	query := a.begin(t)
	b := a.at(x.site(x.flow(t, withSessionKey, func(cfg *authflow.Config) {
		cfg.Provider = authflow.Google()
		cfg.Provider.Issuer, cfg.Provider.JWKSURL = "https://other.example", ""
	})))
	before := x.exchanges()
	if got := reason(b.refused(t, query)); got != authflow.CallbackForeign {
		t.Errorf("refused as %q", got)
	}
	if x.exchanges() != before {
		t.Error("the code was sent")
	}
}

func TestALoginStoresNothing(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	p := x.site(x.flow(t)).ada()
	for range 100 {
		p.login(t, "/login")
	}
	for key, err := range tokenstore.List(t.Context(), x.store, "") {
		t.Errorf("%q is stored, %v", key, err)
	}
}

// Links to the login with long paths must not fill the browser with cookies until the server takes no request any more.
func TestCookiesOfSignInsStaySmallTogether(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"short": "/inbox", "long": "/" + strings.Repeat("a", 490)} {
		x := newFixture(t, gmailtest.Config{})
		p := x.site(x.flow(t)).ada()
		for range 10 {
			p.login(t, "/login?return_to="+path)
		}
		header := p.withCookies(ask(t, http.MethodGet, "/")).Header.Get("Cookie")
		if len(header) > 5<<10 || len(p.cookies) < 2 {
			t.Errorf("%s: %d cookies of %d bytes", name, len(p.cookies), len(header))
		}
	}
}

func TestAReloadMayCrossTheTenthMinute(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		p := x.site(x.flow(t)).ada()
		authURL := p.login(t, "/login?return_to=/inbox")
		pass(9*time.Minute + 58*time.Second)
		query := p.consent(t, authURL)
		p.connected(t, query, "/inbox")
		pass(5 * time.Second)
		p.connected(t, query, "/inbox")
	})
}

func TestAReloadAfterARevocationLeadsToTheLogin(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	s := x.site(x.flow(t))
	p := s.ada()
	query := p.begin(t)
	p.connected(t, query, "/")
	if err := s.flow.Revoke(t.Context(), adaID); err != nil {
		t.Fatal(err)
	}
	ended, ok := errors.AsType[*authflow.ReauthorizationRequiredError](p.refused(t, query))
	if !ok || !strings.HasPrefix(ended.AuthorizationURL, "/login") {
		t.Errorf("%+v", ended)
	}
}

func TestAnEmptyRequirementIsNobodys(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	for name, required := range map[string]authflow.Requirement{
		"user": authflow.RequireUser(""), "hosted domain": authflow.RequireHostedDomain(""),
	} {
		code, state := x.code(t, flow)
		if _, err := flow.GetCredentials(t.Context(), code, state, required); !errors.As(err, new(*authflow.AccountMismatchError)) {
			t.Errorf("an empty %s: %v", name, err)
		}
	}
}
