package discovery_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/googleapi"
)

const letter = "To: bob@example.com\r\nSubject: S\r\n\r\nHello"

// fresh delivers a message that a call may do anything with.
func (g *google) fresh() string {
	id, err := g.box.Deliver([]byte("Subject: fresh\r\n\r\nHello"))
	if err != nil {
		panic(err) // it is not empty
	}
	return id
}

func (g *google) freshDraft() string {
	id, err := g.box.SaveDraft("", []byte(letter))
	if err != nil {
		panic(err) // it is not empty
	}
	return id
}

func (g *google) freshLabel() string {
	g.labels++
	id, err := g.box.CreateLabel(fmt.Sprintf("Label number %d", g.labels))
	if err != nil {
		panic(err) // the name is new
	}
	return id
}

// labeled says what is wrong where a message has not these labels, sorted.
func labeled(m *gmail.Message, err error, labels ...string) error {
	if err != nil {
		return err
	}
	slices.Sort(m.LabelIds)
	return errors.Join(want("labels", strings.Join(m.LabelIds, " "), strings.Join(labels, " ")), want("has an ID", m.Id != "" && m.ThreadId != "", true))
}

func labeledThread(t *gmail.Thread, err error, labels ...string) error {
	if err != nil {
		return err
	}
	if len(t.Messages) != 1 {
		return fmt.Errorf("the thread has %d messages", len(t.Messages))
	}
	return labeled(t.Messages[0], nil, labels...)
}

// calls are calls of every method of the server's by ID, each to be made once, in any order.
func (g *google) calls(u *gmail.UsersService) map[string][]func() error {
	one := func(call func() error) []func() error { return []func() error{call} }
	all := map[string][]func() error{
		"gmail.users.getProfile": one(func() error { return second(u.GetProfile("me").Do()) }),
		"gmail.users.watch": one(func() error {
			w, err := u.Watch("me", &gmail.WatchRequest{TopicName: topic, LabelIds: []string{"INBOX"}, LabelFilterBehavior: "include"}).Do()
			if err != nil {
				return err
			}
			return want("has an expiration", w.Expiration > 0 && w.HistoryId > g.began, true)
		}),
		"gmail.users.stop":         one(func() error { return u.Stop("me").Do() }),
		"gmail.users.history.list": one(func() error { return second(u.History.List("me").StartHistoryId(g.began).Do()) }),
		"gmail.users.threads.list": one(func() error { return second(u.Threads.List("me").Do()) }),
		"gmail.users.threads.get":  one(func() error { return second(u.Threads.Get("me", g.fresh()).Do()) }),
		"gmail.users.threads.modify": one(func() error {
			th, err := u.Threads.Modify("me", g.fresh(), &gmail.ModifyThreadRequest{AddLabelIds: []string{"STARRED"}}).Do()
			return labeledThread(th, err, "INBOX", "STARRED", "UNREAD")
		}),
		"gmail.users.threads.trash": one(func() error {
			th, err := u.Threads.Trash("me", g.fresh()).Do()
			return labeledThread(th, err, "TRASH", "UNREAD")
		}),
		"gmail.users.threads.untrash": one(func() error {
			th, err := u.Threads.Untrash("me", g.fresh()).Do()
			return labeledThread(th, err, "INBOX", "UNREAD")
		}),
		"gmail.users.threads.delete": one(func() error { return u.Threads.Delete("me", g.fresh()).Do() }),

		"gmail.users.labels.list": one(func() error { return second(u.Labels.List("me").Do()) }),
		"gmail.users.labels.get":  one(func() error { return second(u.Labels.Get("me", "INBOX").Do()) }),
		"gmail.users.labels.create": one(func() error {
			l, err := u.Labels.Create("me", &gmail.Label{Name: "New", LabelListVisibility: "labelHide",
				Color: &gmail.LabelColor{TextColor: "#000000", BackgroundColor: "#ffffff"}}).Do()
			if err != nil {
				return err
			}
			return errors.Join(want("name", l.Name, "New"), want("visibility", l.LabelListVisibility, "labelHide"), want("type", l.Type, "user"))
		}),
		"gmail.users.labels.update": one(func() error {
			return second(u.Labels.Update("me", g.freshLabel(), &gmail.Label{Name: "Updated", MessageListVisibility: "hide"}).Do())
		}),
		"gmail.users.labels.patch":  one(func() error { return second(u.Labels.Patch("me", g.freshLabel(), &gmail.Label{Name: "Patched"}).Do()) }),
		"gmail.users.labels.delete": one(func() error { return u.Labels.Delete("me", g.freshLabel()).Do() }),
	}
	for _, more := range []map[string][]func() error{g.messageCalls(u), g.draftCalls(u)} {
		maps.Copy(all, more)
	}
	return all
}

