package gmailsvc_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// exampleMailbox is a Google in process with a user who has three messages, and a token for it.
func exampleMailbox() (*gmailtest.Server, oauth2.TokenSource) {
	google, err := gmailtest.New(gmailtest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	box := google.AddUser(gmailtest.User{Email: "ada@example.com"})
	for _, subject := range []string{"Tide tables", "Your parcel", "Tide tables, corrected"} {
		mail := "From: grace@example.com\r\nSubject: " + subject + "\r\nDate: Mon, 02 Nov 2026 12:00:00 +0000\r\n\r\nHello.\r\n"
		if _, err := box.Deliver([]byte(mail)); err != nil {
			log.Fatal(err)
		}
	}
	token, _, err := google.Grant("ada@example.com", "https://www.googleapis.com/auth/gmail.readonly")
	if err != nil {
		log.Fatal(err)
	}
	return google, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token})
}

func ExampleNew() {
	google, creds := exampleMailbox()
	// One Builder for the whole service: all users share its HTTP client.
	builder := gmailsvc.New(gmailsvc.Config{HTTPClient: google.Client()})
	svc, err := builder.BuildService(context.Background(), creds)
	if err != nil {
		log.Fatal(err)
	}
	profile, err := svc.Users.GetProfile("me").Do()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(profile.EmailAddress, "has", profile.MessagesTotal, "messages")
	// Output: ada@example.com has 3 messages
}

func ExampleService_ListMessages() {
	google, creds := exampleMailbox()
	ctx := context.Background()
	svc, err := gmailsvc.New(gmailsvc.Config{HTTPClient: google.Client()}).BuildService(ctx, creds)
	if err != nil {
		log.Fatal(err)
	}
	for ref, err := range svc.ListMessages(ctx, gmailsvc.Query{Q: "subject:tide", Limit: 10}) {
		if err != nil {
			log.Fatal(err)
		}
		msg, err := svc.Users.Messages.Get("me", ref.ID).Format("metadata").MetadataHeaders("Subject").Context(ctx).Do()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(msg.Payload.Headers[0].Value)
	}
	// Unordered output:
	// Tide tables
	// Tide tables, corrected
}

// What became of a grant is found in the error of any call.
func ExampleBuildService() {
	var creds *authflow.Credentials // from flow.GetStoredCredentials
	read := func(ctx context.Context) error {
		svc, err := gmailsvc.BuildService(ctx, creds)
		if err != nil {
			return err
		}
		_, err = svc.Users.GetProfile("me").Context(ctx).Do()
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/inbox", func(w http.ResponseWriter, r *http.Request) {
		err := read(r.Context())
		if ended, ok := errors.AsType[*authflow.ReauthorizationRequiredError](err); ok {
			// The login route binds a state to the browser, and redirects to flow.GetAuthorizationURL(hint, state).
			http.Redirect(w, r, "/login?"+url.Values{"hint": {ended.Email}}.Encode(), http.StatusFound)
		}
	})
}
