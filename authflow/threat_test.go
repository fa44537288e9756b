package authflow_test

import (
	"errors"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// Whoever steals a code puts it into a sign-in of their own, whose state they know.
func TestNoCodeWorksWithAnotherState(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	for name, theirs := range map[string]func(code string) (string, string){
		"that was made up":            func(code string) (string, string) { return code, "mallory's state" },
		"of another authorization":    func(code string) (string, string) { _, state := x.code(t, flow); return code, state },
		"that is empty":               func(code string) (string, string) { return code, "" },
		"with the code of somebody's": func(string) (string, string) { code, _ := x.code(t, flow); return code, "another" },
	} {
		stolen, _ := x.code(t, flow)
		code, state := theirs(stolen)
		if _, err := flow.GetCredentials(t.Context(), code, state); !errors.As(err, new(*authflow.CodeExchangeError)) {
			t.Errorf("a code with a state %s: %v", name, err)
		}
	}
	if _, err := x.grants(t).Get(t.Context(), adaID); !errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("a grant is stored: %v", err)
	}
}

// A company gives the address of somebody who left to somebody who came.
func TestAnAddressThatChangedHandsIsAnotherUser(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	first := x.flow(t)
	x.connect(t, first)
	before := x.stored(t)

	x.serveKeys(t)
	flow := x.flow(t) // that has not seen the provider's other keys
	authURL := flow.GetAuthorizationURL(ada, authflow.NewState())
	query := x.callback(t, authURL)
	claims := idClaims(t, authURL)
	claims["sub"] = "another-person" // with Ada's address
	x.serveIDToken(t, signed(t, claims))
	creds, err := flow.GetCredentials(t.Context(), query.Get("code"), query.Get("state"))
	if err != nil {
		t.Fatal(err)
	}
	if creds.UserID != "another-person" || creds.Email != ada {
		t.Errorf("the credentials are those of %s, %s", creds.UserID, creds.Email)
	}
	if after := x.stored(t); after.Version() != before.Version() {
		t.Error("the grant of who had the address before has changed")
	}
}
