package gmailtest_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestExchangeReturnsGooglesTokenResponse(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{RefreshTokenLifetime: 7 * 24 * time.Hour})
	s.AddUser(gmailtest.User{Email: ada})
	a := exchange(t, s, consent(t, s, nil), nil)
	if a.status != http.StatusOK {
		t.Fatalf("answer = %d %s", a.status, a.raw)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control = %q, want no-store", a.header.Get("Cache-Control"))
	}
	if !strings.HasPrefix(a.str("access_token"), "ya29.") || !strings.HasPrefix(a.str("refresh_token"), "1//") ||
		a.body["expires_in"] != 3600.0 || a.str("token_type") != "Bearer" || a.str("id_token") == "" {
		t.Errorf("answer = %s", a.raw)
	}
	if in, _ := a.body["refresh_token_expires_in"].(float64); in < 604790 || in > 604800 {
		t.Errorf("refresh_token_expires_in = %v, want a week", a.body["refresh_token_expires_in"])
	}
	if s.Count("token.exchange") != 1 {
		t.Errorf("counts = %v", s.Counts())
	}
}

func TestExchangeRefusals(t *testing.T) {
	t.Parallel()
	other := gmailtest.Client{ID: "other", Secret: "s"}
	for name, tc := range map[string]struct {
		change      params
		status      int
		code, descr string
	}{
		"no code":              {params{"code": ""}, 400, "invalid_request", "Missing required parameter: code"},
		"a malformed code":     {params{"code": "abc"}, 400, "invalid_grant", "Malformed auth code."},
		"an unknown code":      {params{"code": "4/0Aabc"}, 400, "invalid_grant", "Bad Request"},
		"another redirect URI": {params{"redirect_uri": callback + "/"}, 400, "redirect_uri_mismatch", "Bad Request"},
		"no redirect URI":      {params{"redirect_uri": ""}, 400, "redirect_uri_mismatch", "Bad Request"},
		"no verifier":          {params{"code_verifier": ""}, 400, "invalid_grant", "Missing code verifier."},
		"a wrong verifier":     {params{"code_verifier": "x" + verifier}, 400, "invalid_grant", "Invalid code verifier."},
		"another client's code": {
			params{"client_id": "other", "client_secret": "s"}, 400, "invalid_grant", "Bad Request"},
		"no client":         {params{"client_id": ""}, 400, "invalid_request", "Could not determine client ID from request."},
		"an unknown client": {params{"client_id": "x"}, 401, "invalid_client", "The OAuth client was not found."},
		"no secret":         {params{"client_secret": ""}, 400, "invalid_request", "client_secret is missing."},
		"a wrong secret":    {params{"client_secret": "x"}, 401, "invalid_client", "Unauthorized"},
		"no grant type":     {params{"grant_type": ""}, 400, "invalid_request", "Required parameter is missing: grant_type"},
		"a grant type of another kind": {
			params{"grant_type": "password"}, 400, "unsupported_grant_type", "Invalid grant_type: password"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, gmailtest.Config{Clients: []gmailtest.Client{gmailtest.DefaultClient(), other}})
			s.AddUser(gmailtest.User{Email: ada})
			code := consent(t, s, nil)
			wantOAuthError(t, exchange(t, s, code, tc.change), tc.status, tc.code, tc.descr)
			if a := exchange(t, s, code, nil); a.status != http.StatusOK {
				t.Errorf("the refused request used up the code: %s", a.raw)
			}
		})
	}
}

func TestAVerifierWithoutAChallengeIsRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	s.AddUser(gmailtest.User{Email: ada})
	code := consent(t, s, params{"code_challenge": "", "code_challenge_method": ""})
	wantOAuthError(t, exchange(t, s, code, nil), 400, "invalid_grant", "code_verifier or verifier is not needed.")
	if a := exchange(t, s, code, params{"code_verifier": ""}); a.status != http.StatusOK {
		t.Errorf("answer = %d %s", a.status, a.raw)
	}
}

