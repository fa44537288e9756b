package authflow_test

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// older returns a refresh token that an older system holds for Ada.
func (x *fixture) older(t *testing.T) string {
	t.Helper()
	_, refresh, err := x.google.Grant(ada, gmailReadonly, gmailSend)
	if err != nil {
		t.Fatal(err)
	}
	return refresh
}

func TestARefreshTokenOfAnOlderSystemIsTakenOver(t *testing.T) {
	t.Parallel()
	for name, rotate := range map[string]bool{"as it is": false, "by its successor": true} {
		for who, said := range map[string]authflow.ImportedToken{
			"whose user is known":   {UserID: adaID, Email: "an.old@example.com"},
			"whose user is unknown": {},
		} {
			t.Run(name+", "+who, func(t *testing.T) {
				t.Parallel()
				x := newFixture(t, gmailtest.Config{RotateRefreshTokens: rotate})
				var d diary
				flow := x.flow(t, func(cfg *authflow.Config) { cfg.Observer = d.observe })
				said.RefreshToken = x.older(t)
				creds, err := flow.Import(t.Context(), said)
				if err != nil {
					t.Fatal(err)
				}
				grant := x.stored(t)
				if (grant.RefreshToken != said.RefreshToken) != rotate || !x.works(t, grant.RefreshToken) {
					t.Error("the refresh token that is stored is not the one that works")
				}
				if grant.ID == "" || grant.Email != ada || grant.ClientID != gmailtest.DefaultClient().ID || grant.Status != tokenstore.Active ||
					!slices.Contains(grant.Scopes, gmailSend) || grant.LastRefresh.IsZero() {
					t.Errorf("stored %+v", grant)
				}
				if creds.UserID != adaID || creds.Email != ada || token(t, creds) != grant.AccessToken {
					t.Errorf("credentials of %s, %s", creds.UserID, creds.Email)
				}
				if !slices.Equal(d.kinds(), []string{"imported"}) {
					t.Errorf("observed %v", d.kinds())
				}
			})
		}
	}
}

func TestAnImportThatCannotBeStoresNothing(t *testing.T) {
	t.Parallel()
	mismatch := func(err error) bool {
		e, ok := errors.AsType[*authflow.AccountMismatchError](err)
		return ok && e.UserID == adaID && e.WantUserID == "another" && e.Email == ada
	}
	dead := func(err error) bool {
		e, ok := errors.AsType[*authflow.ReauthorizationRequiredError](err)
		return ok && e.UserID == "another" && e.Email == "old@example.com" && e.Reason == tokenstore.ReasonInvalidGrant && e.AuthorizationURL != ""
	}
	later := func(err error) bool {
		e, ok := errors.AsType[*authflow.RefreshError](err)
		return ok && e.UserID == "another"
	}
	for name, c := range map[string]struct {
		token string // empty: one that works
		fault gmailtest.Fault
		store error
		says  func(error) bool
	}{
		"of another user's token":           {says: mismatch},
		"of a token that is dead":           {token: "1//0dead", says: dead},
		"of something that is no token":     {token: "dead", says: dead},
		"while the provider is down":        {fault: gmailtest.Fault{Op: "token.refresh", Status: 503}, says: later},
		"by a client that is misconfigured": {fault: gmailtest.TokenError("invalid_client", "Unauthorized"), says: later},
		"while the store is down":           {store: errStoreDown, says: func(err error) bool { return errors.Is(err, errStoreDown) }},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{RotateRefreshTokens: true}, func(t *testing.T, x *fixture) {
				flow := x.flow(t)
				refresh := cmp.Or(c.token, x.older(t))
				if c.fault.Op != "" {
					x.google.Inject(c.fault)
				}
				x.store.fail(c.store, c.store)
				_, err := flow.Import(t.Context(), authflow.ImportedToken{RefreshToken: refresh, UserID: "another", Email: "old@example.com"})
				if !c.says(err) {
					t.Errorf("Import: %v", err)
				}
				secrets{"the refresh token": refresh}.checkChain(t, "Import", err)
				x.store.fail(nil, nil)
				for key, err := range tokenstore.List(t.Context(), x.store, "grant/") {
					t.Errorf("%q is stored, %v", key, err)
				}
				if c.store != nil && x.refreshes() != 0 {
					t.Error("the provider was asked before it was clear that its answer can be stored")
				}
			})
		})
	}
}

