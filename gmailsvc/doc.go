// Package gmailsvc turns credentials into a Gmail service:
//
//	svc, err := gmailsvc.BuildService(ctx, creds) // *authflow.Credentials, or any oauth2.TokenSource
//	for ref, err := range svc.ListMessages(ctx, gmailsvc.Query{Q: "is:unread"}) {
//		...
//		msg, err := svc.Users.Messages.Get("me", ref.ID).Context(ctx).Do()
//	}
//
// A Service embeds *gmail.Service of google.golang.org/api, so the whole API is at hand. What a user's grant has
// come to is found in the error of any call:
//
//	var ended *authflow.ReauthorizationRequiredError
//	if errors.As(err, &ended) { ... send the person to your login route, with ended.Email as the hint ... }
//
// Package gmailtest, below, is Google in process for tests.
package gmailsvc
