package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/examples/keyfile"
	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/filestore"
)

// A place is the folder in which the quickstart keeps what must outlive it.
type place struct {
	dir    string
	grants string // the folder of the file store
	keys   *tokenstore.Keyring
}

// openPlace opens the folder of the settings, and makes it on the first run. The real Google and the one in process
// know different users, and have a folder each.
func openPlace(set settings) (*place, error) {
	p := &place{dir: filepath.Join(set.dir, "in-process")}
	if set.clientSecrets != "" {
		p.dir = filepath.Join(set.dir, "google")
	}
	p.grants = filepath.Join(p.dir, "grants")
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	if p.keys, err = keyfile.Open(filepath.Join(p.dir, "key")); err != nil {
		return nil, err
	}
	return p, nil
}

// An opening is a store and a flow on it.
type opening struct {
	store  *filestore.Store
	flow   *authflow.Flow
	grants *tokenstore.Grants
}

// open opens the store and a flow for cfg on it, as a process does that just began.
func (p *place) open(cfg authflow.Config) (*opening, error) {
	store, err := filestore.Open(p.grants)
	if err != nil {
		return nil, err
	}
	cfg.Store, cfg.Keys = store, p.keys
	flow, err := authflow.New(cfg)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	grants, err := tokenstore.NewGrants(store, p.keys)
	if err != nil {
		return nil, errors.Join(err, flow.Close(), store.Close())
	}
	return &opening{store, flow, grants}, nil
}

func (o *opening) close() {
	_ = o.flow.Close()
	_ = o.store.Close()
}

var errNobody = errors.New("no grant is stored")

// user returns the credentials of the user whose grant is stored. A service knows its users' IDs; the
// quickstart has one user, and looks.
func (o *opening) user(ctx context.Context) (*authflow.Credentials, error) {
	for grant, err := range o.grants.All(ctx) {
		if err != nil {
			return nil, fmt.Errorf("%w\n(to begin anew, remove the quickstart's folder; see -dir)", err)
		}
		return o.flow.GetStoredCredentials(ctx, grant.UserID)
	}
	return nil, errNobody
}
