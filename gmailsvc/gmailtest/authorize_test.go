package gmailtest_test

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestConsentSendsThePersonBackWithACode(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{SendIss: true})
	s.AddUser(gmailtest.User{Email: ada})
	to, err := (&gmailtest.Browser{Server: s}).Visit(t.Context(), consentURL(s, params{"redirect_uri": callback + "?tenant=a%20b"}))
	if err != nil {
		t.Fatal(err)
	}
	q := to.Query()
	if !strings.HasPrefix(to.String(), callback+"?tenant=a%20b&") {
		t.Errorf("the callback %s has lost the redirect URI's own query", to)
	}
	if !strings.HasPrefix(q.Get("code"), "4/") || q.Get("state") != "xyz&=ü" || q.Get("iss") != "https://accounts.google.com" {
		t.Errorf("callback parameters = %v", q)
	}
	if want := "openid " + emailScope + " " + readonlyScope; q.Get("scope") != want {
		t.Errorf("scope = %q, want %q", q.Get("scope"), want)
	}
	if want := map[string]int{"auth": 1, "consent": 1}; !maps.Equal(s.Counts(), want) {
		t.Errorf("counts = %v, want %v", s.Counts(), want)
	}
}

func TestDenyIsAnErrorWithTheState(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	s.AddUser(gmailtest.User{Email: ada})
	q := visit(t, &gmailtest.Browser{Server: s, Deny: true}, consentURL(s, nil))
	if q.Get("error") != "access_denied" || q.Get("state") != "xyz&=ü" || q.Has("code") {
		t.Errorf("callback parameters = %v, want access_denied and the state", q)
	}
}

func TestScopesCanBeUnticked(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		scope  string
		untick []string
		want   string // "" for access_denied
	}{
		"one of two":                  {readonlyScope + " " + modifyScope, []string{modifyScope}, readonlyScope},
		"all but the login":           {"openid " + readonlyScope, []string{readonlyScope}, "openid"},
		"the login stays":             {"openid email " + readonlyScope, []string{"openid", "email"}, "openid " + emailScope + " " + readonlyScope},
		"all there is, which is a no": {readonlyScope, []string{readonlyScope}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, gmailtest.Config{})
			s.AddUser(gmailtest.User{Email: ada})
			q := visit(t, &gmailtest.Browser{Server: s, Untick: tc.untick}, consentURL(s, params{"scope": tc.scope}))
			if tc.want == "" {
				if q.Get("error") != "access_denied" {
					t.Errorf("callback parameters = %v, want access_denied", q)
				}
				return
			}
			a := exchange(t, s, q.Get("code"), nil)
			if q.Get("scope") != tc.want || a.str("scope") != tc.want {
				t.Errorf("scope in the callback = %q, in the token response = %q, want %q", q.Get("scope"), a.str("scope"), tc.want)
			}
		})
	}
}

func TestBadRequestsEndAtTheServer(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change params
		client gmailtest.Client
		want   string
	}{
		"no client":                  {change: params{"client_id": ""}, want: "Error 400: invalid_request"},
		"an unknown client":          {change: params{"client_id": "x"}, want: "Error 401: invalid_client"},
		"no redirect URI":            {change: params{"redirect_uri": ""}, want: "Error 400: invalid_request"},
		"a redirect URI over http":   {change: params{"redirect_uri": "http://app.example/"}, want: "redirect_uri_mismatch"},
		"a redirect URI of a script": {change: params{"redirect_uri": "javascript://x"}, want: "redirect_uri_mismatch"},
		"a redirect URI with a fragment": {
			change: params{"redirect_uri": callback + "#x"}, want: "redirect_uri_mismatch"},
		"a redirect URI that is longer than the registered one": {
			client: gmailtest.Client{RedirectURIs: []string{callback}},
			change: params{"redirect_uri": callback + "/x"}, want: "redirect_uri_mismatch"},
		"another port than the registered one": {
			client: gmailtest.Client{RedirectURIs: []string{"http://localhost:80/cb"}},
			change: params{"redirect_uri": "http://localhost:81/cb"}, want: "redirect_uri_mismatch"},
		"another path than the registered one": {
			client: gmailtest.Client{RedirectURIs: []string{"http://localhost/cb"}},
			change: params{"redirect_uri": "http://localhost:81/"}, want: "redirect_uri_mismatch"},
		"the implicit flow": {change: params{"response_type": "token"}, want: "unsupported_response_type"},
		"no scope":          {change: params{"scope": " "}, want: "Missing required parameter: scope"},
		"an invented scope": {change: params{"scope": "gmail"}, want: "invalid_scope"},
		"prompt together with the legacy parameter": {
			change: params{"prompt": "consent", "approval_prompt": "force"}, want: "Conflict params: approval_prompt and prompt"},
		"an unknown prompt":             {change: params{"prompt": "shout"}, want: "Error 400: invalid_request"},
		"an unknown legacy prompt":      {change: params{"approval_prompt": "shout"}, want: "Error 400: invalid_request"},
		"none with another prompt":      {change: params{"prompt": "none consent"}, want: "Error 400: invalid_request"},
		"plain PKCE":                    {change: params{"code_challenge_method": "plain"}, want: "must be S256"},
		"PKCE that is plain by default": {change: params{"code_challenge_method": ""}, want: "must be S256"},
		"a method without a challenge":  {change: params{"code_challenge": ""}, want: "without code_challenge"},
		"a challenge of another size":   {change: params{"code_challenge": "abc"}, want: "not a SHA-256 hash"},
		"an unknown access type":        {change: params{"access_type": "eternal"}, want: "access_type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var cfg gmailtest.Config
			if tc.client.RedirectURIs != nil {
				tc.client.ID = gmailtest.DefaultClient().ID
				cfg.Clients = []gmailtest.Client{tc.client}
			}
			s := newServer(t, cfg)
			s.AddUser(gmailtest.User{Email: ada})
			to, err := (&gmailtest.Browser{Server: s}).Visit(t.Context(), consentURL(s, tc.change))
			if err == nil {
				t.Fatalf("the person was sent to %s", to)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v, want one that says %q", err, tc.want)
			}
		})
	}
	t.Run("a repeated parameter", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, gmailtest.Config{})
		s.AddUser(gmailtest.User{Email: ada})
		_, err := (&gmailtest.Browser{Server: s}).Visit(t.Context(), consentURL(s, nil)+"&state=other")
		if err == nil || !strings.Contains(err.Error(), "single value: state") {
			t.Errorf("error = %v, want one about state", err)
		}
	})
}

