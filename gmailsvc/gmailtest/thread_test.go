package gmailtest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestARepliesSubjectDecidesTooAboutItsThread(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, mailScope)
	question := acc.deliver(t, raw("", "Subject: The long  lens", "Message-ID: <1@x.example>"))
	other := acc.deliver(t, raw("", "Subject: The long lens"))
	for subject, joins := range map[string]bool{
		"The long lens": true, "Re: The long lens": true, "RE: AW: Fwd: the long lens": true, "=?utf-8?q?Re=3A_The_long_lens?=": true,
		"The short lens": false, "Re: The short lens": false, "Note: The long lens": false,
	} {
		for _, reference := range []string{"In-Reply-To: <1@x.example>", "References: <1@x.example>"} {
			id := acc.deliver(t, raw("", "Subject: "+subject, reference))
			thread, err := acc.box.ThreadID(id)
			must(t, err)
			if want := map[bool]string{true: question, false: id}[joins]; thread != want {
				t.Errorf("%q with %q is in %s, want %s", subject, reference, thread, want)
			}
			if thread == other {
				t.Error("the subject alone makes a thread")
			}
		}
	}
}

func TestAnAskedForThreadIsJoinedByThoseWhoBelongThere(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, mailScope)
	question := acc.deliver(t, raw("", "Subject: S", "Message-ID: <1@x.example>"))
	other := acc.deliver(t, raw("", "Subject: S", "Message-ID: <2@x.example>"))
	for name, tc := range map[string]struct {
		lines  []string
		thread string // asked for
		want   string // "" for its own
	}{
		"a reply":                         {[]string{"Subject: Re: S", "In-Reply-To: <1@x.example>"}, question, question},
		"a reply, nothing asked for":      {[]string{"Subject: Re: S", "In-Reply-To: <1@x.example>"}, "", question},
		"a reply to both":                 {[]string{"Subject: Re: S", "References: <1@x.example> <2@x.example>"}, question, question},
		"one with another subject":        {[]string{"Subject: T", "In-Reply-To: <1@x.example>"}, question, ""},
		"one that refers to nothing":      {[]string{"Subject: S"}, question, ""},
		"one that refers to another":      {[]string{"Subject: S", "In-Reply-To: <2@x.example>"}, question, other},
		"the ID in another way to say it": {[]string{"Subject: Re: S", "In-Reply-To: <1@x.example>"}, strings.ToUpper(question), question},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := rawJSON(raw(name, append(tc.lines, "To: b@example.com")...), `,"threadId":"`+tc.thread+`"`)
			for _, path := range []string{"me/messages/send", "me/messages", "me/drafts"} {
				a := acc.post(t, path, body)
				if path == "me/drafts" {
					a = acc.post(t, path, `{"message":`+body+`}`)
					a.body, _ = a.body["message"].(map[string]any)
				}
				want := tc.want
				if want == "" {
					want = a.str("id")
				}
				if a.str("threadId") != want {
					t.Errorf("%s files it in %s, want %s", path, a.str("threadId"), want)
				}
			}
		})
	}
}

func TestAThreadIsChangedAsAWhole(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, mailScope)
	var thread string
	names := make(map[string]string)
	for i := range 3 {
		id := acc.deliver(t, raw("", "Subject: S", "References: <1@x.example>", fmt.Sprintf("Date: Fri, 20 Nov 2026 0%d:00:00 +0000", i)))
		names[id] = fmt.Sprint(i)
		if i == 0 {
			thread = id
		}
	}
	other := acc.deliver(t, raw("", "Subject: other"))
	for _, step := range []struct {
		method, path, body string
		labels             string // of each message then
		history            []string
	}{
		{"POST", "/modify", `{"addLabelIds":["STARRED"],"removeLabelIds":["UNREAD"]}`, "[INBOX STARRED]", []string{
			"labelsAdded:0+STARRED", "labelsAdded:1+STARRED", "labelsAdded:2+STARRED",
			"labelsRemoved:0-UNREAD", "labelsRemoved:1-UNREAD", "labelsRemoved:2-UNREAD"}},
		{"POST", "/trash", "", "[STARRED TRASH]", []string{
			"labelsAdded:0+TRASH", "labelsAdded:1+TRASH", "labelsAdded:2+TRASH",
			"labelsRemoved:0-INBOX", "labelsRemoved:1-INBOX", "labelsRemoved:2-INBOX"}},
		{"POST", "/untrash", "", "[STARRED]", []string{"labelsRemoved:0-TRASH", "labelsRemoved:1-TRASH", "labelsRemoved:2-TRASH"}},
		{"POST", "/untrash", "", "[STARRED]", nil},
		{"DELETE", "", "", "", []string{"messagesDeleted:0", "messagesDeleted:1", "messagesDeleted:2"}},
	} {
		since := acc.historyID(t)
		a := acc.send(t, step.method, "me/threads/"+thread+step.path, step.body)
		if got, _ := historyOf(t, acc, since, "", names); !slices.Equal(got, step.history) {
			t.Errorf("after %s%s the history is %q, want %q", step.method, step.path, got, step.history)
		}
		if step.method == "DELETE" {
			if a.status != 204 || !slices.Equal(acc.box.MessageIDs(), []string{other}) {
				t.Errorf("the deletion answers %d and leaves %v", a.status, acc.box.MessageIDs())
			}
			continue
		}
		messages := list(a.body["messages"])
		for _, m := range messages {
			if fmt.Sprint(m["labelIds"]) != step.labels || m["threadId"] != thread {
				t.Errorf("%s has %v, want %s", step.path, m, step.labels)
			}
		}
		if a.str("id") != thread || len(messages) != 3 {
			t.Errorf("%s answers %s", step.path, a.raw)
		}
	}
	for _, tc := range []struct{ method, path, body string }{
		{"POST", "/modify", `{"addLabelIds":["STARRED"]}`}, {"POST", "/trash", ""}, {"POST", "/untrash", ""}, {"DELETE", "", ""},
	} {
		wantAPIError(t, acc.send(t, tc.method, "me/threads/"+thread+tc.path, tc.body), 404, "NOT_FOUND", "notFound", "Requested entity was not found.")
		wantAPIError(t, acc.send(t, tc.method, "me/threads/x"+tc.path, tc.body), 400, "INVALID_ARGUMENT", "invalidArgument", "Invalid id value")
	}
	wantAPIError(t, acc.post(t, "me/threads/"+other+"/modify", `{}`), 400, "INVALID_ARGUMENT", "invalidArgument", "No label add or removes specified")
}
