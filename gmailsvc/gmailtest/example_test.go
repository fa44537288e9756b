package gmailtest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"strings"

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

// A minute's quota of 100 units is enough for five messages.
func ExampleQuota() {
	s, err := gmailtest.New(gmailtest.Config{Quota: gmailtest.Quota{PerUserPerMinute: 100, Refusal: gmailtest.RefuseTooMany}})
	if err != nil {
		log.Fatal(err)
	}
	box := s.AddUser(gmailtest.User{Email: "ada@example.com"})
	id, err := box.Deliver([]byte("Subject: Hello\r\n\r\nFirst light was at nine."))
	if err != nil {
		log.Fatal(err)
	}
	token, _, err := s.Grant("ada@example.com", "https://www.googleapis.com/auth/gmail.readonly")
	if err != nil {
		log.Fatal(err)
	}
	for range 6 {
		to := s.APIURL() + "gmail/v1/users/me/messages/" + id
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, to, nil)
		if err != nil {
			log.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := s.Client().Do(req)
		if err != nil {
			log.Fatal(err)
		}
		_ = res.Body.Close()
		fmt.Println(res.Status)
	}
	usage := s.Usage("ada@example.com")
	fmt.Println(usage.Units, "units,", usage.Rejected, "call rejected")
	// Output:
	// 200 OK
	// 200 OK
	// 200 OK
	// 200 OK
	// 200 OK
	// 429 Too Many Requests
	// 100 units, 1 call rejected
}

// The endpoint that Pub/Sub would post to is an application's handler. Here it hears of a message.
func ExampleServer_DeliverPushes() {
	s := newExample()
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var push struct{ Message struct{ Data []byte } }
		if err := json.NewDecoder(r.Body).Decode(&push); err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(push.Message.Data))
	})
	err := s.AddSubscription(gmailtest.Subscription{
		Name: "projects/gmailtest/subscriptions/mail", Topic: "projects/gmailtest/topics/mail",
		Endpoint: "https://app.example/push", Handler: app,
	})
	if err != nil {
		log.Fatal(err)
	}
	token, _, err := s.Grant("ada@example.com", "https://www.googleapis.com/auth/gmail.readonly")
	if err != nil {
		log.Fatal(err)
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.APIURL()+"gmail/v1/users/me/watch",
		strings.NewReader(`{"topicName":"projects/gmailtest/topics/mail"}`))
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := s.Client().Do(req)
	if err != nil {
		log.Fatal(err)
	}
	_ = res.Body.Close()
	if _, err := s.Mailbox("ada@example.com").Deliver([]byte("Subject: News\r\n\r\nThe fog has gone.")); err != nil {
		log.Fatal(err)
	}
	acknowledged, err := s.DeliverPushes(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(acknowledged, "acknowledged")
	// Output:
	// {"emailAddress":"ada@example.com","historyId":1015}
	// {"emailAddress":"ada@example.com","historyId":1028}
	// 2 acknowledged
}
