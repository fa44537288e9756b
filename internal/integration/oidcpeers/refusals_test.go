package oidcpeers_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/tokenstore"
)

func TestARefusalAtTheConsentPageSaysWhose(t *testing.T) {
	t.Parallel()
	no := ada
	no.denies = true
	narrow := webClient()
	narrow.Scope = "openid email offline_access"
	for name, c := range map[string]struct {
		client client
		person person
		prompt string
		code   string
		byUser bool
	}{
		"the person's":           {webClient(), no, "consent", "access_denied", true},
		"that nobody is present": {webClient(), ada, "none", "login_required", false},
		"the client's":           {narrow, ada, "consent", "invalid_scope", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startProvider(t, c.client)
			flow := newApp(t, p.issuer).flow(t)
			back := newBrowser(t, c.person).visit(t, flow.GetAuthorizationURL("", "a-state", authflow.WithPrompt(c.prompt)))
			_, _, err := flow.ParseCallback(back.Query())
			denied, ok := errors.AsType[*authflow.AuthorizationDeniedError](err)
			if !ok || denied.Code != c.code || denied.ByUser() != c.byUser || back.Query().Get("iss") != p.issuer {
				t.Errorf("the callback %s is taken for %v", back, err)
			}
			p.checkCalls(t, map[string]int{})
		})
	}
}

func TestUntickedScopesAreMissingUntilTheyAreTicked(t *testing.T) {
	t.Parallel()
	p := startProvider(t, webClient())
	a := newApp(t, p.issuer)
	flow := a.flow(t)
	unwilling := ada
	unwilling.unticks = []string{gmailReadonly}
	code, state := consent(t, flow, newBrowser(t, unwilling))
	_, err := flow.GetCredentials(t.Context(), code, state, authflow.RequireScopes(gmailReadonly))
	missing, ok := errors.AsType[*authflow.MissingScopesError](err)
	if !ok || missing.UserID != adaID || strings.Join(missing.Missing, " ") != gmailReadonly {
		t.Fatalf("an unticked scope is %v", err)
	}
	if _, err := flow.GetStoredCredentials(t.Context(), adaID); !errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("something is stored: %v", err)
	}
	hinted := person{} // who leaves the address as the URL has filled it in
	back := newBrowser(t, hinted).visit(t, missing.AuthorizationURL).Query()
	code, state = back.Get("code"), back.Get("state")
	creds, err := flow.GetCredentials(t.Context(), code, state, authflow.RequireScopes(gmailReadonly))
	if err != nil {
		t.Fatal(err)
	}
	refresh(t, creds)
	peer{a, ada, adaID, adasAccount.Email}.checkConnected(t, flow, creds)
}

func TestWithoutTheConsentPageThereIsNoRefreshToken(t *testing.T) {
	t.Parallel()
	a := newApp(t, startProvider(t, webClient()).issuer)
	b, flow := newBrowser(t, ada), a.flow(t)
	silently := authflow.WithPrompt("") // for which oidc-provider drops offline_access
	code, state := consent(t, flow, b, silently)
	_, err := flow.GetCredentials(t.Context(), code, state)
	none, ok := errors.AsType[*authflow.NoRefreshTokenError](err)
	if !ok || none.UserID != adaID {
		t.Fatalf("the first consent ended with %v", err)
	}
	back := b.visit(t, none.AuthorizationURL).Query()
	if _, err := flow.GetCredentials(t.Context(), back.Get("code"), back.Get("state")); err != nil {
		t.Fatal(err)
	}
	before := a.stored(t, adaID)
	code, state = consent(t, flow, b, silently)
	creds, err := flow.GetCredentials(t.Context(), code, state)
	if err != nil || a.stored(t, adaID).ID != before.ID {
		t.Fatalf("a sign-in later the grant is not the one that is stored: %v", err)
	}
	refresh(t, creds)
}

