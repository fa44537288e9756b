package risc_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/mailgrant/mailgrant/authflow/risc"
)

// Google says that all tokens of a user are dead. Here a test stands in for Google.
func ExampleNewReceiver() {
	a := makeApplication(context.Background())
	defer a.flow.Close()
	receiver, err := risc.NewReceiver(context.Background(), a.flow, risc.Config{
		Audiences:  []string{client},
		Store:      a.store,
		Keys:       a.keys,
		HTTPClient: &http.Client{Transport: a.google}, // a real program leaves it out
		Handle: func(_ context.Context, e risc.Event) error {
			fmt.Println("end the sessions of", e.UserID)
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /security-events", receiver)

	event := genuine(claims(risc.TokensRevoked, about(adaID)))
	req := httptest.NewRequest(http.MethodPost, "/security-events", strings.NewReader(event))
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, req)
	fmt.Println(answer.Code)
	// Output:
	// end the sessions of 108204268033311374519
	// 202
}