func TestRedirectURIsThatAreAllowed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		registered []string
		uri        string
	}{
		"any https one where none is registered":    {nil, "https://anywhere.example/cb?x=1"},
		"any loopback one where none is registered": {nil, "http://[::1]:4711/cb"},
		"exactly the registered one":                {[]string{"https://other.example", callback}, callback},
		"every port of a loopback one without":      {[]string{"http://127.0.0.1/cb"}, "http://127.0.0.1:4711/cb"},
		"every path of a loopback one without":      {[]string{"http://localhost"}, "http://localhost:4711/cb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, gmailtest.Config{Clients: []gmailtest.Client{
				{ID: gmailtest.DefaultClient().ID, RedirectURIs: tc.registered}}})
			s.AddUser(gmailtest.User{Email: ada})
			q := visit(t, &gmailtest.Browser{Server: s}, consentURL(s, params{"redirect_uri": tc.uri}))
			a := exchange(t, s, q.Get("code"), params{"redirect_uri": tc.uri})
			if a.status != http.StatusOK {
				t.Errorf("the exchange answered %d: %s", a.status, a.raw)
			}
		})
	}
}

func TestRefreshTokenComesWithTheFirstOfflineConsentOnly(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before []params // the consents before
		then   params
		want   bool // whether the last one yields a refresh token
		page   bool // whether the last one shows the page
	}{
		"first":                               {nil, nil, true, true},
		"first, online":                       {nil, params{"access_type": "online"}, false, true},
		"second, silent":                      {[]params{nil}, nil, false, false},
		"second with prompt=consent":          {[]params{nil}, params{"prompt": "consent"}, true, true},
		"second with approval_prompt=force":   {[]params{nil}, params{"approval_prompt": "force"}, true, true},
		"second with approval_prompt=auto":    {[]params{nil}, params{"approval_prompt": "auto"}, false, false},
		"second with prompt=select_account":   {[]params{nil}, params{"prompt": "select_account"}, false, true},
		"second with prompt=none":             {[]params{nil}, params{"prompt": "none"}, false, false},
		"second with a wider scope":           {[]params{nil}, params{"scope": mailScope}, false, true},
		"second with a narrower scope":        {[]params{nil}, params{"scope": readonlyScope}, false, false},
		"offline after online":                {[]params{{"access_type": "online"}}, nil, true, true},
		"online after offline needs no page":  {[]params{nil}, params{"access_type": "online"}, false, false},
		"third, after two different consents": {[]params{nil, {"scope": mailScope}}, params{"scope": mailScope}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, gmailtest.Config{})
			s.AddUser(gmailtest.User{Email: ada})
			for _, p := range tc.before {
				consent(t, s, p)
			}
			pages := s.Count("consent")
			a := exchange(t, s, consent(t, s, tc.then), nil)
			if got := a.str("refresh_token") != ""; got != tc.want {
				t.Errorf("a refresh token came: %t, want %t", got, tc.want)
			}
			if got := s.Count("consent") > pages; got != tc.page {
				t.Errorf("the page was shown: %t, want %t", got, tc.page)
			}
		})
	}
}

