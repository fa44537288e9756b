// Package gmailtest is Google in process: an OAuth server and the Gmail API, for tests and for trying
// things out without an account.
//
//	s, err := gmailtest.Start(gmailtest.Config{})
//	defer s.Close()
//	box := s.AddUser(gmailtest.User{Email: "ada@example.com"})
//	id, err := box.Deliver([]byte("Subject: Hello\r\n\r\nFirst light was at nine."))
//	callback, err := (&gmailtest.Browser{Server: s, User: "ada@example.com"}).Visit(ctx, consentURL)
//
// [Start] listens on a loopback socket, as net/http/httptest does, with TLS and HTTP/2 where Config.TLS says so.
// [New] opens no socket: the server is reached through [Server.Transport], which serves any host by its path
// alone, so that programs may keep Google's real URLs. That transport runs each request in the goroutine of its
// caller and nothing outlives a request, so it works inside a testing/synctest bubble (create the server inside
// the bubble too), where an access token expires in an hour that takes no time.
//
// # With authflow and gmailsvc
//
// In process, leave the Provider and all addresses as they are with Google, and give Server.Client to
// authflow.Config and gmailsvc.Config as their HTTPClient. On a socket, ask authflow.Discover for the
// Provider at Server.URL, set AllowPrivateEndpoints, and set the Endpoint of gmailsvc.Config to
// Server.APIURL.
//
// # What it behaves like
//
// OAuth: a consent page without script at /o/oauth2/v2/auth, granular consent, redirect URIs compared
// exactly, codes that work once and die after ten minutes, PKCE (S256), client_secret_post and
// client_secret_basic, a refresh token on the first offline consent of a user and client only (or with
// prompt=consent), at most 100 of them, revocation of the whole grant over all clients, RS256 ID tokens
// with their keys, userinfo in versions 1 to 3. As Google does, the scopes email and profile come back
// under their long names.
//
// Gmail: every method but those of the settings, with the q search language, partial responses, gzip,
// uploads, scopes checked per method and Google's own error bodies. Each change of a mailbox enters its
// history, whose IDs grow with gaps; a batch of up to 100 calls goes to /batch/gmail/v1; a [Quota] meters
// calls at either of Google's price lists. What is sent reaches the recipients that are users of the server.
// Replies join a thread by what they refer to and their subject.
//
// Cloud Pub/Sub: what users.watch notifies of, pushed with an ID token or pulled ([Server.AddSubscription]).
//
// On top of that a test can make any operation slow, broken or wrong ([Server.Inject]), count what was
// asked ([Server.Count], [Server.Usage], [Server.Connections]), revoke and expire behind the application's back
// ([Server.Revoke], [Mailbox.ExpireHistory]), lose, repeat and delay notifications ([Fate]), act as the person in
// front of the consent page ([Browser]), or do without it ([Server.Grant]).
//
// # Where it differs
//
// Text in charsets that the standard library cannot decode (other than UTF-8, US-ASCII, ISO-8859-1 and
// Windows-1252; ISO-2022-JP for one) needs Config.CharsetReader. Without it such text is served as the bytes
// that were received, with an empty snippet, and RFC 2047 words stay encoded; Gmail serves both in UTF-8.
//
// resultSizeEstimate is exact. Attachment IDs stay the same from call to call. One change of a mailbox is one
// record of its history, with all messages that it changed; the labels of a message there are those that it
// had then. A labelId filter of the history takes a change if the message had the label before or after it.
// Mail that cannot be delivered does not bounce, nothing is ever taken for spam, and classification labels
// are unknown. Users are notified of every change that they watch, however fast, and nothing is pushed before
// [Server.DeliverPushes] is called.
package gmailtest
