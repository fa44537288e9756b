package authflow_test

import (
	"errors"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// Where the provider rotates refresh tokens, the first attempt uses up the one that the older system has.
func TestAnImportThatFailedCanBeRepeatedThoughItsTokenWasRotated(t *testing.T) {
	t.Parallel()
	const keysDown, wrongUser = "the keys are out of reach", "it was said to be another's"
	for _, name := range []string{keysDown, wrongUser} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{RotateRefreshTokens: true}, func(t *testing.T, x *fixture) {
				said := authflow.ImportedToken{RefreshToken: x.older(t), UserID: adaID}
				first := said
				if name == wrongUser {
					first.UserID = "another"
				} else {
					x.google.Inject(gmailtest.Fault{Op: "certs", Status: 503, Times: 1})
				}
				_, err := x.flow(t).Import(t.Context(), first)
				if err == nil {
					t.Fatal("the first import succeeded")
				}
				if _, err := x.grants(t).Get(t.Context(), adaID); !errors.Is(err, tokenstore.ErrNotFound) {
					t.Fatalf("a grant is stored: %v", err)
				}
				if _, err := x.flow(t).Import(t.Context(), said); err != nil {
					t.Fatalf("the second import: %v", err)
				}
				if !x.works(t, x.stored(t).RefreshToken) {
					t.Error("the refresh token that is stored does not work")
				}
				for key, err := range tokenstore.List(t.Context(), x.store, "ns:") {
					t.Errorf("%q is left over, %v", key, err)
				}
			})
		})
	}
}

func TestAProviderThatPromisesItsIssuerIsHeldToIt(t *testing.T) {
	t.Parallel()
	for name, promised := range map[string]bool{"it promises": true, "it does not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{SendIss: true})
			flow := x.flow(t, func(cfg *authflow.Config) {
				cfg.Provider = authflow.Google()
				cfg.Provider.IssuerInCallback = promised
			})
			back := x.callback(t, flow.GetAuthorizationURL(ada, authflow.NewState()))
			if _, _, err := flow.ParseCallback(back); err != nil {
				t.Errorf("with iss: %v", err)
			}
			back.Del("iss")
			if _, _, err := flow.ParseCallback(back); (err != nil) != promised {
				t.Errorf("without iss: %v", err)
			}
		})
	}
}

// Some providers give the address at the userinfo endpoint only.
func TestAReconsentKeepsAnAddressThatIsNotToBeHadNow(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	x.connect(t, flow)
	x.serveKeys(t)
	x.google.Inject(gmailtest.Fault{Op: "userinfo", Status: 503})
	authURL := flow.GetAuthorizationURL(ada, authflow.NewState())
	query := x.callback(t, authURL)
	claims := idClaims(t, authURL)
	delete(claims, "email")
	x.serveIDToken(t, signed(t, claims))
	fresh := x.flow(t) // that has not seen the provider's other keys
	if _, err := fresh.GetCredentials(t.Context(), query.Get("code"), query.Get("state")); err != nil {
		t.Fatal(err)
	}
	if got := x.stored(t).Email; got != ada {
		t.Errorf("the stored address is %q", got)
	}
}
