package oidcpeers_test

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// A zitadel is the example server of zitadel/oidc, in process. It has two accounts of its own, and ends with the test.
type zitadel struct{ issuer string }

const zitadelSecret = "another secret: +/%&=?"

func startZitadel(t *testing.T) *zitadel {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	z := &zitadel{"http://" + server.Listener.Addr().String() + "/"} // its issuers end with a slash
	store := storage.NewStorageWithClients(storage.NewUserStore(z.issuer), map[string]*storage.Client{
		"web":    storage.WebClient("web", zitadelSecret, redirectURL),
		"native": storage.NativeClient("native", redirectURL),
	})
	server.Config.Handler = exampleop.SetupServer(z.issuer, store, slog.New(slog.DiscardHandler), false)
	server.Start()
	t.Cleanup(server.Close)
	return z
}

// peer returns an application of one of the clients, and the user whom the example knows.
func (z *zitadel) peer(t *testing.T, client string) peer {
	t.Helper()
	return peer{
		app:    newAppOf(t, z.issuer, client, zitadelSecret, "profile", "offline_access"),
		person: person{types: map[string]string{"username": "test-user2", "password": "verysecure"}},
		userID: "id2", email: "test-user2@zitadel.ch",
	}
}

func TestZitadelForgivesAReusedCode(t *testing.T) {
	t.Parallel()
	p := startZitadel(t).peer(t, "web")
	flow := p.app.flow(t)
	code, state := consent(t, flow, newBrowser(t, p.person))
	creds, err := flow.GetCredentials(t.Context(), code, state)
	if err != nil {
		t.Fatal(err)
	}
	_, err = flow.GetCredentials(t.Context(), code, state)
	checkCode(t, err, "invalid_grant")
	refresh(t, creds)
	p.checkConnected(t, flow, creds)
}

func TestZitadelForgivesAReusedRefreshToken(t *testing.T) {
	t.Parallel()
	p := startZitadel(t).peer(t, "web")
	flow := p.app.flow(t)
	creds := connect(t, flow, newBrowser(t, p.person))
	old := p.app.stored(t, p.userID).RefreshToken
	refresh(t, creds)
	p.app.checkDead(t, old)
	refresh(t, creds)
	p.checkConnected(t, flow, creds)
}

func TestScopesThatZitadelDropsAreMissing(t *testing.T) {
	t.Parallel()
	p := startZitadel(t).peer(t, "web")
	flow := p.app.flow(t, func(c *authflow.Config) { c.Scopes = []string{gmailReadonly, "offline_access"} })
	code, state := consent(t, flow, newBrowser(t, p.person))
	_, err := flow.GetCredentials(t.Context(), code, state, authflow.RequireScopes(gmailReadonly))
	missing, ok := errors.AsType[*authflow.MissingScopesError](err)
	if !ok || missing.UserID != p.userID {
		t.Errorf("a scope that the provider does not know: %v", err)
	}
	if _, err := flow.GetStoredCredentials(t.Context(), p.userID); !errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("something is stored: %v", err)
	}
}
