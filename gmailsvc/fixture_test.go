package gmailsvc_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/api/gmail/v1"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// A world is a Google in process with one user, and a flow of which the user is a client.
type world struct {
	google *gmailtest.Server
	box    *gmailtest.Mailbox
	flow   *authflow.Flow
}

const ada = "ada@example.com"

// newWorld may be called within a synctest bubble.
func newWorld(tb testing.TB) *world {
	tb.Helper()
	google, err := gmailtest.New(gmailtest.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := tokenstore.ParseKeyring(tokenstore.GenerateKey())
	if err != nil {
		tb.Fatal(err)
	}
	cfg, err := authflow.ConfigFromJSON(google.ClientSecretsJSON("https://app.example.com/callback"), gmail.GmailModifyScope)
	if err != nil {
		tb.Fatal(err)
	}
	cfg.Store, cfg.Keys, cfg.HTTPClient = tokenstore.NewMemory(), keys, google.Client()
	flow, err := authflow.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		flow.Close()
		google.Close()
	})
	return &world{google, google.AddUser(gmailtest.User{Email: ada}), flow}
}

// consent lets the user consent, and returns the credentials.
func (w *world) consent(tb testing.TB) *authflow.Credentials {
	tb.Helper()
	browser := &gmailtest.Browser{Server: w.google}
	callback, err := browser.Visit(tb.Context(), w.flow.GetAuthorizationURL(ada, "state"))
	if err != nil {
		tb.Fatal(err)
	}
	code, state, err := w.flow.ParseCallback(callback.Query())
	if err != nil {
		tb.Fatal(err)
	}
	creds, err := w.flow.GetCredentials(tb.Context(), code, state)
	if err != nil {
		tb.Fatal(err)
	}
	return creds
}

// service builds a service for creds over transport, or over the Google in process if that is nil.
func (w *world) service(tb testing.TB, creds oauth2.TokenSource, transport http.RoundTripper) *gmailsvc.Service {
	tb.Helper()
	if transport == nil {
		transport = w.google.Transport()
	}
	svc, err := gmailsvc.New(gmailsvc.Config{HTTPClient: &http.Client{Transport: transport}}).BuildService(tb.Context(), creds)
	if err != nil {
		tb.Fatal(err)
	}
	return svc
}

// deliver puts n messages into the mailbox, a minute apart, and returns their IDs, newest first.
func (w *world) deliver(tb testing.TB, n int, opts ...gmailtest.DeliverOption) []string {
	tb.Helper()
	var ids []string
	for i := range n {
		raw := fmt.Sprintf("From: Grace <grace@example.com>\r\nTo: %s\r\nSubject: number %d\r\n"+
			"Date: %s\r\nMessage-ID: <%d@example.com>\r\n\r\nHello.\r\n",
			ada, i, time.Date(2026, 11, 1, 12, i, 0, 0, time.UTC).Format(time.RFC1123Z), i)
		id, err := w.box.Deliver([]byte(raw), opts...)
		if err != nil {
			tb.Fatal(err)
		}
		ids = append(ids, id)
	}
	slices.Reverse(ids)
	return ids
}

// list collects the IDs that a listing yields.
func list(ctx context.Context, svc *gmailsvc.Service, q gmailsvc.Query) (ids []string, err error) {
	for ref, err := range svc.ListMessages(ctx, q) {
		if err != nil {
			return ids, err
		}
		ids = append(ids, ref.ID)
	}
	return ids, nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
