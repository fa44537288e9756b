package main

import (
	"errors"
	"net/http"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
)

func TestTwoPeopleShareAMailbox(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.signedIn(t, ada)
	first.connect("/login", gauges).check(t, http.StatusOK, gauges+" is connected.")
	second := s.signedIn(t, gauges)
	at, userID := s.account(t, gauges), s.madeUp.Mailbox(gauges).User().Sub

	// Who has an account in common has nothing else in common.
	second.get(s.account(t, ada)).check(t, http.StatusNotFound)

	first.post(at+"/remove", s.url, nil).check(t, http.StatusOK, gauges+" is removed.")
	first.get(at).check(t, http.StatusNotFound)
	second.get(at).check(t, http.StatusOK, "Inbox")
	second.post(at+"/remove", s.url, nil).check(t, http.StatusOK, "No account is connected")
	if _, err := s.flow.GetStoredCredentials(t.Context(), userID); !errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("after the last of them the grant is still there: %v", err)
	}
}

func TestWhoSignsInAgainIsNotAskedForConsentAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	refresh := func() string {
		grant, err := s.grants.Get(t.Context(), s.madeUp.Mailbox(ada).User().Sub)
		if err != nil {
			t.Fatal(err)
		}
		return grant.RefreshToken
	}
	before := refresh()
	p.post("/signout", s.url, nil)
	p.connect("/login", ada).check(t, http.StatusOK, ada+" is connected.")
	if refresh() != before {
		t.Error("signing in again has taken another refresh token: Google ends the oldest of 100")
	}
}

func TestAConsentThatOnlyGoogleRemembersIsAskedForAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	if err := s.flow.Forget(t.Context(), s.madeUp.Mailbox(ada).User().Sub); err != nil {
		t.Fatal(err)
	}
	p.get("/").check(t, http.StatusOK, "Not connected", "Nothing is stored")
	p.get(s.account(t, ada)).check(t, http.StatusForbidden, "This account is not connected", "Reconnect")
	p.post("/signout", s.url, nil)
	again := p.connect("/login", ada)
	again.check(t, http.StatusOK, "Allow access to your Google Account?")
	p.connect(again.Request.URL.String(), ada).check(t, http.StatusOK, ada+" is connected.")
}

func TestWhatOnePersonBeganAnotherDoesNotEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, gauges)
	begun := p.get("/login").Request.URL.String()
	p.post("/signout", s.url, nil)
	p.connect(begun, ada).check(t, http.StatusConflict, "Somebody else has signed in")
	p.get("/").check(t, http.StatusOK, "Continue with Google")
	if mine, err := s.accounts.of(t.Context(), s.madeUp.Mailbox(gauges).User().Sub); err != nil || len(mine) != 1 {
		t.Errorf("the first person has the accounts %v, %v", mine, err)
	}
	if _, err := s.flow.GetStoredCredentials(t.Context(), s.madeUp.Mailbox(ada).User().Sub); !errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("a grant that is on nobody's list is kept: %v", err)
	}
	if n := s.madeUp.Count("revoke"); n != 1 {
		t.Errorf("Google was told %d times that it ends", n)
	}
}

func TestEveryReasonIsExplained(t *testing.T) {
	t.Parallel()
	for _, reason := range []tokenstore.Reason{
		tokenstore.ReasonInvalidGrant, tokenstore.ReasonPolicy, tokenstore.ReasonExpired, tokenstore.ReasonApplication,
		tokenstore.ReasonUser, tokenstore.ReasonPassword, tokenstore.ReasonSecurity, tokenstore.ReasonOtherClient,
	} {
		grant := &tokenstore.Grant{Status: tokenstore.Status{Revoked: true, Reason: reason}}
		if got, err := standingOf(account{}, grant, nil); err != nil || got.State != "ended" || got.Ending == "" {
			t.Errorf("%s is shown as %+v, %v", reason, got, err)
		}
	}
}

func TestAGrantUnderALostKeyIsRemovedAndMadeAnew(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := newSiteIn(t, folder).signedIn(t, ada)
	s := newSiteIn(t, folder)
	p.site = s // the next run, with the same sessions
	p.get("/").check(t, http.StatusOK, "Not connected", "a key that the application does not have now")
	p.get(s.account(t, ada)).check(t, http.StatusInternalServerError, "The permission can't be opened")
	p.post(s.account(t, ada)+"/remove", s.url, nil).check(t, http.StatusOK, ada+" is removed.")
	p.connect("/login", ada).check(t, http.StatusOK, ada+" is connected.")
	p.get(s.account(t, ada)).check(t, http.StatusOK, "Inbox")
}
