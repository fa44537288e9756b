// Package mailgrant is the guided tour of a library with which a Go service reads, syncs and sends its users' Gmail while
// they are away. It has no code of its own; three packages do the work:
//
//   - [github.com/mailgrant/mailgrant/authflow] takes a person through Google's consent and keeps the grant alive:
//     authorization URL, code exchange, identity, stored credentials, refresh, revocation.
//   - [github.com/mailgrant/mailgrant/tokenstore] keeps grants, sealed, in a store of your choice: memory, files
//     ([github.com/mailgrant/mailgrant/tokenstore/filestore]), a database
//     ([github.com/mailgrant/mailgrant/tokenstore/sqlstore]), Redis
//     ([github.com/mailgrant/mailgrant/tokenstore/redisstore]), or your own, which
//     [github.com/mailgrant/mailgrant/tokenstore/storetest] proves.
//   - [github.com/mailgrant/mailgrant/gmailsvc] turns credentials into a Gmail service. For tests,
//     [github.com/mailgrant/mailgrant/gmailsvc/gmailtest] is Google in process.
//
// # A person consents
//
// A Flow stands for your OAuth client. Its handlers send the person to Google, take them back, and store the grant:
//
//	cfg, err := authflow.ConfigFromJSON(clientSecretJSON, gmail.GmailReadonlyScope)
//	cfg.Keys, err = tokenstore.ParseKeyring(os.Getenv("MAILGRANT_KEYS"))
//	cfg.Store, err = filestore.Open("/var/lib/myservice/grants")
//	flow, err := authflow.New(cfg)
//
//	mux.Handle("/login", flow.LoginHandler(authflow.LoginOptions{}))
//	mux.Handle("/callback", flow.CallbackHandler(authflow.CallbackOptions{Success: connected}))
//
// or, where Google's guide is to be followed function by function, call GetAuthorizationURL, ParseCallback and GetCredentials
// from handlers of your own.
//
// # The person goes away
//
// From then on the user's ID is enough, in this process or another, today or in a year:
//
//	creds, err := flow.GetStoredCredentials(ctx, userID)
//	svc, err := gmailsvc.BuildService(ctx, creds)
//	for ref, err := range svc.ListMessages(ctx, gmailsvc.Query{Q: "is:unread"}) {
//		...
//	}
//
// # The grant ends
//
// A user may take a grant back at any time. Whatever call notices answers with an
// *authflow.ReauthorizationRequiredError, also out of a plain call to the Gmail API; it says whom to ask for a new consent.
//
// Flow.Revoke ends a grant at Google too, Flow.Forget here alone. Flow.Import takes over the refresh tokens of an older
// system, and Flow.KeepAlive keeps those alive that nobody uses.
//
// To see all of it run with nothing but Go: go run ./examples/quickstart
package mailgrant
