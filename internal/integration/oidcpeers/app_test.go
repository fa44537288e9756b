package oidcpeers_test

import (
	"crypto/rand"
	"errors"
	"testing"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/tokenstore"
)

const (
	redirectURL   = "https://app.example/callback"
	gmailReadonly = "https://www.googleapis.com/auth/gmail.readonly"
)

// ada answers the pages of oidc-provider.
var ada = person{types: map[string]string{"email": adasAccount.Email}}

// An app is an application with a store of its own that knows a provider by its issuer alone.
type app struct {
	cfg    authflow.Config
	grants *tokenstore.Grants
}

// newApp returns an application of the client of oidc-provider.
func newApp(tb testing.TB, issuer string) *app {
	tb.Helper()
	return newAppOf(tb, issuer, clientID, clientSecret, gmailReadonly, "offline_access")
}

func newAppOf(tb testing.TB, issuer, clientID, clientSecret string, scopes ...string) *app {
	tb.Helper()
	found, err := authflow.Discover(tb.Context(), nil, issuer)
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := tokenstore.ParseKeyring(tokenstore.GenerateKey())
	if err != nil {
		tb.Fatal(err)
	}
	cfg := authflow.Config{
		ClientID: clientID, ClientSecret: clientSecret, SessionKey: []byte(rand.Text() + rand.Text()),
		RedirectURL: redirectURL, Scopes: scopes,
		Provider: found, AllowPrivateEndpoints: true,
		Store: tokenstore.NewMemory(), Keys: keys,
	}
	grants, err := tokenstore.NewGrants(cfg.Store, keys)
	if err != nil {
		tb.Fatal(err)
	}
	return &app{cfg, grants}
}

// flow returns a Flow of the application, as it is after changes.
func (a *app) flow(tb testing.TB, changes ...func(*authflow.Config)) *authflow.Flow {
	tb.Helper()
	cfg := a.cfg
	for _, change := range changes {
		change(&cfg)
	}
	flow, err := authflow.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = flow.Close() })
	return flow
}

// consent leads a browser through the consent page, and returns what the callback brings.
func consent(tb testing.TB, flow *authflow.Flow, b *browser, opts ...authflow.AuthOption) (code, state string) {
	tb.Helper()
	begun := authflow.NewState()
	back := b.visit(tb, flow.GetAuthorizationURL("", begun, opts...))
	code, state, err := flow.ParseCallback(back.Query())
	if err != nil {
		tb.Fatal(err)
	}
	if state != begun {
		tb.Fatalf("the callback's state is %q, not %q", state, begun)
	}
	return code, state
}

// connect has a person consent, and returns the stored credentials.
func connect(tb testing.TB, flow *authflow.Flow, b *browser) *authflow.Credentials {
	tb.Helper()
	code, state := consent(tb, flow, b)
	creds, err := flow.GetCredentials(tb.Context(), code, state)
	if err != nil {
		tb.Fatal(err)
	}
	return creds
}

// stored returns what is stored of a user's grant.
func (a *app) stored(tb testing.TB, userID string) *tokenstore.Grant {
	tb.Helper()
	grant, err := a.grants.Get(tb.Context(), userID)
	if err != nil {
		tb.Fatal(err)
	}
	return grant
}

// refresh replaces an access token, as one that an API has refused.
func refresh(tb testing.TB, creds *authflow.Credentials) *oauth2.Token {
	tb.Helper()
	before, err := creds.TokenContext(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	after, err := creds.Refresh(tb.Context(), before.AccessToken)
	if err != nil {
		tb.Fatal(err)
	}
	return after
}

// use asks the provider itself for a token, with a refresh token that was taken from the application.
func (a *app) use(tb testing.TB, refreshToken string) (*oauth2.Token, error) {
	tb.Helper()
	plain := oauth2.Config{ClientID: a.cfg.ClientID, ClientSecret: a.cfg.ClientSecret, Endpoint: oauth2.Endpoint{
		TokenURL: a.cfg.Provider.TokenURL, AuthStyle: a.cfg.Provider.AuthStyle,
	}}
	return plain.TokenSource(tb.Context(), &oauth2.Token{RefreshToken: refreshToken}).Token()
}

// checkEnded fails the test unless err says that the grant has ended, for that reason.
func checkEnded(tb testing.TB, err error, reason tokenstore.Reason) {
	tb.Helper()
	ended, ok := errors.AsType[*authflow.ReauthorizationRequiredError](err)
	if !ok || ended.UserID == "" || ended.Reason != reason {
		tb.Errorf("the grant has not ended by %q, but %v", reason, err)
	}
}

// checkDead fails the test unless the provider refuses a refresh token.
func (a *app) checkDead(tb testing.TB, refreshToken string) {
	tb.Helper()
	_, err := a.use(tb, refreshToken)
	refusal, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok || refusal.ErrorCode != "invalid_grant" {
		tb.Errorf("the provider answers a refresh token that should be dead: %v", err)
	}
}
