package oidcpeers_test

import (
	"errors"
	"slices"
	"testing"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// A peer is a provider with what a test must know to lead the guide's functions through it.
type peer struct {
	app           *app
	person        person
	userID, email string
}

func TestTheGuidesFunctionsThroughOtherProviders(t *testing.T) {
	t.Parallel()
	inHeader := func(p *peer) { p.app.cfg.Provider.AuthStyle = oauth2.AuthStyleInHeader }
	public := func(p *peer) { p.app.cfg.ClientSecret = "" }
	oidcProvider := func(authMethod string, change func(*peer)) func(*testing.T) peer {
		return func(t *testing.T) peer {
			t.Helper()
			c := webClient()
			if c.AuthMethod = authMethod; authMethod == "none" {
				c.Secret = ""
			}
			p := peer{newApp(t, startProvider(t, c).issuer), ada, adaID, adasAccount.Email}
			change(&p)
			return p
		}
	}
	zitadel := func(id string, change func(*peer)) func(*testing.T) peer {
		return func(t *testing.T) peer {
			t.Helper()
			p := startZitadel(t).peer(t, id)
			change(&p)
			return p
		}
	}
	for name, start := range map[string]func(*testing.T) peer{
		"oidc-provider, with the secret in the form":      oidcProvider("client_secret_post", func(*peer) {}),
		"oidc-provider, with the secret in the header":    oidcProvider("client_secret_basic", inHeader),
		"oidc-provider, with a client that has no secret": oidcProvider("none", public),
		"zitadel, with the secret in the form":            zitadel("web", func(*peer) {}),
		"zitadel, with the secret in the header":          zitadel("web", inHeader),
		"zitadel, with a client that has no secret":       zitadel("native", public),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start(t).walkThrough(t)
		})
	}
}

// walkThrough connects, refreshes, revokes and reconnects.
func (p peer) walkThrough(t *testing.T) {
	t.Helper()
	flow, browser := p.app.flow(t), newBrowser(t, p.person)
	p.checkConnected(t, flow, connect(t, flow, browser))

	// Another process finds the grant in the store, and refreshes it.
	elsewhere := p.app.flow(t)
	creds, err := elsewhere.GetStoredCredentials(t.Context(), p.userID)
	if err != nil {
		t.Fatal(err)
	}
	seen := []string{p.app.stored(t, p.userID).RefreshToken}
	for range 3 {
		token := refresh(t, creds)
		grant := p.app.stored(t, p.userID)
		if grant.AccessToken != token.AccessToken || slices.Contains(seen, grant.RefreshToken) || grant.LastError != "" {
			t.Errorf("after %d refreshes another token is stored, or no new refresh token: %q", len(seen), grant.LastError)
		}
		seen = append(seen, grant.RefreshToken)
		p.checkConnected(t, elsewhere, creds)
	}

	// The provider's word ends it for all.
	if err := elsewhere.Revoke(t.Context(), p.userID); err != nil {
		t.Fatal(err)
	}
	p.app.checkDead(t, seen[len(seen)-1])
	_, err = elsewhere.GetStoredCredentials(t.Context(), p.userID)
	checkEnded(t, err, tokenstore.ReasonApplication)

	// The same browser, which the provider remembers.
	p.checkConnected(t, flow, connect(t, flow, browser))
	creds, err = elsewhere.GetStoredCredentials(t.Context(), p.userID)
	if err != nil {
		t.Fatal(err)
	}
	refresh(t, creds)
	p.checkConnected(t, elsewhere, creds)
}

// checkConnected fails the test unless creds are the user's, and their token is alive at the provider.
func (p peer) checkConnected(t *testing.T, flow *authflow.Flow, creds *authflow.Credentials) {
	t.Helper()
	token, err := creds.TokenContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if creds.UserID != p.userID || creds.Email != p.email || p.app.stored(t, p.userID).Status.Revoked {
		t.Errorf("connected is %s, %s", creds.UserID, creds.Email)
	}
	for _, s := range p.app.cfg.Scopes {
		if !slices.Contains(creds.Scopes, s) {
			t.Errorf("%q are granted, %s is not", creds.Scopes, s)
		}
	}
	info, err := flow.GetUserInfo(t.Context(), token) // there is no ID token in it, so the endpoint is asked
	if err != nil || info.ID != p.userID || info.Email != p.email || !info.EmailVerified {
		t.Errorf("the access token is of %+v, %v", info, err)
	}
}

func TestGetUserInfoVerifiesAnIndependentIDToken(t *testing.T) {
	t.Parallel()
	a := newApp(t, startProvider(t, webClient()).issuer)
	flow := a.flow(t, func(c *authflow.Config) { c.Provider.UserInfoURL = "" })
	code, state := consent(t, flow, newBrowser(t, ada))
	token, err := flow.ExchangeCode(t.Context(), code, state)
	if err != nil {
		t.Fatal(err)
	}
	info, err := flow.GetUserInfo(t.Context(), token)
	if err != nil || info.ID != adaID || info.Email != "" {
		t.Errorf("by the ID token alone it is %+v, %v; want the user's ID, and no address", info, err)
	}
	info, err = a.flow(t).GetUserInfo(t.Context(), token)
	if err != nil || info.ID != adaID || info.Email != adasAccount.Email || !info.EmailVerified {
		t.Errorf("with the userinfo endpoint it is %+v, %v; want the address that is only there", info, err)
	}
	foreign := a.flow(t, func(c *authflow.Config) { c.ClientID = "another" })
	if info, err := foreign.GetUserInfo(t.Context(), token); !errors.As(err, new(*authflow.NoUserIDError)) {
		t.Errorf("another client takes the ID token for %+v, %v", info, err)
	}
}

func TestImportTakesOverARotatingRefreshToken(t *testing.T) {
	t.Parallel()
	p := startProvider(t, webClient())
	older, newer := newApp(t, p.issuer), newApp(t, p.issuer)
	connect(t, older.flow(t), newBrowser(t, ada))
	old := older.stored(t, adaID).RefreshToken

	// The ID token of the refresh has the nonce of a sign-in that is not known here.
	flow := newer.flow(t)
	creds, err := flow.Import(t.Context(), authflow.ImportedToken{RefreshToken: old})
	if err != nil {
		t.Fatal(err)
	}
	imported := peer{newer, ada, adaID, adasAccount.Email}
	imported.checkConnected(t, flow, creds)
	refresh(t, creds)
	imported.checkConnected(t, flow, creds)

	// Once more, as the documentation says: with the UserID, so that the dead token is not sent.
	again, err := flow.Import(t.Context(), authflow.ImportedToken{RefreshToken: old, UserID: adaID})
	if err != nil {
		t.Fatal(err)
	}
	imported.checkConnected(t, flow, again)
	p.checkCalls(t, map[string]int{"authorization_code": 1, "refresh_token": 2})
}
