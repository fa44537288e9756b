package discovery_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/oauth2"
	"google.golang.org/api/gmail/v1"
)

// want says what is wrong where got is not want.
func want[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s is %v, want %v", what, got, want)
	}
	return nil
}

func ids[T any](items []*T, id func(*T) string) string {
	var all []string
	for _, item := range items {
		all = append(all, id(item))
	}
	return strings.Join(all, " ")
}

func messageIDs(l *gmail.ListMessagesResponse) string {
	return ids(l.Messages, func(m *gmail.Message) string { return m.Id })
}

func threadIDs(l *gmail.ListThreadsResponse) string {
	return ids(l.Threads, func(t *gmail.Thread) string { return t.Id })
}

// An answer is a call and what must and must not be in what is answered, as session.has has it.
type answer struct {
	call            func(*session) error
	present, absent []string
}

// checkAnswers makes each of the calls in a session of its own, which checks the answers against the document.
func (g *google) checkAnswers(t *testing.T, tokens oauth2.TokenSource, answers map[string]answer) {
	t.Helper()
	for name, tc := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := g.session(t, tokens)
			if err := tc.call(s); err != nil {
				t.Error(err)
			}
			if err := s.checker.Err(); err != nil {
				t.Error(err)
			}
			if err := s.has(tc.present, tc.absent); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAnswersFitTheDocument calls each method in each of its formats and with each of its parameters. The session
// checks every answer against the schemas; the rows say what must be there and what the parameters do.
func TestAnswersFitTheDocument(t *testing.T) {
	t.Parallel()
	google := newGoogle(t)
	tokens := google.token(t, gmail.GmailModifyScope)
	var (
		state    = []string{"id", "threadId", "labelIds", "historyId", "internalDate", "sizeEstimate", "snippet"}
		leaf     = []string{"payload.partId", "payload.mimeType", "payload.filename", "payload.headers[].name", "payload.headers[].value"}
		tree     = []string{"payload.parts[].partId", "payload.parts[].mimeType", "payload.parts[].filename", "payload.parts[].headers[].name", "payload.parts[].body.size"}
		inThread = func(paths []string) []string {
			var all []string
			for _, p := range paths {
				all = append(all, "messages[]."+p)
			}
			return all
		}
		all      = []string{google.report, google.answer, google.question}
		threads  = []string{google.report, google.question}
		together = func(ids ...string) string { return strings.Join(ids, " ") }
	)
	google.checkAnswers(t, tokens, map[string]answer{
		"getProfile": {
			call: func(s *session) error {
				p, err := s.Users.GetProfile("me").Do()
				if err != nil {
					return err
				}
				return errors.Join(want("emailAddress", p.EmailAddress, user), want("messagesTotal", p.MessagesTotal, 5))
			},
			present: []string{"emailAddress", "messagesTotal", "threadsTotal", "historyId"},
		},
		"getProfile by the user's address": {
			call: func(s *session) error {
				_, err := s.Users.GetProfile(user).Do()
				return err
			},
			present: []string{"emailAddress"},
		},
		"labels.list": {
			call: func(s *session) error {
				_, err := s.Users.Labels.List("me").Do()
				return err
			},
			present: []string{"labels[].id", "labels[].name", "labels[].type"},
			absent:  []string{"labels[].messagesTotal", "labels[].threadsTotal"},
		},
		"labels.get of a system label": {
			call: func(s *session) error {
				l, err := s.Users.Labels.Get("me", "INBOX").Do()
				if err != nil {
					return err
				}
				return errors.Join(want("type", l.Type, "system"), want("messagesTotal", l.MessagesTotal, 3),
					want("messagesUnread", l.MessagesUnread, 2), want("threadsTotal", l.ThreadsTotal, 2))
			},
			present: []string{"id", "name", "type", "messagesTotal", "messagesUnread", "threadsTotal", "threadsUnread"},
		},
		"labels.get of a user's label": {
			call: func(s *session) error {
				l, err := s.Users.Labels.List("me").Do()
				if err != nil {
					return err
				}
				i := slices.IndexFunc(l.Labels, func(l *gmail.Label) bool { return l.Name == "Optics" })
				if i < 0 {
					return errors.New("the label is not listed")
				}
				got, err := s.Users.Labels.Get("me", l.Labels[i].Id).Do()
				if err != nil {
					return err
				}
				return errors.Join(want("type", got.Type, "user"), want("messagesTotal", got.MessagesTotal, 1))
			},
			present: []string{"id", "name", "type", "messagesTotal", "messagesUnread", "threadsTotal", "threadsUnread"},
		},

		"messages.list": {
			call: func(s *session) error {
				l, err := s.Users.Messages.List("me").Do()
				if err != nil {
					return err
				}
				return want("the list", messageIDs(l), together(all...))
			},
			present: []string{"messages[].id", "messages[].threadId", "resultSizeEstimate"},
			absent:  []string{"nextPageToken", "messages[].payload", "messages[].snippet", "messages[].labelIds", "messages[].historyId"},
		},
		"messages.list of nothing": {
			call: func(s *session) error {
				l, err := s.Users.Messages.List("me").Q("subject:nowhere").Do()
				if err != nil {
					return err
				}
				return want("the list", messageIDs(l), "")
			},
			present: []string{"resultSizeEstimate"},
			absent:  []string{"messages", "nextPageToken"},
		},
		"messages.list with q": {
			call: func(s *session) error {
				l, err := s.Users.Messages.List("me").Q("has:attachment").Do()
				if err != nil {
					return err
				}
				return want("the list", messageIDs(l), google.report)
			},
		},
		"messages.list with two labelIds": {
			call: func(s *session) error {
				l, err := s.Users.Messages.List("me").LabelIds("INBOX", "UNREAD").Do()
				if err != nil {
					return err
				}
				return want("the list", messageIDs(l), together(google.report, google.question))
			},
		},
		"messages.list with includeSpamTrash": {
			call: func(s *session) error {
				l, err := s.Users.Messages.List("me").IncludeSpamTrash(true).Do()
				if err != nil {
					return err
				}
				return want("the list", messageIDs(l), together(google.trashed, google.spam, google.report, google.answer, google.question))
			},
		},
		"messages.list page by page": {
			call: func(s *session) error {
				var got []string
				err := s.Users.Messages.List("me").MaxResults(2).Pages(t.Context(), func(l *gmail.ListMessagesResponse) error {
					got = append(got, messageIDs(l)+";")
					return nil
				})
				return errors.Join(err, want("the pages", strings.Join(got, " "), together(google.report, google.answer+";", google.question+";")))
			},
		},
		"messages.list with fields": {
			call: func(s *session) error {
				_, err := s.Users.Messages.List("me").Fields("messages(id),nextPageToken").Do()
				return err
			},
			present: []string{"messages[].id"}, absent: []string{"messages[].threadId", "resultSizeEstimate"},
		},

		"messages.get": {
			call: func(s *session) error {
				m, err := s.Users.Messages.Get("me", google.report).Do()
				if err != nil {
					return err
				}
				return errors.Join(want("internalDate", m.InternalDate, 1793696400000), want("parts", len(m.Payload.Parts), 2))
			},
			present: slices.Concat(state, leaf, tree), absent: []string{"raw"},
		},
		"messages.get with format full of a single part": {
			call: func(s *session) error {
				_, err := s.Users.Messages.Get("me", google.question).Format("full").Do()
				return err
			},
			present: slices.Concat(state, leaf, []string{"payload.body.size", "payload.body.data"}),
			absent:  []string{"raw", "payload.parts", "payload.body.attachmentId"},
		},
		"messages.get with format metadata": {
			call: func(s *session) error {
				_, err := s.Users.Messages.Get("me", google.report).Format("metadata").Do()
				return err
			},
			present: slices.Concat(state, []string{"payload.mimeType", "payload.headers[].name"}),
			absent:  []string{"raw", "payload.parts", "payload.body.data"},
		},
		"messages.get with metadataHeaders": {
			call: func(s *session) error {
				m, err := s.Users.Messages.Get("me", google.report).Format("metadata").MetadataHeaders("subject", "From").Do()
				if err != nil {
					return err
				}
				var got []string
				for _, h := range m.Payload.Headers {
					got = append(got, h.Name+": "+h.Value)
				}
				slices.Sort(got)
				return want("the headers", strings.Join(got, "; "), "From: Émilie <emilie@example.com>; Subject: Résumé")
			},
			absent: []string{"raw", "payload.parts"},
		},
		"messages.get with format minimal": {
			call: func(s *session) error {
				_, err := s.Users.Messages.Get("me", google.report).Format("minimal").Do()
				return err
			},
			present: state, absent: []string{"raw", "payload"},
		},
		"messages.get with format raw": {
			call: func(s *session) error {
				_, err := s.Users.Messages.Get("me", google.report).Format("raw").Do()
				return err
			},
			present: append([]string{"raw"}, state...), absent: []string{"payload"},
		},
		"messages.get with nested fields": {
			call: func(s *session) error {
				_, err := s.Users.Messages.Get("me", google.report).Fields("id,payload(mimeType,parts/filename)").Do()
				return err
			},
			present: []string{"id", "payload.mimeType", "payload.parts[].filename"},
			absent:  []string{"threadId", "payload.headers", "payload.parts[].mimeType"},
		},
		"attachments.get": {
			call: func(s *session) error {
				m, err := s.Users.Messages.Get("me", google.report).Do()
				if err != nil {
					return err
				}
				part := m.Payload.Parts[1]
				if part.Body.AttachmentId == "" || part.Body.Data != "" {
					return fmt.Errorf("the part has attachmentId %q and %d characters of data", part.Body.AttachmentId, len(part.Body.Data))
				}
				a, err := s.Users.Messages.Attachments.Get("me", google.report, part.Body.AttachmentId).Do()
				if err != nil {
					return err
				}
				return errors.Join(want("filename", part.Filename, "resume.pdf"), want("size", a.Size, 45_000), want("size in the message", part.Body.Size, 45_000))
			},
			present: []string{"size", "data"},
		},

		"threads.list": {
			call: func(s *session) error {
				l, err := s.Users.Threads.List("me").Do()
				if err != nil {
					return err
				}
				return want("the list", threadIDs(l), together(threads...))
			},
			present: []string{"threads[].id", "threads[].snippet", "threads[].historyId", "resultSizeEstimate"},
			absent:  []string{"threads[].messages", "nextPageToken"},
		},
		"threads.list with q and labelIds": {
			call: func(s *session) error {
				l, err := s.Users.Threads.List("me").Q("lens").LabelIds("INBOX").Do()
				if err != nil {
					return err
				}
				return want("the list", threadIDs(l), google.question)
			},
		},
		"threads.list with includeSpamTrash": {
			call: func(s *session) error {
				l, err := s.Users.Threads.List("me").IncludeSpamTrash(true).Do()
				if err != nil {
					return err
				}
				return want("the list", threadIDs(l), together(google.trashed, google.spam, google.report, google.question))
			},
		},
		"threads.list page by page": {
			call: func(s *session) error {
				var got []string
				err := s.Users.Threads.List("me").MaxResults(1).Pages(t.Context(), func(l *gmail.ListThreadsResponse) error {
					got = append(got, threadIDs(l))
					return nil
				})
				return errors.Join(err, want("the pages", strings.Join(got, " "), together(threads...)))
			},
		},
		"threads.get": {
			call: func(s *session) error {
				th, err := s.Users.Threads.Get("me", google.question).Do()
				if err != nil {
					return err
				}
				return want("the messages", ids(th.Messages, func(m *gmail.Message) string { return m.Id }), together(google.question, google.answer))
			},
			present: slices.Concat([]string{"id", "historyId"}, inThread(state), inThread(leaf), inThread([]string{"payload.body.data"})),
			absent:  inThread([]string{"raw"}),
		},
		"threads.get with format metadata": {
			call: func(s *session) error {
				_, err := s.Users.Threads.Get("me", google.question).Format("metadata").MetadataHeaders("Subject").Do()
				return err
			},
			present: inThread(append([]string{"payload.headers[].name"}, state...)),
			absent:  inThread([]string{"raw", "payload.parts", "payload.body.data"}),
		},
		"threads.get with format minimal": {
			call: func(s *session) error {
				_, err := s.Users.Threads.Get("me", google.question).Format("minimal").Do()
				return err
			},
			present: inThread(state), absent: inThread([]string{"raw", "payload"}),
		},
	})
}