func TestTheTokenEndpointTakesPostedFormsOnly(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	for name, tc := range map[string]struct {
		method, contentType, body, query string
		status                           int
	}{
		"GET":           {method: "GET", query: "?grant_type=refresh_token", status: 405},
		"JSON":          {method: "POST", contentType: "application/json", body: `{"grant_type":"refresh_token"}`, status: 400},
		"a query":       {method: "POST", contentType: "application/x-www-form-urlencoded", query: "?grant_type=refresh_token", status: 400},
		"a broken form": {method: "POST", contentType: "application/x-www-form-urlencoded", body: "grant_type=%zz", status: 400},
		"a repeated parameter": {method: "POST", contentType: "application/x-www-form-urlencoded",
			body: "grant_type=refresh_token&grant_type=refresh_token", status: 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), tc.method, s.TokenURL()+tc.query, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", tc.contentType)
			if a := do(t, s, req); a.status != tc.status || a.str("error") != "invalid_request" {
				t.Errorf("answer = %d %s, want %d invalid_request", a.status, a.raw, tc.status)
			}
		})
	}
}

func TestClientsMayAuthenticateByHeader(t *testing.T) {
	t.Parallel()
	client := gmailtest.Client{ID: "a:b%", Secret: "s ü+&"}
	s := newServer(t, gmailtest.Config{Clients: []gmailtest.Client{client}})
	s.AddUser(gmailtest.User{Email: ada})
	for name, tc := range map[string]struct {
		secret string
		form   params
		status int
	}{
		"the right secret":  {client.Secret, nil, 200},
		"a wrong secret":    {"x", nil, 401},
		"two ways at once":  {client.Secret, params{"client_id": client.ID, "client_secret": client.Secret}, 400},
		"with the ID again": {client.Secret, params{"client_id": client.ID}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code := consent(t, s, params{"client_id": client.ID})
			form := tc.form.over(params{"grant_type": "authorization_code", "redirect_uri": callback, "code": code, "code_verifier": verifier})
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.TokenURL(), strings.NewReader(form.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.SetBasicAuth(url.QueryEscape(client.ID), url.QueryEscape(tc.secret))
			a := do(t, s, req)
			if a.status != tc.status {
				t.Errorf("answer = %d %s, want %d", a.status, a.raw, tc.status)
			}
			if a.status == 401 && !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic") {
				t.Errorf("WWW-Authenticate = %q, want Basic", a.header.Get("WWW-Authenticate"))
			}
		})
	}
}

func TestACodeUsedTwiceEndsItsTokens(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{RotateRefreshTokens: true})
	s.AddUser(gmailtest.User{Email: ada})
	untouched := exchange(t, s, consent(t, s, nil), nil)
	code := consent(t, s, params{"prompt": "consent"})
	first := exchange(t, s, code, nil)
	next := refresh(t, s, first.str("refresh_token"), nil)
	wantOAuthError(t, exchange(t, s, code, nil), 400, "invalid_grant", "Bad Request")
	for name, token := range map[string]string{"its access token": first.str("access_token"), "a later one": next.str("access_token")} {
		if a := (account{Server: s, token: token}).get(t, "me/profile"); a.status != 401 {
			t.Errorf("%s still works", name)
		}
	}
	wantOAuthError(t, refresh(t, s, next.str("refresh_token"), nil), 400, "invalid_grant", "Token has been expired or revoked.")
	if a := refresh(t, s, untouched.str("refresh_token"), nil); a.status != http.StatusOK {
		t.Errorf("the tokens of another code died too: %s", a.raw)
	}
}

func TestTimeEndsCodesPagesAndTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, gmailtest.Config{RefreshTokenLifetime: 24 * time.Hour})
		s.AddUser(gmailtest.User{Email: ada})
		stale := consent(t, s, params{"prompt": "consent"})
		time.Sleep(10 * time.Minute)
		wantOAuthError(t, exchange(t, s, stale, nil), 400, "invalid_grant", "Bad Request")

		granted := tokens(t, s, readonlyScope)
		acc := account{Server: s, token: granted.str("access_token")}
		time.Sleep(time.Hour - time.Nanosecond)
		if a := acc.get(t, "me/profile"); a.status != 200 {
			t.Errorf("just before an hour has passed the answer is %d %s", a.status, a.raw)
		}
		time.Sleep(time.Nanosecond)
		wantAPIError(t, acc.get(t, "me/profile"), 401, "UNAUTHENTICATED", "authError",
			"Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "+
				"authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.")
		again := refresh(t, s, granted.str("refresh_token"), nil)
		if again.status != 200 || again.body["refresh_token_expires_in"] != 23*3600.0 {
			t.Errorf("the refresh after an hour answers %d %s", again.status, again.raw)
		}
		id, _ := openPage(t, s, params{"prompt": "consent"})
		time.Sleep(23 * time.Hour)
		wantOAuthError(t, refresh(t, s, granted.str("refresh_token"), nil), 400, "invalid_grant", "Token has been expired or revoked.")
		if res := decide(t, s, url.Values{"request": {id}, "decision": {"deny"}}); res.StatusCode != http.StatusBadRequest {
			t.Errorf("a page of yesterday answers %s, want 400", res.Status)
		}
	})
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	other := gmailtest.Client{ID: "other", Secret: "s"}
	s := newServer(t, gmailtest.Config{Clients: []gmailtest.Client{gmailtest.DefaultClient(), other}})
	s.AddUser(gmailtest.User{Email: ada})
	token := tokens(t, s, "openid "+readonlyScope).str("refresh_token")

	a := refresh(t, s, token, nil)
	if a.status != 200 || a.str("refresh_token") != "" || a.str("id_token") == "" || a.str("scope") != "openid "+readonlyScope {
		t.Errorf("answer = %d %s", a.status, a.raw)
	}
	if a := (account{Server: s, token: a.str("access_token")}).get(t, "me/profile"); a.status != 200 {
		t.Errorf("the new token is refused: %s", a.raw)
	}
	if a := refresh(t, s, token, params{"scope": readonlyScope}); a.str("scope") != readonlyScope || a.str("id_token") != "" {
		t.Errorf("a narrower scope answers %d %s", a.status, a.raw)
	}
	wantOAuthError(t, refresh(t, s, token, params{"scope": mailScope}), 400, "invalid_scope", "Bad Request")
	wantOAuthError(t, refresh(t, s, "", nil), 400, "invalid_request", "Missing required parameter: refresh_token")
	wantOAuthError(t, refresh(t, s, "abc", nil), 400, "invalid_grant", "Bad Request")
	wantOAuthError(t, refresh(t, s, "1//0abc", nil), 400, "invalid_grant", "Token has been expired or revoked.")
	wantOAuthError(t, refresh(t, s, token, params{"client_id": "other", "client_secret": "s"}), 401, "unauthorized_client", "Unauthorized")
}

func TestOnly100RefreshTokensLive(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	s.AddUser(gmailtest.User{Email: ada})
	var all []string
	for range 101 {
		all = append(all, tokens(t, s, readonlyScope).str("refresh_token"))
	}
	if a := refresh(t, s, all[0], nil); a.status != 400 {
		t.Errorf("the oldest still works: %s", a.raw)
	}
	for _, token := range all[1:] {
		if a := refresh(t, s, token, nil); a.status != 200 {
			t.Fatalf("a younger one is refused: %s", a.raw)
		}
	}
}

func TestRotationGivesTheNewTokenToOneOfManyAndPunishesTheRest(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{RotateRefreshTokens: true})
	s.AddUser(gmailtest.User{Email: ada})
	token := tokens(t, s, readonlyScope).str("refresh_token")
	for range 3 { // in turn, nobody is punished
		next := refresh(t, s, token, nil).str("refresh_token")
		if next == "" || next == token {
			t.Fatalf("the refresh returned %q", next)
		}
		token = next
	}
	answers := make([]answer, 32)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = refresh(t, s, token, nil) })
	}
	wg.Wait()
	won := ""
	for _, a := range answers {
		if next := a.str("refresh_token"); next != "" {
			if won != "" {
				t.Error("two callers got a new token")
			}
			won = next
		}
	}
	if won == "" {
		t.Fatal("nobody got the new token")
	}
	wantOAuthError(t, refresh(t, s, won, nil), 400, "invalid_grant", "Token has been expired or revoked.")
}

func TestPublicClientsHaveNoSecret(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{Clients: []gmailtest.Client{{ID: "public"}}})
	s.AddUser(gmailtest.User{Email: ada})
	code := consent(t, s, params{"client_id": "public"})
	if a := exchange(t, s, code, params{"client_id": "public", "client_secret": ""}); a.status != 200 {
		t.Errorf("answer = %d %s", a.status, a.raw)
	}
}