func TestACodeIsOfNoUseWithAnotherState(t *testing.T) {
	t.Parallel()
	a := newApp(t, startProvider(t, webClient()).issuer)
	flow := a.flow(t)
	code, state := consent(t, flow, newBrowser(t, ada))
	_, err := flow.GetCredentials(t.Context(), code, authflow.NewState())
	checkCode(t, err, "invalid_grant")
	keyless := a.flow(t, func(c *authflow.Config) { c.SessionKey = make([]byte, 32) })
	_, err = keyless.GetCredentials(t.Context(), code, state)
	checkCode(t, err, "invalid_grant")
	creds, err := flow.GetCredentials(t.Context(), code, state) // the thief has not spoilt it
	if err != nil {
		t.Fatal(err)
	}
	refresh(t, creds)
}

func TestACallbackOfAnotherIssuerIsRefusedBeforeItsCodeIsSent(t *testing.T) {
	t.Parallel()
	honest, evil := startProvider(t, webClient()), startProvider(t, webClient())
	flow, lured := newApp(t, honest.issuer).flow(t), newApp(t, evil.issuer).flow(t)
	ours := newBrowser(t, ada).visit(t, flow.GetAuthorizationURL("", "a-state")).Query()
	theirs := newBrowser(t, ada).visit(t, lured.GetAuthorizationURL("", "a-state")).Query()
	twice := url.Values{"code": ours["code"], "state": ours["state"], "iss": {honest.issuer, evil.issuer}}
	for name, query := range map[string]url.Values{"another's": theirs, "ours and another's": twice} {
		_, _, err := flow.ParseCallback(query)
		if !errors.As(err, new(*authflow.CodeExchangeError)) {
			t.Errorf("a callback with an issuer that is %s: %v", name, err)
		}
	}
	honest.checkCalls(t, map[string]int{})
	evil.checkCalls(t, map[string]int{})
	if _, err := flow.GetCredentials(t.Context(), ours.Get("code"), ours.Get("state")); err != nil {
		t.Error(err)
	}
}

func TestDiscoverRefusesAnIssuerOfAnotherName(t *testing.T) {
	t.Parallel()
	p := startProvider(t, webClient())
	alias := strings.Replace(p.issuer, "127.0.0.1", "localhost", 1)
	if found, err := authflow.Discover(t.Context(), nil, alias); err == nil {
		t.Errorf("Discover(%s) = %+v", alias, found)
	}
}

func TestAWrongSecretSaysNothingOfAnybodysGrant(t *testing.T) {
	t.Parallel()
	p := startProvider(t, webClient())
	a := newApp(t, p.issuer)
	flow, misconfigured := a.flow(t), a.flow(t, func(c *authflow.Config) { c.ClientSecret = "yesterday's" })
	b := newBrowser(t, ada)
	code, state := consent(t, flow, b)
	_, err := misconfigured.GetCredentials(t.Context(), code, state)
	checkCode(t, err, "invalid_client")
	connect(t, flow, b)

	creds, err := misconfigured.GetStoredCredentials(t.Context(), adaID)
	if err != nil {
		t.Fatal(err)
	}
	_, err = creds.Refresh(t.Context(), a.stored(t, adaID).AccessToken)
	answer, ok := errors.AsType[*authflow.ProviderError](err)
	if !errors.As(err, new(*authflow.RefreshError)) || !ok || answer.Code != "invalid_client" {
		t.Errorf("a refresh with a wrong secret ended with %v", err)
	}
	creds, err = flow.GetStoredCredentials(t.Context(), adaID)
	if err != nil {
		t.Fatal(err)
	}
	refresh(t, creds)
}

// checkCode fails the test unless err says that a code was not exchanged because the provider answered with that error.
func checkCode(tb testing.TB, err error, want string) {
	tb.Helper()
	answer, ok := errors.AsType[*authflow.ProviderError](err)
	if !errors.As(err, new(*authflow.CodeExchangeError)) || !ok || answer.Code != want {
		tb.Errorf("the exchange of a code ended with %v, want the provider's %s", err, want)
	}
}
