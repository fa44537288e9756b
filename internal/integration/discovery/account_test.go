package discovery_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"golang.org/x/oauth2"
	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/option"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/internal/integration/discovery"
)

const (
	user  = "ada@example.com"
	topic = "projects/gmailtest/topics/mail"
)

// google is a fake Google with one user's mail.
type google struct {
	*gmailtest.Server
	box *gmailtest.Mailbox

	began            uint64 // the history ID of the empty mailbox
	question, answer string // a thread of two messages
	report           string // HTML beside plain text, and an attachment
	spam, trashed    string
	labels           int // how many freshLabel made
}

func newGoogle(t *testing.T) *google {
	t.Helper()
	server, err := gmailtest.New(gmailtest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	g := &google{Server: server, box: server.AddUser(gmailtest.User{Email: user, Name: "Ada"})}
	g.began = g.box.HistoryID()
	if err := g.AddSubscription(gmailtest.Subscription{Name: "projects/gmailtest/subscriptions/mail", Topic: topic}); err != nil {
		t.Fatal(err)
	}
	deliver := func(raw string, opts ...gmailtest.DeliverOption) string {
		t.Helper()
		id, err := g.box.Deliver([]byte(strings.ReplaceAll(raw, "\n", "\r\n")), opts...)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	g.question = deliver(`From: Bob <bob@example.com>
To: ada@example.com
Subject: Which lens?
Date: Mon, 02 Nov 2026 09:00:00 +0000
Message-ID: <1@example.com>

The long one, or the short one?
`)
	g.answer = deliver(`From: Ada <ada@example.com>
To: bob@example.com
Subject: Re: Which lens?
Date: Mon, 02 Nov 2026 10:00:00 +0000
Message-ID: <2@example.com>
In-Reply-To: <1@example.com>
References: <1@example.com>

The long one.
`, gmailtest.WithLabels("INBOX", "Optics"))
	g.report = deliver(`From: =?UTF-8?B?w4ltaWxpZQ==?= <emilie@example.com>
To: ada@example.com
Subject: =?UTF-8?Q?R=C3=A9sum=C3=A9?=
Date: Tue, 03 Nov 2026 09:00:00 +0000
Message-ID: <3@example.com>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=a

--a
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

The r=C3=A9sum=C3=A9 is attached.
--b
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

PHA+VGhlIHLDqXN1bcOpIGlzIGF0dGFjaGVkLjwvcD4K
--b--
--a
Content-Type: application/pdf; name=resume.pdf
Content-Disposition: attachment; filename=resume.pdf
Content-Transfer-Encoding: base64

` + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xfb, 0xff, 0xfe}, 15_000)) + `
--a--
`)
	g.spam = deliver("From: x@example.net\nSubject: Win\nDate: Wed, 04 Nov 2026 09:00:00 +0000\n\nNow!\n", gmailtest.WithLabels("SPAM"))
	g.trashed = deliver("From: y@example.net\nSubject: Old\nDate: Thu, 05 Nov 2026 09:00:00 +0000\n\nGone.\n", gmailtest.WithLabels("TRASH"))
	return g
}

// token obtains an access token for scopes by way of the consent page.
func (g *google) token(t *testing.T, scopes ...string) oauth2.TokenSource {
	t.Helper()
	client := gmailtest.DefaultClient()
	config := oauth2.Config{
		ClientID:     client.ID,
		ClientSecret: client.Secret,
		RedirectURL:  "https://app.example.com/callback",
		Scopes:       scopes,
		Endpoint:     oauth2.Endpoint{AuthURL: g.AuthURL(), TokenURL: g.TokenURL(), AuthStyle: oauth2.AuthStyleInParams},
	}
	browser := &gmailtest.Browser{Server: g.Server, User: user}
	callback, err := browser.Visit(t.Context(), config.AuthCodeURL("state", oauth2.ApprovalForce))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, g.Client())
	token, err := config.Exchange(ctx, callback.Query().Get("code"))
	if err != nil {
		t.Fatal(err)
	}
	return oauth2.StaticTokenSource(token)
}

// session is the official client with everything checked that it says and hears.
type session struct {
	*gmail.Service
	checker *discovery.Checker
	client  *http.Client

	mu   sync.Mutex
	last []byte // the body of the last answer
}

func (g *google) session(t *testing.T, tokens oauth2.TokenSource) *session {
	t.Helper()
	s := &session{checker: &discovery.Checker{Document: gmailDocument(t), Base: g.Transport()}}
	s.client = &http.Client{Transport: &oauth2.Transport{Source: tokens, Base: s}}
	service, err := gmail.NewService(t.Context(), option.WithHTTPClient(s.client), option.WithEndpoint(g.APIURL()))
	if err != nil {
		t.Fatal(err)
	}
	s.Service = service
	return s
}

// RoundTrip keeps the answer for body.
func (s *session) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := s.checker.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(data))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = data
	return res, nil
}

// has says what is wrong with the last answer's properties: all of present must be there, none of absent. A
// path such as "messages[].id" is present where the list is not empty and every item has it.
func (s *session) has(present, absent []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var answer any
	if err := json.Unmarshal(s.last, &answer); err != nil {
		return err
	}
	for _, path := range present {
		if with, without := count(answer, strings.Split(path, ".")); with == 0 || without > 0 {
			return fmt.Errorf("%s is there %d times and missing %d times in\n%s", path, with, without, s.last)
		}
	}
	for _, path := range absent {
		if with, _ := count(answer, strings.Split(path, ".")); with > 0 {
			return fmt.Errorf("%s should not be in\n%s", path, s.last)
		}
	}
	return nil
}

// count returns how often a path leads somewhere in v, and how often not.
func count(v any, path []string) (with, without int) {
	if len(path) == 0 {
		return 1, 0
	}
	name, isList := strings.CutSuffix(path[0], "[]")
	object, _ := v.(map[string]any)
	inner, ok := object[name]
	if !ok {
		return 0, 1
	}
	if !isList {
		return count(inner, path[1:])
	}
	items, _ := inner.([]any)
	for _, item := range items {
		w, wo := count(item, path[1:])
		with, without = with+w, without+wo
	}
	return with, without
}
