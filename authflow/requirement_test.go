package authflow_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

const (
	eve       = "eve@example.com"
	eveID     = "999999999999999999999"
	grace     = "grace@example.org"
	graced    = "example.org"
	userEmail = "https://www.googleapis.com/auth/userinfo.email"
)

// newcomers adds Eve, who has a private account, and Grace, who is of an organization.
func (x *fixture) newcomers() {
	x.google.AddUser(gmailtest.User{Email: eve, Sub: eveID})
	x.google.AddUser(gmailtest.User{Email: grace, HostedDomain: graced})
}

// untouched returns a function that checks that nothing was written to Ada's record, and nothing for anybody else.
func (x *fixture) untouched(t *testing.T) func(t *testing.T) {
	t.Helper()
	grants := func(t *testing.T) map[string]tokenstore.Record {
		t.Helper()
		all := make(map[string]tokenstore.Record)
		for key, err := range tokenstore.List(t.Context(), x.store, "grant/") {
			if err != nil {
				t.Fatal(err)
			}
			if all[key], err = x.store.Get(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
		return all
	}
	before := grants(t)
	return func(t *testing.T) {
		t.Helper()
		after := grants(t)
		if len(after) != len(before) {
			t.Errorf("%d grants are stored, after %d", len(after), len(before))
		}
		for key, was := range before {
			if is := after[key]; is.Version != was.Version || !bytes.Equal(is.Data, was.Data) {
				t.Errorf("%s was written", key)
			}
		}
	}
}

// Whoever consents in place of the account that was asked for, nothing is stored: by the handlers and by GetCredentials.
func TestAnotherAccountIsRefused(t *testing.T) {
	t.Parallel()
	domain := func(d string) authflow.Login { return loginWith(authflow.WithHostedDomain(d)) }
	for name, c := range map[string]struct {
		login    authflow.Login
		required authflow.Requirement
		who      string
		refused  bool
	}{
		"when Ada is reconnected, Ada":            {authflow.Login{UserID: adaID}, authflow.RequireUser(adaID), ada, false},
		"when Ada is reconnected, Eve":            {authflow.Login{UserID: adaID}, authflow.RequireUser(adaID), eve, true},
		"when Ada is reconnected by mail, Eve":    {authflow.Login{UserID: adaID, EmailAddress: ada}, authflow.RequireUser(adaID), eve, true},
		"when somebody unknown is, Ada":           {authflow.Login{UserID: "1234"}, authflow.RequireUser("1234"), ada, true},
		"when an address is taken for an ID, Ada": {authflow.Login{UserID: ada}, authflow.RequireUser(ada), ada, true},
		"for a domain, Grace of it":               {domain(graced), authflow.RequireHostedDomain(graced), grace, false},
		"for a domain in capitals, Grace of it":   {domain("EXAMPLE.ORG"), authflow.RequireHostedDomain("Example.ORG"), grace, false},
		"for another domain, Grace":               {domain("example.net"), authflow.RequireHostedDomain("example.net"), grace, true},
		"for a part of her domain, Grace":         {domain("org"), authflow.RequireHostedDomain("org"), grace, true},
		"for a domain above hers, Grace":          {domain("x." + graced), authflow.RequireHostedDomain("x." + graced), grace, true},
		"for the domain of her address, Ada":      {domain("example.com"), authflow.RequireHostedDomain("example.com"), ada, true},
		"for any domain, Grace":                   {domain("*"), authflow.RequireHostedDomain("*"), grace, false},
		"for any domain, Eve, who has none":       {domain("*"), authflow.RequireHostedDomain("*"), eve, true},
		"for no domain in particular, Eve":        {domain(""), authflow.RequireHostedDomain(""), eve, false},
		"when only the address is suggested, Eve": {authflow.Login{EmailAddress: ada}, nil, eve, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			x.newcomers()
			x.grant(t)
			untouched := x.untouched(t)
			s := x.site(x.flow(t), begins(c.login))
			p := s.ada()
			p.google.User = c.who
			query := p.begin(t)
			if !c.refused {
				p.connected(t, query, "/")
				if s.successes() != 1 || s.served[0].Email != c.who {
					t.Errorf("Success was called with %v", s.served)
				}
				return
			}
			check := func(err error) {
				t.Helper()
				mismatch, ok := errors.AsType[*authflow.AccountMismatchError](err)
				if !ok || mismatch.Email != c.who || mismatch.WantUserID != c.login.UserID || mismatch.UserID == c.login.UserID {
					t.Fatalf("%#v, %v; want *AccountMismatchError", mismatch, err)
				}
				untouched(t)
			}
			check(p.refused(t, query))

			callback, err := p.google.Visit(t.Context(), s.flow.GetAuthorizationURL("", "a state"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.flow.GetCredentials(t.Context(), callback.Query().Get("code"), "a state", c.required)
			check(err)
			if n := x.google.Count("revoke"); n != 0 {
				t.Error("the other account's grant was revoked, which may be in use elsewhere")
			}
		})
	}
}

func TestFewerScopesThanAskedAreRefusedOrAccepted(t *testing.T) {
	t.Parallel()
	asked := authflow.WithScopes(gmailReadonly, gmailSend)
	for name, c := range map[string]struct {
		login    authflow.Login
		required authflow.Requirement
		untick   []string
		missing  []string
		granted  []string
	}{
		"all": {
			login: authflow.Login{Options: []authflow.AuthOption{asked}}, required: authflow.RequireScopes(gmailReadonly, gmailSend),
			granted: []string{gmailReadonly, gmailSend},
		},
		"one of two": {
			login: authflow.Login{Options: []authflow.AuthOption{asked}}, required: authflow.RequireScopes(gmailReadonly, gmailSend),
			untick: []string{gmailSend}, missing: []string{gmailSend},
		},
		"none, but who they are": {
			login: authflow.Login{Options: []authflow.AuthOption{asked}}, required: authflow.RequireScopes(gmailReadonly, gmailSend),
			untick: []string{gmailSend, gmailReadonly}, missing: []string{gmailReadonly, gmailSend},
		},
		"one of two, which will do": {
			login:    authflow.Login{Options: []authflow.AuthOption{asked}, AcceptFewerScopes: true},
			required: authflow.RequireScopes(gmailReadonly), untick: []string{gmailSend}, granted: []string{gmailReadonly},
		},
		"none, which will do": {
			login:  authflow.Login{Options: []authflow.AuthOption{asked}, AcceptFewerScopes: true},
			untick: []string{gmailSend, gmailReadonly}, granted: nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			x.grant(t)
			untouched := x.untouched(t)
			s := x.site(x.flow(t), begins(c.login))
			p := s.ada()
			p.google.Untick = c.untick
			query := p.begin(t)
			if c.missing == nil {
				p.connected(t, query, "/")
				want := append(slices.Clone(c.granted), "openid", userEmail)
				if s.successes() != 1 || !slices.Equal(s.served[0].Scopes, want) || !slices.Equal(x.stored(t).Scopes, want) {
					t.Errorf("Success was called with %v, and %v stored", s.served, x.stored(t).Scopes)
				}
				return
			}
			check := func(err error) {
				t.Helper()
				lacking, ok := errors.AsType[*authflow.MissingScopesError](err)
				if !ok || !slices.Equal(lacking.Missing, c.missing) || lacking.UserID != adaID || lacking.Email != ada ||
					slices.Contains(lacking.Granted, c.missing[0]) || !slices.Contains(lacking.Granted, "openid") {
					t.Fatalf("%#v, %v; want *MissingScopesError", lacking, err)
				}
				untouched(t)
			}
			check(p.refused(t, query))

			p.google.Untick = c.untick
			callback, err := p.google.Visit(t.Context(), s.flow.GetAuthorizationURL("", "a state", asked))
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.flow.GetCredentials(t.Context(), callback.Query().Get("code"), "a state", c.required)
			check(err)
		})
	}
}

// Who a person is, and whether there is a refresh token, is found out otherwise: no box has to be ticked for that.
func TestIdentityScopesAreNotMissed(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	p := x.site(x.flow(t), begins(loginWith(authflow.WithScopes(gmailReadonly, "openid", "email", "profile")))).ada()
	x.google.Inject(gmailtest.Fault{
		Op: "token.exchange", Body: `{"access_token":"ya29.a","refresh_token":"1//r","scope":"` + gmailReadonly + `"}`,
	})
	x.google.Inject(gmailtest.Fault{Op: "userinfo", Body: `{"sub":"` + adaID + `","email":"` + ada + `"}`})
	p.connected(t, p.begin(t), "/")
	if got := x.stored(t).Scopes; !slices.Equal(got, []string{gmailReadonly}) {
		t.Errorf("stored: %q", got)
	}
}

func TestIncrementalAuthorizationMergesScopes(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	first := x.site(flow).ada()
	first.connected(t, first.begin(t), "/")
	p := x.site(flow, begins(authflow.Login{UserID: adaID, EmailAddress: ada, Options: []authflow.AuthOption{
		authflow.WithScopes(gmailSend), authflow.WithIncludeGrantedScopes(),
	}})).ada()
	p.connected(t, p.begin(t), "/")
	for name, got := range map[string][]string{"stored": x.stored(t).Scopes, "given to Success": p.served[0].Scopes} {
		if !slices.Contains(got, gmailReadonly) || !slices.Contains(got, gmailSend) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestATimeLimitedGrantSaysWhenItEnds(t *testing.T) {
	inBubble(t, gmailtest.Config{RefreshTokenLifetime: 7 * 24 * time.Hour}, func(t *testing.T, x *fixture) {
		p := x.site(x.flow(t)).ada()
		p.connected(t, p.begin(t), "/")
		if got := time.Until(x.stored(t).RefreshTokenExpiry); got != 7*24*time.Hour {
			t.Errorf("it ends in %v", got)
		}
	})
}

// The errors of what is required say whom and what, and nothing that is secret.
func TestARequirementThatIsNotMetIsExplained(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	x.newcomers()
	for name, c := range map[string]struct {
		login authflow.Login
		says  []string
	}{
		"another user":   {authflow.Login{UserID: adaID}, []string{eveID, eve, `not to user "` + adaID + `"`}},
		"another domain": {loginWith(authflow.WithHostedDomain(graced)), []string{eve, `hosted domain ""`, graced}},
	} {
		p := x.site(x.flow(t), begins(c.login)).ada()
		p.google.User = eve
		err := p.refused(t, p.begin(t))
		for _, text := range c.says {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: the error does not say %q: %v", name, text, err)
			}
		}
	}
}