func TestAnImportOfATokenThatTellsNobodyNeedsAUser(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	x.google.Inject(gmailtest.Fault{Op: "token.refresh", Body: `{"access_token":"ya29.mail","expires_in":3600,"scope":"` + gmailReadonly + `"}`})
	x.google.Inject(gmailtest.Fault{Op: "userinfo", Status: 401, Body: `{"error":"invalid_request"}`})
	_, err := flow.Import(t.Context(), authflow.ImportedToken{RefreshToken: "1//0old"})
	if _, ok := errors.AsType[*authflow.NoUserIDError](err); !ok {
		t.Errorf("without a user: %v", err)
	}
	creds, err := flow.Import(t.Context(), authflow.ImportedToken{RefreshToken: "1//0old", UserID: adaID, Email: ada})
	if err != nil || creds.UserID != adaID || creds.Email != ada || token(t, creds) != "ya29.mail" || !slices.Equal(creds.Scopes, []string{gmailReadonly}) {
		t.Errorf("with a user: %+v, %v", creds, err)
	}
	if _, err := flow.Import(t.Context(), authflow.ImportedToken{UserID: adaID}); err == nil {
		t.Error("an import of no token is no error")
	}
}

func TestAnImportIsNotBelievedWhereTheIDTokenLies(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	x.google.Inject(gmailtest.Fault{Op: "token.refresh", Body: `{"access_token":"ya29.mail","expires_in":3600,"id_token":"e30.e30.e30"}`})
	if creds, err := flow.Import(t.Context(), authflow.ImportedToken{RefreshToken: "1//0old", UserID: adaID}); err == nil {
		t.Errorf("an ID token that does not verify makes credentials of user %s", creds.UserID)
	}
}

func TestAGrantThatLivesWinsOverAnImport(t *testing.T) {
	t.Parallel()
	for name, said := range map[string]authflow.ImportedToken{"whose user is known": {UserID: adaID}, "whose user is unknown": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			var d diary
			flow := x.flow(t, func(cfg *authflow.Config) { cfg.Observer = d.observe })
			x.connect(t, flow)
			before := x.stored(t)
			said.RefreshToken = x.older(t)
			creds, err := flow.Import(t.Context(), said)
			if err != nil || token(t, creds) != before.AccessToken {
				t.Errorf("Import: %v", err)
			}
			x.unchanged(t, before)
			if !slices.Equal(d.kinds(), []string{"consented"}) {
				t.Errorf("observed %v", d.kinds())
			}
		})
	}
}

func TestAnImportReplacesAGrantThatEnded(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	creds := x.connect(t, flow)
	if err := flow.MarkRevoked(t.Context(), adaID, tokenstore.ReasonUser); err != nil {
		t.Fatal(err)
	}
	old := x.older(t)
	again, err := flow.Import(t.Context(), authflow.ImportedToken{RefreshToken: old, UserID: adaID})
	if err != nil {
		t.Fatal(err)
	}
	if after := x.stored(t); after.RefreshToken != old || after.Status != tokenstore.Active || token(t, creds) != token(t, again) {
		t.Errorf("stored %+v", after)
	}
}

func TestAnImportMayBeRepeated(t *testing.T) {
	t.Parallel()
	for name, rotate := range map[string]bool{"at Google": false, "at a provider that rotates": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{RotateRefreshTokens: rotate})
			old := authflow.ImportedToken{RefreshToken: x.older(t), UserID: adaID}
			if _, err := x.flow(t).Import(t.Context(), old); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() {
					if _, err := x.flow(t).Import(t.Context(), old); err != nil {
						t.Errorf("again: %v", err)
					}
				})
			}
			all.Wait()
			if !x.works(t, x.stored(t).RefreshToken) {
				t.Error("the grant that was imported has ended")
			}
		})
	}
}

func TestImportWithoutAUserIDTakesNobodyElsesGrant(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	now := time.Now()
	err := x.grants(t).Put(t.Context(), &tokenstore.Grant{
		UserID: "import", ID: "another", ClientID: gmailtest.DefaultClient().ID, RefreshToken: "another's",
		AccessToken: "another's", Expiry: now.Add(time.Hour), LastRefresh: now, CreatedAt: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	creds, err := x.flow(t).Import(t.Context(), authflow.ImportedToken{RefreshToken: x.older(t)})
	if err != nil || creds.UserID != adaID {
		t.Errorf("Ada's token gave the credentials of %+v, %v", creds, err)
	}
}

func TestAnImportOutlivesItsCallerOnceTheProviderAnswered(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{RotateRefreshTokens: true})
	ctx, cancel := context.WithCancel(t.Context())
	flow := x.flow(t, func(cfg *authflow.Config) {
		next := cfg.HTTPClient.Transport
		cfg.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			cancel()
			return resp, err
		})}
	})
	if _, err := flow.Import(ctx, authflow.ImportedToken{RefreshToken: x.older(t), UserID: adaID}); err != nil {
		t.Error(err)
	}
	if stored := x.stored(t); !x.works(t, stored.RefreshToken) {
		t.Error("the refresh token that the provider gave is lost")
	}
}
