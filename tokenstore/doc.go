// Package tokenstore keeps users' grants: sealed, versioned, in a store of the caller's choice.
//
//	keys, err := tokenstore.ParseKeyring(os.Getenv("MAILGRANT_KEYS"))     // tokenstore.GenerateKey() makes one
//	store, err := filestore.Open("/var/lib/myservice/grants")             // or any other TokenStore
//	grants, err := tokenstore.NewGrants(store, keys)
//	grant, err := grants.Get(ctx, userID)
//	err = grants.Put(ctx, grant)                                          // ErrConflict: somebody else was faster
//
// A TokenStore is dumb: it keeps bytes under a key with a version, and swaps them if the version is still the expected
// one. All that is clever is above it, in Grants: what a grant is, its sealing with AES-256-GCM, and what to do
// when a write's answer is lost. So a store for another backend is a page of code, and storetest.Run proves it.
package tokenstore
