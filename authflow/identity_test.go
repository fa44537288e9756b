package authflow_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// userInfoAt makes a Flow ask the userinfo endpoint at url alone.
func userInfoAt(url string) func(*authflow.Config) {
	return func(cfg *authflow.Config) {
		cfg.Provider = authflow.Google()
		cfg.Provider.JWKSURL, cfg.Provider.UserInfoURL = "", url
	}
}

const (
	userInfoV2 = "https://www.googleapis.com/oauth2/v2/userinfo"
	userInfoV3 = "https://www.googleapis.com/oauth2/v3/userinfo"
)

func TestGetUserInfoTellsWhoseTokensTheyAre(t *testing.T) {
	t.Parallel()
	google := authflow.Google()
	for name, c := range map[string]struct {
		change func(*authflow.Config)
		strip  bool // the ID token
		asked  int  // calls of the userinfo endpoint
	}{
		"by the ID token":                        {func(*authflow.Config) {}, false, 0},
		"by userinfo where there is no ID token": {func(*authflow.Config) {}, true, 1},
		"by userinfo where no keys are known":    {userInfoAt(google.UserInfoURL), false, 1},
		"by userinfo version 3":                  {userInfoAt(userInfoV3), true, 1},
		"by userinfo version 2, which says id":   {userInfoAt(userInfoV2), true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			const grace, graceID = "grace@example.org", "1234567890"
			x.google.AddUser(gmailtest.User{Email: grace, Sub: graceID, Name: "Grace", HostedDomain: "example.org"})
			flow := x.flow(t, c.change, func(cfg *authflow.Config) { cfg.Scopes = []string{gmailReadonly, "profile"} })
			back, err := (&gmailtest.Browser{Server: x.google, User: grace}).Visit(t.Context(), flow.GetAuthorizationURL(grace, "s"))
			if err != nil {
				t.Fatal(err)
			}
			token, err := flow.ExchangeCode(t.Context(), back.Query().Get("code"), "s")
			if err != nil {
				t.Fatal(err)
			}
			if c.strip {
				token = &oauth2.Token{AccessToken: token.AccessToken}
			}
			user, err := flow.GetUserInfo(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			want := authflow.UserInfo{ID: graceID, Email: grace, EmailVerified: true, Name: "Grace", HostedDomain: "example.org"}
			if *user != want {
				t.Errorf("got %+v, want %+v", *user, want)
			}
			if n := x.google.Count("userinfo"); n != c.asked {
				t.Errorf("the userinfo endpoint was asked %d times, want %d", n, c.asked)
			}
		})
	}
}

func TestAUserInfoEndpointMustNameTheUser(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault gmailtest.Fault
		says  string
	}{
		"a server error":         {gmailtest.Fault{Status: 500, Body: `{}`}, "500"},
		"a refusal":              {gmailtest.Fault{Status: 401, Body: `{"error":"invalid_request"}`}, "401"},
		"a redirect":             {gmailtest.Fault{Status: 302, Header: http.Header{"Location": {"https://evil.example/"}}}, "302"},
		"no sub":                 {gmailtest.Fault{Body: `{"email":"ada@example.com"}`}, "neither a sub nor an id"},
		"an empty sub":           {gmailtest.Fault{Body: `{"sub":"","id":""}`}, "neither a sub nor an id"},
		"a sub and another id":   {gmailtest.Fault{Body: `{"sub":"1","id":"2"}`}, "differ"},
		"a number":               {gmailtest.Fault{Body: `{"sub":108204268033311374519}`}, "userinfo"},
		"JSON null":              {gmailtest.Fault{Body: `null`}, "neither a sub nor an id"},
		"nothing":                {gmailtest.Fault{Status: 200}, "userinfo"},
		"truncated JSON":         {gmailtest.Fault{Header: jsonType(), Body: `{"sub":"1`}, "userinfo"},
		"a page":                 {gmailtest.Fault{Header: http.Header{"Content-Type": {"text/html"}}, Body: `{"sub":"1"}`}, "instead of JSON"},
		"a connection that ends": {gmailtest.Fault{Drop: true}, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			before := x.grant(t)
			flow := x.flow(t, userInfoAt(authflow.Google().UserInfoURL))
			code, state := x.code(t, flow)
			c.fault.Op = "userinfo"
			x.google.Inject(c.fault)
			_, err := flow.GetCredentials(t.Context(), code, state)
			nobody, ok := errors.AsType[*authflow.NoUserIDError](err)
			if !ok || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("GetCredentials: %v; want *NoUserIDError with %q", err, c.says)
			}
			if got := query(t, nobody.AuthorizationURL); got["state"] != state {
				t.Errorf("the URL has %q", got)
			}
			x.unchanged(t, before)

			_, err = flow.GetUserInfo(t.Context(), &oauth2.Token{AccessToken: "ya29.token"})
			if nobody, ok := errors.AsType[*authflow.NoUserIDError](err); !ok || nobody.AuthorizationURL != "" {
				t.Errorf("GetUserInfo, with no authorization under way: %v", err)
			}
		})
	}
}

func TestAnAddressThatTheIDTokenLacksComesFromUserInfo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		userInfo gmailtest.Fault
		want     authflow.UserInfo
	}{
		"of the same user": {
			gmailtest.Fault{Body: `{"sub":"` + adaID + `","email":"ada@example.com","email_verified":true}`},
			authflow.UserInfo{ID: adaID, Email: ada, EmailVerified: true},
		},
		"not of another user": {gmailtest.Fault{Body: `{"sub":"2","email":"eve@example.com"}`}, authflow.UserInfo{ID: adaID}},
		"or not at all":       {gmailtest.Fault{Status: 500, Body: `{}`}, authflow.UserInfo{ID: adaID}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			flow := x.flow(t)
			x.serveKeys(t)
			claims := idClaims(t, flow.GetAuthorizationURL("", "s"))
			delete(claims, "email")
			delete(claims, "email_verified")
			x.serveIDToken(t, signed(t, claims))
			c.userInfo.Op = "userinfo"
			x.google.Inject(c.userInfo)
			token, err := flow.ExchangeCode(t.Context(), "4/0Acode", "s")
			if err != nil {
				t.Fatal(err)
			}
			if user, err := flow.GetUserInfo(t.Context(), token); err != nil || *user != c.want {
				t.Errorf("GetUserInfo = %+v, %v; want %+v", user, err, c.want)
			}
		})
	}
}

func TestKeysAreFetchedOnceAndAgainWhenTheyRotate(t *testing.T) {
	inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
		flow := x.flow(t)
		x.connect(t, flow)
		x.connect(t, flow)
		if n := x.google.Count("certs"); n != 1 {
			t.Errorf("for two users the keys were fetched %d times", n)
		}
		if err := x.google.RotateSigningKey(); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		x.connect(t, flow)
		if n := x.google.Count("certs"); n != 2 {
			t.Errorf("after a rotation the keys have been fetched %d times", n)
		}
	})
}
