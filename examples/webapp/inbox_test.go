package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestAMessageThatCanNotBeHadDoesNotHideTheOthers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status, rows int
		says         string
	}{
		"it was deleted since it was listed": {http.StatusNotFound, 13, "It was a gull"},
		"Gmail fails on it":                  {http.StatusInternalServerError, 14, "(Gmail does not give this message for now)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			p := s.signedIn(t, gauges)
			broken := s.madeUp.Mailbox(gauges).MessageIDs()[3]
			fault := gmailtest.APIError("gmail.users.*.get", c.status, "x", "x")
			fault.Match = func(r *http.Request) bool { return strings.Contains(r.URL.Path, broken) }
			s.madeUp.Inject(fault)
			got := p.get(s.account(t, gauges))
			got.check(t, http.StatusOK, "Which zero is your zero?", c.says)
			if n := strings.Count(got.body, "/messages/"); n != c.rows {
				t.Errorf("the list has %d rows, want %d", n, c.rows)
			}
		})
	}
}

func TestPagesThatAreEmptyAreNotTheEnd(t *testing.T) {
	t.Parallel()
	google, err := gmailtest.New(gmailtest.Config{EmptyPages: true})
	if err != nil {
		t.Fatal(err)
	}
	box := google.AddUser(gmailtest.User{Email: ada})
	for range rowsPerPage + 1 {
		if _, err := box.Deliver([]byte("Subject: x\r\n\r\nx")); err != nil {
			t.Fatal(err)
		}
	}
	token, _, err := google.Grant(ada, "https://www.googleapis.com/auth/gmail.readonly")
	if err != nil {
		t.Fatal(err)
	}
	svc, err := gmailsvc.New(gmailsvc.Config{HTTPClient: google.Client()}).
		BuildService(t.Context(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token}))
	if err != nil {
		t.Fatal(err)
	}
	first, err := findMessages(t.Context(), svc, "", nil)
	if err != nil || len(first.Messages) != rowsPerPage || first.NextPageToken == "" {
		t.Fatalf("the first page has %d messages, %v", len(first.Messages), err)
	}
	second, err := findMessages(t.Context(), svc, "", []string{first.NextPageToken})
	if err != nil || len(second.Messages) != 1 || second.NextPageToken != "" {
		t.Errorf("the second page has %d messages, %v", len(second.Messages), err)
	}
}

func TestThePagesBehindAreInTheAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	at := s.account(t, ada)
	p.get(at).check(t, http.StatusOK, "Page 1", "Older")
	p.get(at+"?page=nonsense").check(t, http.StatusBadRequest, "Gmail does not understand this", "To the inbox")
	long := at + "?" + url.Values{"page": make([]string, 3*maxTrail)}.Encode()
	if got := p.get(long); got.StatusCode >= 500 {
		t.Errorf("a trail of %d pages answers %s", 3*maxTrail, got.Status)
	}
	for want, trail := range map[string][]string{"": nil, "?page=a": {"a"}, "?page=a&page=b": {"a", "b"}} {
		if got := listURL(account{UserID: "1"}, "", trail); got != "/accounts/1"+want {
			t.Errorf("the trail %q is at %s, want %s", trail, got, want)
		}
	}
	if got := listURL(account{UserID: "1"}, "a&b=c", []string{"x"}); got != "/accounts/1?page=x&q=a%26b%3Dc" {
		t.Errorf("a search is at %s", got)
	}
}

func TestTextIsText(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	const script = `<script>alert("x")</script>`
	id, err := s.madeUp.Mailbox(ada).Deliver([]byte("From: \"" + strings.ReplaceAll(script, `"`, `\"`) + "\" <x@example.net>\r\nSubject: " + script + "\r\n\r\n" + script + "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{s.account(t, ada), s.account(t, ada) + "/messages/" + id, s.account(t, ada) + "?q=" + url.QueryEscape(script)} {
		got := p.get(path)
		got.check(t, http.StatusOK, script)
		if strings.Contains(got.body, "<script") {
			t.Errorf("%s has a script", path)
		}
	}
}
