package gmailtest_test

import (
	"net/url"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestRevokingAnyTokenEndsTheGrantToAllClients(t *testing.T) {
	t.Parallel()
	for _, which := range []string{"access_token", "refresh_token"} {
		t.Run("by the "+which, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, gmailtest.Config{Clients: []gmailtest.Client{gmailtest.DefaultClient(), {ID: "other"}}})
			s.AddUser(gmailtest.User{Email: ada})
			s.AddUser(gmailtest.User{Email: "grace@example.com"})
			asOther := params{"client_id": "other", "client_secret": ""}
			mine := tokens(t, s, readonlyScope)
			others := exchange(t, s, consent(t, s, asOther), asOther)
			pending := consent(t, s, nil)
			b := &gmailtest.Browser{Server: s, User: "grace@example.com"}
			graces := exchange(t, s, visit(t, b, consentURL(s, nil)).Get("code"), nil)

			if a := post(t, s, s.RevokeURL(), url.Values{"token": {mine.str(which)}}); a.status != 200 || a.raw != "{}\n" {
				t.Fatalf("answer = %d %q", a.status, a.raw)
			}
			for name, a := range map[string]answer{
				"the refresh token":           refresh(t, s, mine.str("refresh_token"), nil),
				"the other client's":          refresh(t, s, others.str("refresh_token"), asOther),
				"a code that was on its way":  exchange(t, s, pending, nil),
				"the other client's requests": (account{Server: s, token: others.str("access_token")}).get(t, "me/profile"),
			} {
				if a.status < 400 {
					t.Errorf("%s survived: %s", name, a.raw)
				}
			}
			wantOAuthError(t, post(t, s, s.RevokeURL(), url.Values{"token": {mine.str(which)}}),
				400, "invalid_token", "Token expired or revoked")
			if a := refresh(t, s, graces.str("refresh_token"), nil); a.status != 200 {
				t.Errorf("another user's token died too: %s", a.raw)
			}
			if a := exchange(t, s, consent(t, s, nil), nil); a.str("refresh_token") == "" {
				t.Errorf("the next consent does not count as the first: %s", a.raw)
			}
		})
	}
}

func TestRevokeWantsOneToken(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	for _, form := range []url.Values{nil, {"token": {"a", "b"}}} {
		wantOAuthError(t, post(t, s, s.RevokeURL(), form), 400, "invalid_request", "Missing required parameter: token")
	}
}

func TestTheUserCanRevokeAndTokensCanBeExpired(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	s.AddUser(gmailtest.User{Email: ada})
	granted := tokens(t, s, readonlyScope)
	acc := account{Server: s, token: granted.str("access_token")}

	s.ExpireAccessTokens(ada)
	if a := acc.get(t, "me/profile"); a.status != 401 {
		t.Errorf("the expired token answers %d", a.status)
	}
	again := refresh(t, s, granted.str("refresh_token"), nil)
	if again.status != 200 {
		t.Fatalf("the refresh answers %d %s", again.status, again.raw)
	}

	s.Revoke("ADA@example.com")
	acc.token = again.str("access_token")
	if a := acc.get(t, "me/profile"); a.status != 401 {
		t.Errorf("the revoked token answers %d", a.status)
	}
	wantOAuthError(t, refresh(t, s, granted.str("refresh_token"), nil), 400, "invalid_grant", "Token has been expired or revoked.")
}

func TestAnUnknownUserIsAMistakeOfTheTest(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	for name, f := range map[string]func(){
		"Revoke":             func() { s.Revoke(ada) },
		"ExpireAccessTokens": func() { s.ExpireAccessTokens(ada) },
		"AddUser":            func() { s.AddUser(gmailtest.User{Email: "ada"}) },
		"Inject":             func() { s.Inject(gmailtest.Fault{Op: "["}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", name)
				}
			}()
			f()
		}()
	}
}
