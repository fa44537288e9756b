package authflow_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/url"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// inProcess returns a Flow whose provider is Google in process, where Ada has an account.
func inProcess() (*gmailtest.Server, *authflow.Flow) {
	google, err := gmailtest.New(gmailtest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	google.AddUser(gmailtest.User{Email: "ada@example.com", Sub: "108204268033311374519"})
	keys, err := tokenstore.ParseKeyring(tokenstore.GenerateKey())
	if err != nil {
		log.Fatal(err)
	}
	cfg, err := authflow.ConfigFromJSON(google.ClientSecretsJSON("https://app.example/callback"), gmailReadonly)
	if err != nil {
		log.Fatal(err)
	}
	cfg.Store, cfg.Keys, cfg.HTTPClient = tokenstore.NewMemory(), keys, google.Client()
	flow, err := authflow.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	return google, flow
}

// consent sends a person to an authorization URL, and returns what the application is called back with.
func consent(google *gmailtest.Server, authURL string) url.Values {
	callback, err := (&gmailtest.Browser{Server: google}).Visit(context.Background(), authURL)
	if err != nil {
		log.Fatal(err)
	}
	return callback.Query()
}

func ExampleNew() {
	keys, err := tokenstore.ParseKeyring(tokenstore.GenerateKey()) // from where secrets are kept
	if err != nil {
		log.Fatal(err)
	}
	flow, err := authflow.New(authflow.Config{
		ClientID:     "407408718192-abc.apps.googleusercontent.com",
		ClientSecret: "GOCSPX-from-google-cloud-console",
		RedirectURL:  "https://app.example/callback",
		Scopes:       []string{"https://www.googleapis.com/auth/gmail.readonly"},
		Store:        tokenstore.NewMemory(), // filestore.Open, for grants that outlive the process
		Keys:         keys,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer flow.Close()
	fmt.Println(flow)

	_, err = authflow.New(authflow.Config{ClientID: "407408718192-abc.apps.googleusercontent.com"})
	fmt.Println(err)
	// Output:
	// authflow.Flow(407408718192-abc.apps.googleusercontent.com)
	// authflow: config: Scopes are empty; ask for at least one, say gmail.GmailReadonlyScope
}

func ExampleConfigFromJSON() {
	clientSecretJSON := []byte(`{"web": {
		"client_id": "407408718192-abc.apps.googleusercontent.com",
		"client_secret": "GOCSPX-from-google-cloud-console",
		"redirect_uris": ["https://app.example/callback"],
		"auth_uri": "https://accounts.google.com/o/oauth2/auth",
		"token_uri": "https://oauth2.googleapis.com/token"
	}}`)
	cfg, err := authflow.ConfigFromJSON(clientSecretJSON, "https://www.googleapis.com/auth/gmail.readonly")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cfg.ClientID)
	fmt.Println(cfg.RedirectURL)

	_, err = authflow.ConfigFromJSON([]byte(`{"type": "service_account"}`))
	fmt.Println(err)
	// Output:
	// 407408718192-abc.apps.googleusercontent.com
	// https://app.example/callback
	// authflow: config: client_secret.json is the key of a service account or another kind of credential, not of an OAuth client
}

func ExampleFlow_GetAuthorizationURL() {
	_, flow := inProcess()
	defer flow.Close()

	state := authflow.NewState() // kept in the person's session, and compared when they come back
	u, err := url.Parse(flow.GetAuthorizationURL("ada@example.com", state))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(u.Host + u.Path)
	asked := u.Query()
	for _, name := range []string{"access_type", "prompt", "login_hint", "scope", "code_challenge_method"} {
		fmt.Printf("%s: %s\n", name, asked.Get(name))
	}
	// Output:
	// accounts.google.com/o/oauth2/v2/auth
	// access_type: offline
	// prompt: consent
	// login_hint: ada@example.com
	// scope: https://www.googleapis.com/auth/gmail.readonly openid email
	// code_challenge_method: S256
}

func ExampleFlow_ParseCallback() {
	_, flow := inProcess()
	defer flow.Close()

	for _, query := range []string{"state=s&code=4%2F0Ac", "state=s&error=access_denied", "code=4%2F0Ac"} {
		values, _ := url.ParseQuery(query) // in a handler: r.URL.Query()
		code, state, err := flow.ParseCallback(values)
		if denied, ok := errors.AsType[*authflow.AuthorizationDeniedError](err); ok && denied.ByUser() {
			fmt.Println("offer to try again, and say why it is needed") // at denied.AuthorizationURL
			continue
		}
		fmt.Println(code, state, err)
	}
	// Output:
	// 4/0Ac s <nil>
	// offer to try again, and say why it is needed
	//   authflow: exchange the authorization code: the callback has no state; start again at the authorization URL
}

func ExampleFlow_GetCredentials() {
	ctx := context.Background()
	google, flow := inProcess()
	defer flow.Close()

	query := consent(google, flow.GetAuthorizationURL("", authflow.NewState()))
	code, state, err := flow.ParseCallback(query)
	if err != nil {
		log.Fatal(err)
	}
	creds, err := flow.GetCredentials(ctx, code, state)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(creds.Email, "is", creds.UserID)

	_, err = flow.GetCredentials(ctx, code, state) // a code works once
	fmt.Println(err)
	// Output:
	// ada@example.com is 108204268033311374519
	// authflow: exchange the authorization code: invalid_grant: the code or refresh token is used, expired or revoked, or belongs to another client or redirect URL ("Bad Request"); start again at the authorization URL
}

func ExampleFlow_GetStoredCredentials() {
	ctx := context.Background()
	google, flow := inProcess()
	defer flow.Close()
	query := consent(google, flow.GetAuthorizationURL("", authflow.NewState()))
	if _, err := flow.GetCredentials(ctx, query.Get("code"), query.Get("state")); err != nil {
		log.Fatal(err)
	}

	// Ever after, in any process that shares the store, with nobody present:
	creds, err := flow.GetStoredCredentials(ctx, "108204268033311374519")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(creds.Email)
	_, err = flow.GetStoredCredentials(ctx, "1122")
	fmt.Println("nobody:", errors.Is(err, tokenstore.ErrNotFound))
	// Output:
	// ada@example.com
	// nobody: true
}

func ExampleCredentials_TokenContext() {
	ctx := context.Background()
	google, flow := inProcess()
	defer flow.Close()
	query := consent(google, flow.GetAuthorizationURL("", authflow.NewState()))
	creds, err := flow.GetCredentials(ctx, query.Get("code"), query.Get("state"))
	if err != nil {
		log.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // for this caller; others go on waiting
	defer cancel()
	token, err := creds.TokenContext(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Type(), token.Valid())
	// Output: Bearer true
}

func ExampleReauthorizationRequiredError() {
	ctx := context.Background()
	google, flow := inProcess()
	defer flow.Close()
	query := consent(google, flow.GetAuthorizationURL("", authflow.NewState()))
	creds, err := flow.GetCredentials(ctx, query.Get("code"), query.Get("state"))
	if err != nil {
		log.Fatal(err)
	}
	token, err := creds.Token()
	if err != nil {
		log.Fatal(err)
	}

	google.Revoke("ada@example.com") // she removes the application from her account

	_, err = creds.Refresh(ctx, token.AccessToken)
	ended, ok := errors.AsType[*authflow.ReauthorizationRequiredError](fmt.Errorf("nightly export: %w", err))
	if !ok {
		log.Fatal(err)
	}
	fmt.Println(ended.Email, ended.Reason)

	query = consent(google, ended.AuthorizationURL) // sent there from a mail, or when she is back
	if _, err := flow.GetCredentials(ctx, query.Get("code"), query.Get("state")); err != nil {
		log.Fatal(err)
	}
	_, err = creds.Token()
	fmt.Println("the same credentials work again:", err == nil)
	// Output:
	// ada@example.com invalid_grant
	// the same credentials work again: true
}