func TestIncludeGrantedScopesMergesThem(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	s.AddUser(gmailtest.User{Email: ada})
	consent(t, s, params{"scope": readonlyScope})
	alone := exchange(t, s, consent(t, s, params{"scope": "openid"}), nil)
	if alone.str("scope") != "openid" {
		t.Errorf("scope = %q, want openid alone", alone.str("scope"))
	}
	merged := exchange(t, s, consent(t, s, params{"scope": modifyScope, "include_granted_scopes": "true"}), nil)
	if want := modifyScope + " " + readonlyScope + " openid"; merged.str("scope") != want {
		t.Errorf("scope = %q, want %q", merged.str("scope"), want)
	}
}

func TestPromptNoneNeverShowsThePage(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	s.AddUser(gmailtest.User{Email: ada})
	q := visit(t, &gmailtest.Browser{Server: s}, consentURL(s, params{"prompt": "none"}))
	if q.Get("error") != "consent_required" || q.Get("state") == "" {
		t.Errorf("callback parameters = %v, want consent_required and the state", q)
	}
	s.AddUser(gmailtest.User{Email: "grace@example.com"})
	q = visit(t, &gmailtest.Browser{Server: s}, consentURL(s, params{"prompt": "none"}))
	if q.Get("error") != "login_required" {
		t.Errorf("callback parameters = %v, want login_required", q)
	}
	if s.Count("consent") != 0 {
		t.Error("a consent page was answered")
	}
}

func TestThePersonChoosesTheAccount(t *testing.T) {
	t.Parallel()
	const grace = "grace@example.com"
	for name, tc := range map[string]struct{ user, hint, want string }{
		"by name":                        {user: grace, want: grace},
		"as the hint presumes":           {hint: grace, want: grace},
		"by another name than the hint":  {user: ada, hint: grace, want: ada},
		"by the hint, in any case of it": {hint: "Grace@Example.com", want: grace},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, gmailtest.Config{})
			s.AddUser(gmailtest.User{Email: ada})
			s.AddUser(gmailtest.User{Email: grace})
			b := &gmailtest.Browser{Server: s, User: tc.user}
			a := exchange(t, s, visit(t, b, consentURL(s, params{"login_hint": tc.hint})).Get("code"), nil)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.UserInfoURL(), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+a.str("access_token"))
			if got := do(t, s, req).str("email"); got != tc.want {
				t.Errorf("the token is %s's, want %s's", got, tc.want)
			}
		})
	}
}

// openPage fetches a consent page and returns the id of the request in it, and the page.
func openPage(t *testing.T, s *gmailtest.Server, p params) (id, page string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, consentURL(s, p), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("Content-Security-Policy = %q", csp)
	}
	_, after, ok := strings.Cut(string(body), `name="request" value="`)
	if !ok {
		t.Fatalf("no consent page: %s", body)
	}
	id, _, _ = strings.Cut(after, `"`)
	return id, string(body)
}

// decide sends the consent page's form.
func decide(t *testing.T, s *gmailtest.Server, form url.Values) *http.Response {
	t.Helper()
	res, err := s.Transport().RoundTrip(postRequest(t, "https://accounts.google.com/signin/oauth/consent", form))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res
}

func TestTheFormCanOnlyNarrowTheRequest(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	sub := s.AddUser(gmailtest.User{Email: ada}).User().Sub
	id, _ := openPage(t, s, params{"scope": readonlyScope})
	form := url.Values{"request": {id}, "user": {sub}, "decision": {"allow"}, "scope": {readonlyScope, mailScope},
		"redirect_uri": {"https://evil.example/"}}
	res := decide(t, s, form)
	to, err := res.Location()
	if err != nil || to.Host != "app.example" || to.Query().Get("scope") != readonlyScope {
		t.Errorf("the person was sent to %v, %v", to, err)
	}
	if res := decide(t, s, form); res.StatusCode != http.StatusBadRequest {
		t.Errorf("the same form sent again answers %s, want 400", res.Status)
	}
}

func TestAFormThatDecidesNothingCanBeSentAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	sub := s.AddUser(gmailtest.User{Email: ada}).User().Sub
	id, _ := openPage(t, s, nil)
	for name, form := range map[string]url.Values{
		"no decision": {"request": {id}, "user": {sub}},
		"no user":     {"request": {id}, "decision": {"allow"}},
		"no request":  {"user": {sub}, "decision": {"allow"}},
	} {
		if res := decide(t, s, form); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: answer %s, want 400", name, res.Status)
		}
	}
	if res := decide(t, s, url.Values{"request": {id}, "user": {sub}, "decision": {"allow"}}); res.StatusCode != http.StatusFound {
		t.Errorf("the whole form answers %s, want 302", res.Status)
	}
}

func TestThePageEscapesWhatItShowsAndHasNoScript(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	s.AddUser(gmailtest.User{Email: ada, Name: `<script>alert("x")</script>`})
	_, page := openPage(t, s, params{"redirect_uri": callback + `?"><script>`})
	if strings.Contains(page, "<script") {
		t.Error("the page has a script element")
	}
}
