package gmailsvc_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"

	"google.golang.org/api/googleapi"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

const opList = "gmail.users.messages.list"

func TestListMessagesYieldsWhatMatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	inbox := w.deliver(t, 30)
	spam, err := w.box.Deliver([]byte("From: x@example.net\r\nSubject: prize\r\nDate: Mon, 02 Nov 2026 12:00:00 +0000\r\n\r\n.\r\n"),
		gmailtest.WithLabels("SPAM"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.box.AddLabels(inbox[3], "STARRED"); err != nil {
		t.Fatal(err)
	}
	svc := w.service(t, w.consent(t), nil)
	for name, c := range map[string]struct {
		query gmailsvc.Query
		want  []string
	}{
		"all but spam and trash, newest first":   {gmailsvc.Query{}, inbox},
		"page by page":                           {gmailsvc.Query{PageSize: 7}, inbox},
		"a last page that is full":               {gmailsvc.Query{PageSize: 10}, inbox},
		"spam too when it is asked for":          {gmailsvc.Query{IncludeSpamTrash: true}, append([]string{spam}, inbox...)},
		"what a search finds":                    {gmailsvc.Query{Q: `subject:"number 17"`}, inbox[12:13]},
		"what has a label":                       {gmailsvc.Query{LabelIDs: []string{"STARRED"}}, inbox[3:4]},
		"what has every label":                   {gmailsvc.Query{LabelIDs: []string{"STARRED", "SPAM"}, IncludeSpamTrash: true}, nil},
		"no more than the limit":                 {gmailsvc.Query{Limit: 5}, inbox[:5]},
		"a limit that ends within a later page":  {gmailsvc.Query{Limit: 15, PageSize: 10}, inbox[:15]},
		"a limit that ends with a page":          {gmailsvc.Query{Limit: 20, PageSize: 10}, inbox[:20]},
		"a limit beyond the end":                 {gmailsvc.Query{Limit: 1000}, inbox},
		"nothing where nothing matches":          {gmailsvc.Query{Q: "from:nobody@example.org"}, nil},
		"the largest page that Gmail gives":      {gmailsvc.Query{PageSize: 500}, inbox},
		"search and label and limit in one call": {gmailsvc.Query{Q: "from:grace", LabelIDs: []string{"INBOX"}, Limit: 2}, inbox[:2]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := list(t.Context(), svc, c.query)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %d messages %v, %v; want %d %v", len(got), got, err, len(c.want), c.want)
			}
		})
	}
}

func TestListMessagesNamesTheThread(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.deliver(t, 1)[0]
	want, err := w.box.ThreadID(id)
	if err != nil {
		t.Fatal(err)
	}
	svc := w.service(t, w.consent(t), nil)
	for ref, err := range svc.ListMessages(t.Context(), gmailsvc.Query{}) {
		if err != nil || ref != (gmailsvc.MessageRef{ID: id, ThreadID: want}) {
			t.Errorf("got %+v, %v; want message %s of thread %s", ref, err, id, want)
		}
	}
}

func TestListMessagesFetchesNoPageBeforeItIsNeeded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver(t, 30)
	svc := w.service(t, w.consent(t), nil)
	listing := svc.ListMessages(t.Context(), gmailsvc.Query{PageSize: 10})
	if n := w.google.Count(opList); n != 0 {
		t.Errorf("%d calls before the first message was asked for, want none", n)
	}
	seen := 0
	for _, err := range listing {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 15 {
			break
		}
	}
	if n := w.google.Count(opList); n != 2 {
		t.Errorf("%d calls for 15 messages in pages of 10, want 2", n)
	}
}

func TestListMessagesAsksForNoMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver(t, 30)
	svc := w.service(t, w.consent(t), nil)
	var asked []string
	w.google.Inject(gmailtest.Fault{Op: opList, Match: func(r *http.Request) bool {
		asked = append(asked, r.URL.Query().Get("maxResults"))
		return false
	}})
	if _, err := list(t.Context(), svc, gmailsvc.Query{PageSize: 10, Limit: 13}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"10", "3"}; !slices.Equal(asked, want) {
		t.Errorf("asked for pages of %v, want %v", asked, want)
	}
}

func TestListMessagesGoesOnAfterAnEmptyPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.deliver(t, 3)
	svc := w.service(t, w.consent(t), nil)
	w.google.Inject(gmailtest.Fault{
		Op: opList, Body: `{"nextPageToken":"second","resultSizeEstimate":3}`,
		Match: func(r *http.Request) bool { return r.URL.Query().Get("pageToken") == "" },
	})
	w.google.Inject(gmailtest.Fault{
		Op: opList, Body: `{"messages":[{"id":"` + ids[0] + `","threadId":"` + ids[0] + `"}]}`,
		Match: func(r *http.Request) bool { return r.URL.Query().Get("pageToken") == "second" },
	})
	got, err := list(t.Context(), svc, gmailsvc.Query{})
	if err != nil || !slices.Equal(got, ids[:1]) {
		t.Errorf("got %v, %v; want %v from the second page", got, err, ids[:1])
	}
}

func TestListMessagesRefusesWhatGmailWould(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	svc := w.service(t, w.consent(t), nil)
	for name, q := range map[string]gmailsvc.Query{
		"a page of more than 500": {PageSize: 501},
		"a page below zero":       {PageSize: -1},
		"a limit below zero":      {Limit: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := list(t.Context(), svc, q); err == nil || got != nil {
				t.Errorf("got %v, %v; want an error", got, err)
			}
		})
	}
	t.Cleanup(func() {
		if n := w.google.Count(opList); n != 0 {
			t.Errorf("%d calls were made, want none", n)
		}
	})
}

func TestListMessagesEndsWithTheFirstError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.deliver(t, 20)
	svc := w.service(t, w.consent(t), nil)
	w.google.Inject(gmailtest.Fault{
		Op: opList, Status: http.StatusBadRequest, Body: `{"error":{"code":400,"message":"Invalid pageToken"}}`,
		Match: func(r *http.Request) bool { return r.URL.Query().Get("pageToken") != "" },
	})
	var got []string
	var failures int
	for ref, err := range svc.ListMessages(t.Context(), gmailsvc.Query{PageSize: 10}) {
		var refused *googleapi.Error
		if err == nil {
			got = append(got, ref.ID)
		} else if failures++; !errors.As(err, &refused) || refused.Code != http.StatusBadRequest {
			t.Errorf("got %v, want Gmail's error 400", err)
		}
	}
	if !slices.Equal(got, ids[:10]) || failures != 1 {
		t.Errorf("got %d messages and %d errors, want the first page and one error", len(got), failures)
	}
}

func TestListMessagesObeysItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver(t, 20)
	svc := w.service(t, w.consent(t), nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range svc.ListMessages(ctx, gmailsvc.Query{PageSize: 10}) {
		last = err
		cancel()
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("the listing ended with %v, want context.Canceled", last)
	}
}
