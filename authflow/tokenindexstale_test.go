package authflow_test

import (
	"errors"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// The index names Ada by a token that she had before.
func TestAnIndexThatIsBehindEndsNothing(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t, indexed)
	x.connect(t, flow)
	older := x.stored(t).RefreshToken
	stale := make(map[string]tokenstore.Record)
	for _, key := range x.indexKeys(t) {
		rec, err := x.store.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		stale[key] = rec
	}
	x.connect(t, flow)
	if x.stored(t).RefreshToken == older {
		t.Fatal("the refresh token is the same")
	}
	for key, rec := range stale {
		if err := x.store.Swap(t.Context(), key, "", rec); err != nil {
			t.Fatal(err)
		}
	}
	userID, err := flow.MarkTokenRevoked(t.Context(), authflow.TokenHint{Prefix: older[:16]}, tokenstore.ReasonSecurity)
	if !errors.Is(err, tokenstore.ErrNotFound) || x.stored(t).Status.Revoked {
		t.Errorf("%q, %v", userID, err)
	}
}

func TestATokenThatBeginsLikeTheOneBeforeIsFound(t *testing.T) {
	t.Parallel()
	const prefix = "1//0eABCDEFGHIJK"
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t, indexed)
	for _, refresh := range []string{prefix + "-one", prefix + "-two"} {
		x.google.Inject(gmailtest.Fault{
			Op: "token.exchange", Times: 1,
			Body: `{"access_token":"ya29.a","refresh_token":"` + refresh + `","scope":"` + gmailReadonly + `"}`,
		})
		x.google.Inject(gmailtest.Fault{Op: "userinfo", Times: 1, Body: `{"sub":"` + adaID + `","email":"` + ada + `"}`})
		code, state := x.code(t, flow)
		if _, err := flow.GetCredentials(t.Context(), code, state); err != nil {
			t.Fatal(err)
		}
	}
	userID, err := flow.MarkTokenRevoked(t.Context(), authflow.TokenHint{Prefix: prefix}, tokenstore.ReasonSecurity)
	if err != nil || userID != adaID {
		t.Errorf("%q, %v", userID, err)
	}
}
