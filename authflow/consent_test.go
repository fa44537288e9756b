package authflow_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// query returns the parameters of an authorization URL, each of which must be there once.
func query(t *testing.T, authURL string) map[string]string {
	t.Helper()
	u, err := url.Parse(authURL)
	if err != nil {
		t.Fatal(err)
	}
	params := make(map[string]string)
	for name, values := range u.Query() {
		if len(values) != 1 {
			t.Errorf("parameter %s is there %d times", name, len(values))
		}
		params[name] = values[0]
	}
	return params
}

func TestAnAuthorizationURLAsksForWhatItShould(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	const identity = " openid email"
	for name, c := range map[string]struct {
		email  string
		scopes []string // of the Config; nil: gmailReadonly
		opts   []authflow.AuthOption
		change map[string]string // of the defaults; "" takes a parameter away
	}{
		"by default":              {},
		"with an account at hand": {email: ada, change: map[string]string{"login_hint": ada}},
		"with an address to be escaped": {
			email: "a+b&prompt=none@example.com", change: map[string]string{"login_hint": "a+b&prompt=none@example.com"},
		},
		"with another prompt": {
			opts:   []authflow.AuthOption{authflow.WithPrompt("select_account consent")},
			change: map[string]string{"prompt": "select_account consent"},
		},
		"without a prompt": {opts: []authflow.AuthOption{authflow.WithPrompt("")}, change: map[string]string{"prompt": ""}},
		"with the guide's approval_prompt": {
			opts:   []authflow.AuthOption{authflow.WithApprovalPromptForce()},
			change: map[string]string{"prompt": "", "approval_prompt": "force"},
		},
		"with approval_prompt after a prompt": {
			opts:   []authflow.AuthOption{authflow.WithPrompt("consent"), authflow.WithApprovalPromptForce()},
			change: map[string]string{"prompt": "", "approval_prompt": "force"},
		},
		"with a prompt after approval_prompt": {
			opts: []authflow.AuthOption{authflow.WithApprovalPromptForce(), authflow.WithPrompt("consent")},
		},
		"with what was granted before": {
			opts:   []authflow.AuthOption{authflow.WithIncludeGrantedScopes()},
			change: map[string]string{"include_granted_scopes": "true"},
		},
		"with a Workspace domain": {
			opts: []authflow.AuthOption{authflow.WithHostedDomain("example.com")}, change: map[string]string{"hd": "example.com"},
		},
		"with other scopes": {
			opts:   []authflow.AuthOption{authflow.WithScopes(gmailSend)},
			change: map[string]string{"scope": gmailSend + identity},
		},
		"with openid asked for already": {
			scopes: []string{"openid", gmailReadonly}, change: map[string]string{"scope": "openid " + gmailReadonly + " email"},
		},
		"with email asked for already": {
			scopes: []string{"email", gmailReadonly}, change: map[string]string{"scope": "email " + gmailReadonly + " openid"},
		},
		"with email asked for by its long name": {
			scopes: []string{"https://www.googleapis.com/auth/userinfo.email", "openid"},
			change: map[string]string{"scope": "https://www.googleapis.com/auth/userinfo.email openid"},
		},
		"with everything at once": {
			email: ada,
			opts: []authflow.AuthOption{
				authflow.WithScopes(gmailSend, "openid", "email"), authflow.WithApprovalPromptForce(),
				authflow.WithHostedDomain("example.com"), authflow.WithIncludeGrantedScopes(),
			},
			change: map[string]string{
				"login_hint": ada, "scope": gmailSend + identity, "prompt": "", "approval_prompt": "force",
				"hd": "example.com", "include_granted_scopes": "true",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flow := x.flow(t, func(cfg *authflow.Config) {
				if c.scopes != nil {
					cfg.Scopes = c.scopes
				}
			})
			authURL := flow.GetAuthorizationURL(c.email, "the state", c.opts...)
			if !strings.HasPrefix(authURL, "https://accounts.google.com/o/oauth2/v2/auth?") {
				t.Errorf("it goes to %s", authURL)
			}
			got := query(t, authURL)
			want := map[string]string{
				"client_id": gmailtest.DefaultClient().ID, "redirect_uri": redirectURL, "response_type": "code",
				"scope": gmailReadonly + identity, "access_type": "offline", "prompt": "consent",
				"state": "the state", "code_challenge_method": "S256",
			}
			maps.Copy(want, c.change)
			maps.DeleteFunc(want, func(_, value string) bool { return value == "" })
			for _, random := range []string{"code_challenge", "nonce"} {
				if len(got[random]) != 43 {
					t.Errorf("%s is %q, which is no 32 bytes in base64url", random, got[random])
				}
				delete(got, random)
			}
			if !maps.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestTheCodeChallengeIsTheHashOfTheVerifierThatIsSent(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	var sent url.Values
	x.google.Inject(gmailtest.Fault{Op: "token.exchange", Match: func(r *http.Request) bool {
		err := r.ParseForm()
		sent = r.PostForm
		return err != nil
	}})
	flow := x.flow(t)
	state := authflow.NewState()
	asked := query(t, flow.GetAuthorizationURL("", state))
	code, _, err := flow.ParseCallback(x.callback(t, flow.GetAuthorizationURL("", state)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flow.ExchangeCode(t.Context(), code, state); err != nil {
		t.Fatal(err)
	}
	verifier := sent.Get("code_verifier")
	sum := sha256.Sum256([]byte(verifier))
	if base64.RawURLEncoding.EncodeToString(sum[:]) != asked["code_challenge"] {
		t.Error("the challenge is another verifier's")
	}
	if n := len(verifier); n < 43 || n > 128 {
		t.Errorf("the verifier has %d characters; RFC 7636 §4.1 wants 43 to 128", n)
	}
	if verifier == asked["nonce"] {
		t.Error("the nonce, which is public, is the verifier")
	}
	if got := sent.Get("redirect_uri"); got != redirectURL {
		t.Errorf("redirect_uri = %q", got)
	}
}

func TestVerifierAndNonceDependOnTheStateAndTheSessionKey(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	key := bytes.Repeat([]byte("k"), 32)
	with := func(changes ...func(*authflow.Config)) map[string]string {
		return query(t, x.flow(t, changes...).GetAuthorizationURL("", "one"))
	}
	session := func(key []byte) func(*authflow.Config) {
		return func(cfg *authflow.Config) { cfg.SessionKey = key }
	}
	secret := func(secret string) func(*authflow.Config) {
		return func(cfg *authflow.Config) { cfg.ClientSecret = secret }
	}
	id := func(id string) func(*authflow.Config) { return func(cfg *authflow.Config) { cfg.ClientID = id } }
	for name, c := range map[string]struct {
		a, b map[string]string
		same bool
	}{
		"replicas with one session key agree":      {with(session(key)), with(session(slices.Clone(key))), true},
		"whatever their client secrets":            {with(session(key)), with(session(key), secret("another")), true},
		"different session keys disagree":          {with(session(key)), with(session(bytes.Repeat([]byte("l"), 32))), false},
		"long session keys differ in every byte":   {with(session(append(key, 'a'))), with(session(append(key, 'b'))), false},
		"replicas with one client secret agree":    {with(), with(), true},
		"different client secrets disagree":        {with(secret("one")), with(secret("another")), false},
		"different clients disagree":               {with(id("one")), with(id("another")), false},
		"a session key is not the client's secret": {with(), with(session([]byte(gmailtest.DefaultClient().Secret + "padding"))), false},
		"another state, another verifier": {
			with(), query(t, x.flow(t).GetAuthorizationURL("", "two")), false,
		},
	} {
		for _, param := range []string{"code_challenge", "nonce"} {
			if (c.a[param] == c.b[param]) != c.same {
				t.Errorf("%s: %s: %q and %q", name, param, c.a[param], c.b[param])
			}
		}
	}
}

func TestAFlowKeepsNoReferenceToItsSessionKey(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	key := bytes.Repeat([]byte("k"), 32)
	flow := x.flow(t, func(cfg *authflow.Config) { cfg.SessionKey = key })
	before := flow.GetAuthorizationURL("", "state")
	clear(key)
	if flow.GetAuthorizationURL("", "state") != before {
		t.Error("changing the slice changed the Flow's key")
	}
}

func TestOptionsOfOneURLDoNotReachTheNext(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	scopes := make([]string, 1, 8) // room to be appended to
	scopes[0] = gmailReadonly
	flow := x.flow(t, func(cfg *authflow.Config) { cfg.Scopes = scopes })
	before := flow.GetAuthorizationURL("", "state")
	flow.GetAuthorizationURL(ada, "state", authflow.WithScopes(gmailSend), authflow.WithApprovalPromptForce())
	scopes[0] = gmailSend
	if after := flow.GetAuthorizationURL("", "state"); after != before {
		t.Errorf("got %s\nthen %s", before, after)
	}
}

func TestAnyReplicaServesTheCallback(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	code, state := x.code(t, x.flow(t))
	creds, err := x.flow(t).GetCredentials(t.Context(), code, state)
	if err != nil {
		t.Fatal(err)
	}
	if creds.UserID != adaID || creds.Email != ada {
		t.Errorf("Credentials of %s, %s", creds.UserID, creds.Email)
	}
}

func TestStatesAreLongAndNeverRepeat(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 1000 {
		state := authflow.NewState()
		if len(state) < 22 || url.QueryEscape(state) != state { // 128 bits in base64url, or more
			t.Fatalf("%q is no state", state)
		}
		if seen[state] {
			t.Fatal("a state came twice")
		}
		seen[state] = true
	}
}
