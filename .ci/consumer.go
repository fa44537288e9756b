// Consumer is a program of a user's: it seals a grant into a file store, reads it back and makes the URL that
// starts a consent. Whatever it downloads, every user of authflow and tokenstore downloads.
package main

import (
	"context"
	"fmt"
	"log"
	"net/url"
	"os"
	"path/filepath"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/filestore"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal("consumer: ", err)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "consumer")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	store, err := filestore.Open(filepath.Join(dir, "grants"))
	if err != nil {
		return err
	}
	defer store.Close()
	keys, err := tokenstore.ParseKeyring(tokenstore.GenerateKey())
	if err != nil {
		return err
	}
	grants, err := tokenstore.NewGrants(store, keys)
	if err != nil {
		return err
	}
	if err := grants.Put(ctx, &tokenstore.Grant{UserID: "1", Email: "ada@example.com", RefreshToken: "r"}); err != nil {
		return err
	}
	grant, err := grants.Get(ctx, "1")
	if err != nil {
		return err
	}

	flow, err := authflow.New(authflow.Config{
		ClientID:     "client",
		ClientSecret: "secret",
		RedirectURL:  "https://app.example.com/callback",
		Scopes:       []string{"https://www.googleapis.com/auth/gmail.readonly"},
		Store:        store,
		Keys:         keys,
	})
	if err != nil {
		return err
	}
	defer flow.Close()
	consent, err := url.Parse(flow.GetAuthorizationURL(grant.Email, "state"))
	if err != nil {
		return err
	}
	if got := consent.Query().Get("login_hint"); got != grant.Email {
		return fmt.Errorf("the consent URL hints at %q, want %q", got, grant.Email)
	}
	return nil
}
