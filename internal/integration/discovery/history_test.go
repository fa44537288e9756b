package discovery_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/api/gmail/v1"
)

func TestHistoryFitsTheDocument(t *testing.T) {
	t.Parallel()
	google := newGoogle(t)
	for _, err := range []error{
		google.box.AddLabels(google.question, "STARRED"),
		google.box.RemoveLabels(google.question, "UNREAD"),
		google.box.Delete(google.spam),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	list := func(s *session) *gmail.UsersHistoryListCall {
		return s.Users.History.List("me").StartHistoryId(google.began)
	}
	message := func(change string) []string {
		in := "history[]." + change + "[].message."
		return []string{in + "id", in + "threadId", in + "labelIds"}
	}
	google.checkAnswers(t, google.token(t, gmail.GmailReadonlyScope), map[string]answer{
		"history.list": {
			call: func(s *session) error {
				l, err := list(s).Do()
				if err != nil {
					return err
				}
				return errors.Join(want("records", len(l.History), 8), want("historyId", l.HistoryId, google.box.HistoryID()))
			},
			present: []string{"history[].id", "history[].messages[].id", "history[].messages[].threadId", "historyId"},
			absent:  []string{"nextPageToken", "history[].messages[].labelIds"},
		},
		"history.list of what was added": {
			call:    func(s *session) error { return second(list(s).HistoryTypes("messageAdded").LabelId("INBOX").Do()) },
			present: message("messagesAdded"), absent: []string{"history[].messagesDeleted", "history[].labelsAdded"},
		},
		"history.list of what was deleted": {
			call:    func(s *session) error { return second(list(s).HistoryTypes("messageDeleted").Do()) },
			present: message("messagesDeleted"), absent: []string{"history[].messagesAdded"},
		},
		"history.list of the labels added": {
			call:    func(s *session) error { return second(list(s).HistoryTypes("labelAdded").Do()) },
			present: append(message("labelsAdded"), "history[].labelsAdded[].labelIds"), absent: []string{"history[].labelsRemoved"},
		},
		"history.list of the labels removed": {
			call:    func(s *session) error { return second(list(s).HistoryTypes("labelRemoved").Do()) },
			present: append(message("labelsRemoved"), "history[].labelsRemoved[].labelIds"), absent: []string{"history[].labelsAdded"},
		},
		"history.list page by page": {
			call: func(s *session) error {
				var sizes []string
				err := list(s).MaxResults(3).Pages(t.Context(), func(l *gmail.ListHistoryResponse) error {
					sizes = append(sizes, strings.Repeat("x", len(l.History)))
					return nil
				})
				return errors.Join(err, want("the pages", strings.Join(sizes, " "), "xxx xxx xx"))
			},
		},
		"history.list of nothing": {
			call:    func(s *session) error { return second(list(s).StartHistoryId(google.box.HistoryID()).Do()) },
			present: []string{"historyId"}, absent: []string{"history", "nextPageToken"},
		},
	})
}
