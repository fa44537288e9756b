package oidcpeers_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// oidc-provider takes a code or refresh token that comes twice for stolen, and ends the grant with all its tokens.

func TestAReusedCodeEndsTheGrant(t *testing.T) {
	t.Parallel()
	p := startProvider(t, webClient())
	a := newApp(t, p.issuer)
	flow := a.flow(t)
	code, state := consent(t, flow, newBrowser(t, ada))
	creds, err := flow.GetCredentials(t.Context(), code, state)
	if err != nil {
		t.Fatal(err)
	}
	_, err = flow.GetCredentials(t.Context(), code, state)
	checkCode(t, err, "invalid_grant")
	a.checkFoundDead(t, flow, creds)
	p.checkCalls(t, map[string]int{
		"authorization_code": 1, "authorization_code invalid_grant": 1, "refresh_token invalid_grant": 1,
	})
}

func TestAStolenRefreshTokenEndsTheGrantForItsThief(t *testing.T) {
	t.Parallel()
	p := startProvider(t, webClient())
	a := newApp(t, p.issuer)
	flow := a.flow(t)
	creds := connect(t, flow, newBrowser(t, ada))
	theirs, err := a.use(t, a.stored(t, adaID).RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	a.checkFoundDead(t, flow, creds)
	a.checkDead(t, theirs.RefreshToken)
	checkUseless(t, flow, theirs.AccessToken)
}

// Nobody has the new refresh token, and the old one is used.
func TestAnAnswerLostOnTheWayEndsTheGrant(t *testing.T) {
	t.Parallel()
	p := startProvider(t, webClient())
	a := newApp(t, p.issuer)
	connect(t, a.flow(t), newBrowser(t, ada))
	lost := &refreshTap{meanwhile: func() error { return io.ErrUnexpectedEOF }}
	flow := a.flow(t, func(c *authflow.Config) { c.HTTPClient = &http.Client{Transport: lost} })
	creds, err := flow.GetStoredCredentials(t.Context(), adaID)
	if err != nil {
		t.Fatal(err)
	}
	a.checkFoundDead(t, flow, creds)
	p.checkCalls(t, map[string]int{"authorization_code": 1, "refresh_token": 1, "refresh_token invalid_grant": 1})
}

// checkFoundDead fails the test unless a refresh finds the grant dead, which is noted, and its access token is useless.
func (a *app) checkFoundDead(tb testing.TB, flow *authflow.Flow, creds *authflow.Credentials) {
	tb.Helper()
	before := a.stored(tb, creds.UserID)
	_, err := creds.Refresh(tb.Context(), before.AccessToken)
	checkEnded(tb, err, tokenstore.ReasonInvalidGrant)
	_, err = flow.GetStoredCredentials(tb.Context(), creds.UserID)
	checkEnded(tb, err, tokenstore.ReasonInvalidGrant)
	checkUseless(tb, flow, before.AccessToken)
}

// checkUseless fails the test unless the provider refuses an access token.
func checkUseless(tb testing.TB, flow *authflow.Flow, accessToken string) {
	tb.Helper()
	info, err := flow.GetUserInfo(tb.Context(), &oauth2.Token{AccessToken: accessToken})
	said := fmt.Sprint(err)
	refused := strings.Contains(said, "answered 401") || strings.Contains(said, "answered 403")
	if !errors.As(err, new(*authflow.NoUserIDError)) || !refused {
		tb.Errorf("the access token of a dead grant is %+v's, %v", info, err)
	}
}

// A revocation that comes while a refresh is under way names a refresh token that is used by then. oidc-provider ends
// the grant for that one, too; to zitadel it is unknown, and its successor must be revoked as well.
func TestARevocationEndsTheTokensOfARefreshThatWasUnderWay(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) peer{
		"at oidc-provider": func(t *testing.T) peer {
			t.Helper()
			return peer{newApp(t, startProvider(t, webClient()).issuer), ada, adaID, adasAccount.Email}
		},
		"at zitadel": func(t *testing.T) peer {
			t.Helper()
			return startZitadel(t).peer(t, "web")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t)
			revoking := p.app.flow(t)
			connect(t, revoking, newBrowser(t, p.person))
			tap := &refreshTap{meanwhile: func() error { return revoking.Revoke(t.Context(), p.userID) }}
			refreshing := p.app.flow(t, func(c *authflow.Config) { c.HTTPClient = &http.Client{Transport: tap} })
			creds, err := refreshing.GetStoredCredentials(t.Context(), p.userID)
			if err != nil {
				t.Fatal(err)
			}
			_, err = creds.Refresh(t.Context(), p.app.stored(t, p.userID).AccessToken)
			checkEnded(t, err, tokenstore.ReasonApplication)
			if tap.issued.RefreshToken == "" {
				t.Fatal("the provider issued no refresh token: there was nothing to revoke")
			}
			p.app.checkDead(t, tap.issued.RefreshToken)
			checkUseless(t, revoking, tap.issued.AccessToken)
		})
	}
}

// A refreshTap has something happen between the provider's answer to the first refresh and its arrival. An error of
// that arrives in place of the answer.
type refreshTap struct {
	meanwhile func() error

	once   sync.Once
	issued struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
	}
}

func (t *refreshTap) RoundTrip(req *http.Request) (*http.Response, error) {
	refresh := false
	if req.Method == http.MethodPost {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(strings.NewReader(string(body)))
		refresh = strings.Contains(string(body), "grant_type=refresh_token")
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if !refresh || err != nil {
		return resp, err
	}
	t.once.Do(func() {
		var body []byte
		if body, err = io.ReadAll(resp.Body); err != nil {
			return
		}
		resp.Body.Close()
		resp.Body = io.NopCloser(strings.NewReader(string(body)))
		if err = json.Unmarshal(body, &t.issued); err == nil {
			err = t.meanwhile()
		}
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}
