// Package authflow obtains users' grants of access to their Gmail, stores them sealed, and keeps them alive:
//
//	cfg, err := authflow.ConfigFromJSON(clientSecretJSON, gmail.GmailReadonlyScope)
//	cfg.Store, cfg.Keys = store, keyring
//	flow, err := authflow.New(cfg)
//	mux.Handle("/login", flow.LoginHandler(authflow.LoginOptions{}))                             // the person consents ...
//	mux.Handle("/callback", flow.CallbackHandler(authflow.CallbackOptions{Success: connected})) // ... and comes back
//	creds, err := flow.GetStoredCredentials(ctx, userID)                                         // ever after, nobody present
//
// The handlers are made of GetAuthorizationURL, ParseCallback and GetCredentials, which can be called by themselves.
//
// It has every function of Google's guide "Implement Server-Side Authorization for Gmail API"
// (https://developers.google.com/workspace/gmail/api/auth/web-server), with its names and semantics, as methods of Flow.
//
// Credentials are an oauth2.TokenSource. All Credentials of one user share what they know, in one process by memory and in
// many through the store: an expired token is refreshed once, whoever asks, and a process that dies meanwhile delays the
// others by no more than a lease of a minute.
//
// Errors carry what a handler needs, the URL to send the person to above all, and are found by errors.As through every
// layer. None of them, and no log line, ever shows a token, code, verifier or secret.
package authflow
