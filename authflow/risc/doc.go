// Package risc receives Google's security events (Cross-Account Protection), so that a grant which Google has ended is known
// to have ended at once, and not when the next call fails:
//
//	receiver, err := risc.NewReceiver(ctx, flow, risc.Config{
//		Audiences: []string{clientID}, Store: store, Keys: keys,
//		Handle: func(ctx context.Context, e risc.Event) error { return endSessionsOf(ctx, e.UserID) },
//	})
//	mux.Handle("POST /security-events", receiver)
//
// Register tells Google, once, where that is. See https://developers.google.com/identity/protocols/risc.
package risc
