package authflow_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// connected returns a Flow in which Ada has consented.
func connected() (*gmailtest.Server, *authflow.Flow, *authflow.Credentials) {
	google, flow := inProcess()
	state := authflow.NewState()
	callback := consent(google, flow.GetAuthorizationURL("ada@example.com", state))
	creds, err := flow.GetCredentials(context.Background(), callback.Get("code"), state)
	if err != nil {
		log.Fatal(err)
	}
	return google, flow, creds
}

// The user pressed "disconnect".
func ExampleFlow_Revoke() {
	ctx := context.Background()
	_, flow, creds := connected()
	defer flow.Close()

	if err := flow.Revoke(ctx, creds.UserID); err != nil {
		log.Fatal(err)
	}
	_, err := creds.Token()
	if ended, ok := errors.AsType[*authflow.ReauthorizationRequiredError](err); ok {
		fmt.Println("ended by the", ended.Reason)
	}
	// Output:
	// ended by the application
}

// Google is down when the user presses "disconnect", and up again later.
func ExampleFlow_RetryRevocations() {
	ctx := context.Background()
	google, flow, creds := connected()
	defer flow.Close()
	mend := google.Inject(gmailtest.Fault{Op: "revoke", Status: 503})

	err := flow.Revoke(ctx, creds.UserID)
	fmt.Println(err)

	mend()
	told, err := flow.RetryRevocations(ctx) // now and then, from any process
	fmt.Println(told, err)
	// Output:
	// authflow: the grant of user "108204268033311374519" has ended here, but the provider could not be told: the provider answered 503 Service Unavailable; RetryRevocations tries again
	// 1 <nil>
}

// A status page.
func ExampleFlow_Grants() {
	_, flow, _ := connected()
	defer flow.Close()

	for grant, err := range flow.Grants(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(grant.Email, "ended:", grant.Status.Revoked)
	}
	// Output:
	// ada@example.com ended: false
}
