package authflow_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// A service mounts three handlers. Here Google is one in process, and Ada's browser walks through.
func ExampleFlow_CallbackHandler() {
	google, err := gmailtest.New(gmailtest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	google.AddUser(gmailtest.User{Email: "ada@example.com"})
	keys, err := tokenstore.ParseKeyring(tokenstore.GenerateKey())
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	app := httptest.NewServer(mux)
	defer app.Close()
	flow, err := authflow.New(authflow.Config{
		ClientID:     gmailtest.DefaultClient().ID,
		ClientSecret: gmailtest.DefaultClient().Secret,
		RedirectURL:  app.URL + "/callback",
		Scopes:       []string{"https://www.googleapis.com/auth/gmail.readonly"},
		Store:        tokenstore.NewMemory(),
		Keys:         keys,
		HTTPClient:   google.Client(),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer flow.Close()

	var session string // a real application has one for each browser
	mux.Handle("/login", flow.LoginHandler(authflow.LoginOptions{}))
	mux.Handle("/callback", flow.CallbackHandler(authflow.CallbackOptions{
		Success: func(_ http.ResponseWriter, _ *http.Request, creds *authflow.Credentials) (authflow.SessionRenewal, error) {
			session = creds.UserID // under a new session ID
			fmt.Println("connected", creds.Email)
			return authflow.SessionRenewed, nil
		},
	}))
	mux.Handle("/disconnect", flow.DisconnectHandler(authflow.DisconnectOptions{
		User:     func(*http.Request) (string, error) { return session, nil },
		ReturnTo: "/inbox",
	}))
	mux.HandleFunc("/inbox", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "the inbox") })

	ada := &gmailtest.Browser{Server: google, User: "ada@example.com"}
	answer, err := ada.Follow(context.Background(), app.URL+"/login?return_to=/inbox")
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %s", answer.Status, body)

	if resp, err := http.Post(app.URL+"/disconnect", "", nil); err == nil {
		defer resp.Body.Close()
		_, err = flow.GetStoredCredentials(context.Background(), session)
		fmt.Println(err != nil)
	}
	// Output:
	// connected ada@example.com
	// 200 OK: the inbox
	// true
}
