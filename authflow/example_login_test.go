package authflow_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// A known user reconnects: the account is preselected, and the callback refuses every other one.
func ExampleFlow_LoginHandler() {
	_, flow, creds := connected()
	defer flow.Close()

	reconnect := flow.LoginHandler(authflow.LoginOptions{
		Begin: func(*http.Request) (authflow.Login, error) { // who it is, the application's session says
			return authflow.Login{UserID: creds.UserID, EmailAddress: creds.Email, ReturnTo: "/settings"}, nil
		},
	})

	answer := httptest.NewRecorder()
	reconnect.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/reconnect", nil))
	fmt.Println(answer.Code, http.StatusText(answer.Code))
	to, err := answer.Result().Location()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(to.Host, "is asked for", to.Query().Get("login_hint"))
	for _, c := range answer.Result().Cookies() {
		fmt.Println("bound to the browser for", c.MaxAge/60, "minutes")
	}
	// Output:
	// 303 See Other
	// accounts.google.com is asked for ada@example.com
	// bound to the browser for 10 minutes
}

// Ada reconnects, but chooses another account of hers: nothing is stored.
func ExampleRequireUser() {
	google, flow, creds := connected()
	defer flow.Close()
	google.AddUser(gmailtest.User{Email: "ada@work.example"})

	state := authflow.NewState()
	other := &gmailtest.Browser{Server: google, User: "ada@work.example"}
	callback, err := other.Visit(context.Background(), flow.GetAuthorizationURL(creds.Email, state))
	if err != nil {
		log.Fatal(err)
	}
	_, err = flow.GetCredentials(context.Background(), callback.Query().Get("code"), state, authflow.RequireUser(creds.UserID))
	if mismatch, ok := errors.AsType[*authflow.AccountMismatchError](err); ok {
		fmt.Println("that was", mismatch.Email)
	}
	// Output:
	// that was ada@work.example
}
