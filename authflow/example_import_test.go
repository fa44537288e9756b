package authflow_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
)

// Refresh tokens of an older system, issued to the same OAuth client, are taken over without a consent.
func ExampleFlow_Import() {
	google, flow := inProcess()
	defer flow.Close()
	_, old, err := google.Grant("ada@example.com", gmailReadonly)
	if err != nil {
		log.Fatal(err)
	}

	for _, token := range []authflow.ImportedToken{
		{RefreshToken: old, UserID: "108204268033311374519"},
		{RefreshToken: "1//0-of-somebody-who-left", UserID: "117", Email: "carl@example.com"},
	} {
		creds, err := flow.Import(context.Background(), token)
		if dead, ok := errors.AsType[*authflow.ReauthorizationRequiredError](err); ok {
			fmt.Println(dead.Email, "must consent again")
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(creds.Email, "is here")
	}
	// Output:
	// ada@example.com is here
	// carl@example.com must consent again
}

// Once a day, grants that nobody used for a month are refreshed.
func ExampleFlow_KeepAlive() {
	_, flow, _ := connected()
	defer flow.Close()

	report, err := flow.KeepAlive(context.Background(), authflow.KeepAliveOptions{
		Idle:      30 * 24 * time.Hour,
		PerSecond: 20,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("looked at %d, refreshed %d, found %d ended\n", report.Seen, report.Refreshed, report.Ended)
	// Output:
	// looked at 1, refreshed 0, found 0 ended
}