func (g *google) messageCalls(u *gmail.UsersService) map[string][]func() error {
	encoded := base64.URLEncoding.EncodeToString([]byte(letter))
	raw := func() *gmail.Message { return &gmail.Message{Raw: encoded} }
	one := func(call func() error) []func() error { return []func() error{call} }
	return map[string][]func() error{
		"gmail.users.messages.list": one(func() error { return second(u.Messages.List("me").Do()) }),
		"gmail.users.messages.get":  one(func() error { return second(u.Messages.Get("me", g.question).Do()) }),
		"gmail.users.messages.attachments.get": one(func() error {
			return second(u.Messages.Attachments.Get("me", g.report, "ANGjdJ_cGFydDox").Do()) // the second part's
		}),
		"gmail.users.messages.modify": one(func() error {
			change := &gmail.ModifyMessageRequest{AddLabelIds: []string{"STARRED"}, RemoveLabelIds: []string{"UNREAD"}}
			m, err := u.Messages.Modify("me", g.fresh(), change).Do()
			return labeled(m, err, "INBOX", "STARRED")
		}),
		"gmail.users.messages.trash": one(func() error {
			m, err := u.Messages.Trash("me", g.fresh()).Do()
			return labeled(m, err, "TRASH", "UNREAD")
		}),
		"gmail.users.messages.untrash": one(func() error {
			m, err := u.Messages.Untrash("me", g.fresh()).Do()
			return labeled(m, err, "INBOX", "UNREAD")
		}),
		"gmail.users.messages.delete": one(func() error { return u.Messages.Delete("me", g.fresh()).Do() }),
		"gmail.users.messages.batchModify": one(func() error {
			return u.Messages.BatchModify("me", &gmail.BatchModifyMessagesRequest{Ids: []string{g.fresh(), g.fresh()}, AddLabelIds: []string{"STARRED"}}).Do()
		}),
		"gmail.users.messages.batchDelete": one(func() error {
			return u.Messages.BatchDelete("me", &gmail.BatchDeleteMessagesRequest{Ids: []string{g.fresh(), g.fresh()}}).Do()
		}),
		"gmail.users.messages.send": {
			func() error {
				m, err := u.Messages.Send("me", raw()).Do()
				return labeled(m, err, "SENT")
			},
			func() error { // multipart
				m, err := u.Messages.Send("me", &gmail.Message{}).Media(strings.NewReader(letter), googleapi.ContentType("message/rfc822")).Do()
				return labeled(m, err, "SENT")
			},
			func() error { // in pieces
				large := letter + strings.Repeat("x", 600<<10)
				m, err := u.Messages.Send("me", &gmail.Message{}).Media(strings.NewReader(large), googleapi.ChunkSize(256<<10)).Do()
				if err != nil {
					return err
				}
				sent, err := g.box.Raw(m.Id)
				return errors.Join(err, want("what was sent is whole", bytes.HasSuffix(sent, []byte(large[len(letter):])), true), labeled(m, nil, "SENT"))
			},
		},
		"gmail.users.messages.insert": {
			func() error {
				m, err := u.Messages.Insert("me", &gmail.Message{Raw: encoded, LabelIds: []string{"INBOX"}}).InternalDateSource("dateHeader").Do()
				return labeled(m, err, "INBOX")
			},
			func() error {
				m, err := u.Messages.Insert("me", &gmail.Message{LabelIds: []string{"INBOX"}}).Media(strings.NewReader(letter)).Do()
				return labeled(m, err, "INBOX")
			},
		},
		"gmail.users.messages.import": {
			func() error {
				m, err := u.Messages.Import("me", raw()).NeverMarkSpam(true).ProcessForCalendar(true).Do()
				return labeled(m, err)
			},
			func() error {
				m, err := u.Messages.Import("me", &gmail.Message{}).Media(strings.NewReader(letter)).Do()
				return labeled(m, err)
			},
		},
	}
}

func (g *google) draftCalls(u *gmail.UsersService) map[string][]func() error {
	draft := func() *gmail.Draft {
		return &gmail.Draft{Message: &gmail.Message{Raw: base64.URLEncoding.EncodeToString([]byte(letter))}}
	}
	drafted := func(d *gmail.Draft, err error) error {
		if err != nil {
			return err
		}
		return errors.Join(want("has an ID", d.Id != "", true), labeled(d.Message, nil, "DRAFT"))
	}
	return map[string][]func() error{
		"gmail.users.drafts.list": {func() error {
			g.freshDraft()
			l, err := u.Drafts.List("me").IncludeSpamTrash(true).Q("subject:S").MaxResults(1).Do()
			if err != nil {
				return err
			}
			return want("has a draft", len(l.Drafts) == 1 && l.Drafts[0].Message.ThreadId != "", true)
		}},
		"gmail.users.drafts.get": {
			func() error { return drafted(u.Drafts.Get("me", g.freshDraft()).Do()) },
			func() error { return drafted(u.Drafts.Get("me", g.freshDraft()).Format("raw").Do()) },
		},
		"gmail.users.drafts.create": {
			func() error { return drafted(u.Drafts.Create("me", draft()).Do()) },
			func() error {
				return drafted(u.Drafts.Create("me", &gmail.Draft{}).Media(strings.NewReader(letter)).Do())
			},
		},
		"gmail.users.drafts.update": {
			func() error { return drafted(u.Drafts.Update("me", g.freshDraft(), draft()).Do()) },
			func() error {
				return drafted(u.Drafts.Update("me", g.freshDraft(), &gmail.Draft{}).Media(strings.NewReader(letter)).Do())
			},
		},
		"gmail.users.drafts.send": {
			func() error {
				m, err := u.Drafts.Send("me", &gmail.Draft{Id: g.freshDraft()}).Do()
				return labeled(m, err, "SENT")
			},
			func() error {
				m, err := u.Drafts.Send("me", &gmail.Draft{Id: g.freshDraft()}).Media(strings.NewReader(letter)).Do()
				return labeled(m, err, "SENT")
			},
		},
		"gmail.users.drafts.delete": {func() error { return u.Drafts.Delete("me", g.freshDraft()).Do() }},
	}
}
