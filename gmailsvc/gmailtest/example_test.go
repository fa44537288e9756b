package gmailtest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func newExample() *gmailtest.Server {
	s, err := gmailtest.New(gmailtest.Config{})
	if err != nil {
		panic(err)
	}
	box := s.AddUser(gmailtest.User{Email: "ada@example.com"})
	if _, err := box.Deliver([]byte("Subject: Hello\r\n\r\nFirst light was at nine.")); err != nil {
		panic(err)
	}
	return s
}

// Grant is the short way to a token, where the consent is not what a test is about.
func Example() {
	s := newExample()
	token, _, err := s.Grant("ada@example.com", "https://www.googleapis.com/auth/gmail.readonly")
	if err != nil {
		log.Fatal(err)
	}
	to := s.APIURL() + "gmail/v1/users/me/labels/UNREAD?fields=messagesTotal"
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, to, nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := s.Client().Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	var label struct{ MessagesTotal int }
	if err := json.NewDecoder(res.Body).Decode(&label); err != nil {
		log.Fatal(err)
	}
	fmt.Println(label.MessagesTotal, "unread")
	fmt.Println(s.Count("gmail.*"), "call")
	// Output:
	// 1 unread
	// 1 call
}

// A Browser is the person who reads the consent page and presses Allow or Deny.
func ExampleBrowser() {
	s := newExample()
	consentURL := s.AuthURL() + "?" + url.Values{
		"client_id":     {gmailtest.DefaultClient().ID},
		"redirect_uri":  {"https://app.example/callback"},
		"response_type": {"code"},
		"scope":         {"https://www.googleapis.com/auth/gmail.readonly"},
		"state":         {"s-1"},
	}.Encode()
	for _, deny := range []bool{false, true} {
		person := &gmailtest.Browser{Server: s, User: "ada@example.com", Deny: deny}
		callback, err := person.Visit(context.Background(), consentURL+"&prompt=consent")
		if err != nil {
			log.Fatal(err)
		}
		q := callback.Query()
		fmt.Println(callback.Host, q.Get("state"), "has a code:", q.Has("code"))
	}
	// Output:
	// app.example s-1 has a code: true
	// app.example s-1 has a code: false
}

// Here the next two refreshes find Google down.
func ExampleServer_Inject() {
	s := newExample()
	remove := s.Inject(gmailtest.Fault{Op: "token.*", Times: 2, Status: http.StatusServiceUnavailable})
	defer remove()
	for range 3 {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.TokenURL(), nil)
		if err != nil {
			log.Fatal(err)
		}
		res, err := s.Client().Do(req)
		if err != nil {
			log.Fatal(err)
		}
		_ = res.Body.Close()
		fmt.Println(res.Status)
	}
	// Output:
	// 503 Service Unavailable
	// 503 Service Unavailable
	// 400 Bad Request
}
