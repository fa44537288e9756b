package discovery_test

import (
	"errors"
	"testing"

	"golang.org/x/oauth2"
	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/googleapi"
)

// TestRefusalsHaveGooglesForm looks at the errors as the official client understands them; the session checks
// their form.
func TestRefusalsHaveGooglesForm(t *testing.T) {
	t.Parallel()
	google := newGoogle(t)
	full := google.token(t, gmail.GmailModifyScope)
	metadata := google.token(t, gmail.GmailMetadataScope)
	for name, tc := range map[string]struct {
		tokens oauth2.TokenSource
		call   func(*gmail.UsersService) error
		code   int
		reason string
	}{
		"an unknown message": {
			call: func(u *gmail.UsersService) error { return second(u.Messages.Get("me", "0000000000000001").Do()) },
			code: 404, reason: "notFound",
		},
		"an unknown thread": {
			call: func(u *gmail.UsersService) error { return second(u.Threads.Get("me", "0000000000000001").Do()) },
			code: 404, reason: "notFound",
		},
		"a topic that is not there": {
			call: func(u *gmail.UsersService) error {
				return second(u.Watch("me", &gmail.WatchRequest{TopicName: topic + "2"}).Do())
			},
			code: 404, reason: "notFound",
		},
		"a draft that is not there": {
			call: func(u *gmail.UsersService) error { return second(u.Drafts.Send("me", &gmail.Draft{Id: "r1"}).Do()) },
			code: 404, reason: "notFound",
		},
		"a mail to nobody": {
			call: func(u *gmail.UsersService) error {
				return second(u.Messages.Send("me", &gmail.Message{Raw: "YTogYg=="}).Do())
			},
			code: 400, reason: "invalidArgument",
		},
		"a label of a name that there is": {
			call: func(u *gmail.UsersService) error {
				return second(u.Labels.Create("me", &gmail.Label{Name: "optics"}).Do())
			},
			code: 409, reason: "aborted",
		},
		"a history that has expired": {
			call: func(u *gmail.UsersService) error { return second(u.History.List("me").StartHistoryId(1).Do()) },
			code: 404, reason: "notFound",
		},
		"an unknown label": {
			call: func(u *gmail.UsersService) error { return second(u.Labels.Get("me", "Label_99").Do()) },
			code: 404, reason: "notFound",
		},
		"an unknown attachment": {
			call: func(u *gmail.UsersService) error {
				return second(u.Messages.Attachments.Get("me", google.report, "nothing").Do())
			},
			code: 400, reason: "invalidArgument",
		},
		"a message ID that is none": {
			call: func(u *gmail.UsersService) error { return second(u.Messages.Get("me", "not an ID").Do()) },
			code: 400, reason: "invalidArgument",
		},
		"a format that does not exist": {
			call: func(u *gmail.UsersService) error {
				return second(u.Messages.Get("me", google.report).Format("pretty").Do())
			},
			code: 400, reason: "invalidArgument",
		},
		"a page token that is none": {
			call: func(u *gmail.UsersService) error { return second(u.Messages.List("me").PageToken("x").Do()) },
			code: 400, reason: "invalidArgument",
		},
		"a label that no message can lose": {
			call: func(u *gmail.UsersService) error {
				return second(u.Messages.Modify("me", google.report, &gmail.ModifyMessageRequest{AddLabelIds: []string{"NO_SUCH"}}).Do())
			},
			code: 400, reason: "invalidArgument",
		},
		"another user's mailbox": {
			call: func(u *gmail.UsersService) error { return second(u.GetProfile("bob@example.com").Do()) },
			code: 403, reason: "forbidden",
		},
		"a search with a token for metadata": {
			tokens: metadata,
			call:   func(u *gmail.UsersService) error { return second(u.Messages.List("me").Q("lens").Do()) },
			code:   403, reason: "forbidden",
		},
		"a whole message with a token for metadata": {
			tokens: metadata,
			call:   func(u *gmail.UsersService) error { return second(u.Messages.Get("me", google.report).Do()) },
			code:   403, reason: "forbidden",
		},
		"a change with a token for metadata": {
			tokens: metadata,
			call:   func(u *gmail.UsersService) error { return second(u.Messages.Trash("me", google.report).Do()) },
			code:   403, reason: "insufficientPermissions",
		},
		"a token that Google never issued": {
			tokens: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "made up"}),
			call:   func(u *gmail.UsersService) error { return second(u.GetProfile("me").Do()) },
			code:   401, reason: "authError",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokens := tc.tokens
			if tokens == nil {
				tokens = full
			}
			s := google.session(t, tokens)
			refusal, ok := errors.AsType[*googleapi.Error](tc.call(s.Users))
			if !ok {
				t.Fatal("the call was not refused")
			}
			if refusal.Code != tc.code || len(refusal.Errors) != 1 || refusal.Errors[0].Reason != tc.reason {
				t.Errorf("refused with %d %+v, want %d %s", refusal.Code, refusal.Errors, tc.code, tc.reason)
			}
			if err := s.checker.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}
