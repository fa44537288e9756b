package gmailsvc_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"

	"golang.org/x/oauth2"
	"google.golang.org/api/gmail/v1"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// exampleService is a service for a mailbox with a thread of two messages, and another one.
func exampleService() *gmailsvc.Service {
	google, err := gmailtest.New(gmailtest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	box := google.AddUser(gmailtest.User{Email: "ada@example.com"})
	for i, mail := range []string{
		"Subject: Tide tables\r\nMessage-ID: <1@example.com>\r\n\r\nHigh water at noon.",
		"Subject: Re: Tide tables\r\nMessage-ID: <2@example.com>\r\nIn-Reply-To: <1@example.com>\r\n\r\nThank you.",
		"Subject: Your parcel\r\nMessage-ID: <3@example.com>\r\n\r\nIt is at your neighbour's.",
	} {
		date := fmt.Sprintf("Date: Mon, 02 Nov 2026 12:0%d:00 +0000\r\n", i)
		if _, err := box.Deliver([]byte("From: grace@example.com\r\n" + date + mail + "\r\n")); err != nil {
			log.Fatal(err)
		}
	}
	token, _, err := google.Grant("ada@example.com", gmail.GmailModifyScope)
	if err != nil {
		log.Fatal(err)
	}
	creds := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token})
	svc, err := gmailsvc.New(gmailsvc.Config{HTTPClient: google.Client()}).BuildService(context.Background(), creds)
	if err != nil {
		log.Fatal(err)
	}
	return svc
}

func ExampleService_FetchMessages() {
	svc, ctx := exampleService(), context.Background()
	refs := svc.ListMessages(ctx, gmailsvc.Query{Q: "from:grace@example.com"})
	for m, err := range svc.FetchMessages(ctx, refs) {
		if errors.As(err, new(*gmailsvc.NotFoundError)) {
			continue // it was deleted meanwhile
		} else if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.Header().Get("Subject"), "|", strings.TrimSpace(m.Text()))
	}
	// Output:
	// Your parcel | It is at your neighbour's.
	// Re: Tide tables | Thank you.
	// Tide tables | High water at noon.
}

func ExampleHeadersOnly() {
	svc, ctx := exampleService(), context.Background()
	refs := svc.ListMessages(ctx, gmailsvc.Query{Limit: 2})
	for m, err := range svc.FetchMessages(ctx, refs, gmailsvc.HeadersOnly("Subject", "Message-ID")) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.Header().Get("Message-ID"), m.Header().Get("Subject"))
	}
	// Output:
	// <3@example.com> Your parcel
	// <2@example.com> Re: Tide tables
}

func ExampleService_FetchThreads() {
	svc, ctx := exampleService(), context.Background()
	for thread, err := range svc.FetchThreads(ctx, svc.ListThreads(ctx, gmailsvc.Query{})) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(thread.Messages), "x", thread.Messages[0].Header().Get("Subject"))
	}
	// Output:
	// 1 x Your parcel
	// 2 x Tide tables
}

func ExampleService_ModifyMessages() {
	svc, ctx := exampleService(), context.Background()
	var ids []string
	for ref, err := range svc.ListMessages(ctx, gmailsvc.Query{Q: "subject:tide"}) {
		if err != nil {
			log.Fatal(err)
		}
		ids = append(ids, ref.ID)
	}
	err := svc.ModifyMessages(ctx, ids, []string{"STARRED"}, []string{"INBOX"})
	if half, ok := errors.AsType[*gmailsvc.ModifyError](err); ok {
		log.Fatalf("%d of %d are done: %v", half.Done, len(ids), err)
	}
	fmt.Println(len(ids), "messages archived")
	// Output: 2 messages archived
}
