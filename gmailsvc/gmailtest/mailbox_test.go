package gmailtest_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// raw makes a message of header lines and a body.
func raw(body string, lines ...string) string {
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

func TestMessageIDsLookLikeGmailsAndAreTheSameInEveryRun(t *testing.T) {
	t.Parallel()
	message := []byte(raw("Hello", "Date: Fri, 20 Nov 2026 09:00:00 +0100", "Subject: One"))
	var first string
	for range 2 {
		box := newServer(t, gmailtest.Config{}).AddUser(gmailtest.User{Email: ada})
		id, err := box.Deliver(message)
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = id
		}
		if id != first || !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(id) {
			t.Errorf("ID = %q, want 16 hex digits, as in the run before: %q", id, first)
		}
		again, err := box.Deliver(message)
		if err != nil || again == id {
			t.Errorf("the same message again has the ID %q, %v", again, err)
		}
	}
}

func TestRepliesJoinTheirThread(t *testing.T) {
	t.Parallel()
	root := raw("", "Message-ID: <1@x.example>", "Date: Fri, 20 Nov 2026 09:00:00 +0000")
	reply := raw("", "Message-ID: <2@x.example>", "In-Reply-To: <1@x.example>", "Date: Fri, 20 Nov 2026 10:00:00 +0000")
	late := raw("", "Message-ID: <3@x.example>", "References: <1@x.example>\r\n <2@x.example>", "Date: Fri, 20 Nov 2026 11:00:00 +0000")
	other := raw("", "Message-ID: <9@x.example>", "References: <8@x.example>", "Date: Fri, 20 Nov 2026 12:00:00 +0000")
	for name, order := range map[string][]string{
		"in order":                {root, reply, late},
		"backwards":               {late, reply, root},
		"with the root last":      {reply, late, root},
		"without the one between": {root, late},
		"without the root":        {reply, late},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := newServer(t, gmailtest.Config{}).AddUser(gmailtest.User{Email: ada})
			threads := make(map[string]int)
			for _, m := range order {
				id, err := box.Deliver([]byte(m))
				if err != nil {
					t.Fatal(err)
				}
				thread, err := box.ThreadID(id)
				if err != nil {
					t.Fatal(err)
				}
				if len(threads) == 0 && thread != id {
					t.Errorf("the first message %s started the thread %s", id, thread)
				}
				threads[thread]++
			}
			if len(threads) != 1 {
				t.Errorf("threads = %v, want one", threads)
			}
			id, err := box.Deliver([]byte(other))
			if err != nil {
				t.Fatal(err)
			}
			if thread, _ := box.ThreadID(id); thread != id {
				t.Errorf("a stranger joined the thread %s", thread)
			}
		})
	}
}

func TestDeliverFilesAsTold(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := newServer(t, gmailtest.Config{Now: func() time.Time { return now }})
	box := s.AddUser(gmailtest.User{Email: ada})
	acc := account{s, box, accessToken(t, s, readonlyScope)}
	first := acc.deliver(t, raw("", "Subject: x"))
	for name, tc := range map[string]struct {
		raw    string
		opts   []gmailtest.DeliverOption
		labels []string
		date   time.Time
		thread string // "" for its own
	}{
		"by default":        {raw("", "Date: Fri, 20 Nov 2026 09:00:00 +0100"), nil, []string{"INBOX", "UNREAD"}, time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC), ""},
		"without a date":    {raw("", "Subject: x"), nil, []string{"INBOX", "UNREAD"}, now, ""},
		"with a bad date":   {raw("", "Date: yesterday"), nil, []string{"INBOX", "UNREAD"}, now, ""},
		"with a date given": {raw("", "Date: Fri, 20 Nov 2026 09:00:00 +0100"), []gmailtest.DeliverOption{gmailtest.WithInternalDate(now.Add(-time.Hour))}, []string{"INBOX", "UNREAD"}, now.Add(-time.Hour), ""},
		"archived":          {raw("", "Subject: x"), []gmailtest.DeliverOption{gmailtest.WithLabels()}, nil, now, ""},
		"with labels by ID, by name and new": {raw("", "Subject: x"),
			[]gmailtest.DeliverOption{gmailtest.WithLabels("SENT", "starred", "Work", "work")}, []string{"SENT", "STARRED", "Label_1"}, now, ""},
		"in a thread": {raw("", "Subject: x"), []gmailtest.DeliverOption{gmailtest.InThread(first)}, []string{"INBOX", "UNREAD"}, now, first},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := acc.deliver(t, tc.raw, tc.opts...)
			got, err := box.Labels(id)
			if err != nil || !slices.Equal(got, tc.labels) {
				t.Errorf("labels = %v, %v; want %v", got, err, tc.labels)
			}
			a := acc.get(t, "me/messages/"+id+"?format=minimal")
			if want := fmt.Sprint(tc.date.UnixMilli()); a.str("internalDate") != want {
				t.Errorf("internalDate = %s, want %s", a.str("internalDate"), want)
			}
			if tc.thread == "" {
				tc.thread = id
			}
			if a.str("threadId") != tc.thread {
				t.Errorf("threadId = %s, want %s", a.str("threadId"), tc.thread)
			}
		})
	}
	for want, f := range map[string]func() (string, error){
		"the message is empty":   func() (string, error) { return box.Deliver(nil) },
		`there is no thread "x"`: func() (string, error) { return box.Deliver([]byte("a: b"), gmailtest.InThread("x")) },
		"has no name":            func() (string, error) { return box.Deliver([]byte("a: b"), gmailtest.WithLabels(" ")) },
	} {
		if _, err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want one that says %q", err, want)
		}
	}
}

func TestTheOwnerMovesMessages(t *testing.T) {
	t.Parallel()
	box := newServer(t, gmailtest.Config{}).AddUser(gmailtest.User{Email: ada})
	id, err := box.Deliver([]byte(raw("", "Subject: x")))
	if err != nil {
		t.Fatal(err)
	}
	work, err := box.CreateLabel("Work")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name string
		do   func() error
		want []string
	}{
		{"add", func() error { return box.AddLabels(id, "work", "STARRED", "UNREAD") }, []string{"INBOX", "UNREAD", work, "STARRED"}},
		{"remove", func() error { return box.RemoveLabels(id, "UNREAD", work) }, []string{"INBOX", "STARRED"}},
		{"trash", func() error { return box.Trash(id) }, []string{"STARRED", "TRASH"}},
		{"untrash", func() error { return box.Untrash(id) }, []string{"STARRED"}},
		{"set", func() error { return box.SetLabels(id, "SPAM") }, []string{"SPAM"}},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got, err := box.Labels(id); err != nil || !slices.Equal(got, step.want) {
			t.Errorf("after %s the labels are %v, %v; want %v", step.name, got, err, step.want)
		}
	}
	if _, err := box.CreateLabel("WORK"); err == nil {
		t.Error("a second label of that name was created")
	}
	if _, err := box.CreateLabel(" "); err == nil {
		t.Error("a label without a name was created")
	}
	if err := box.Delete(id); err != nil {
		t.Fatal(err)
	}
	if ids := box.MessageIDs(); len(ids) != 0 {
		t.Errorf("after the deletion there is %v", ids)
	}
	for name, err := range map[string]error{
		"Delete": box.Delete(id), "AddLabels": box.AddLabels(id, "INBOX"), "Trash": box.Trash(id),
		"Labels": second(box.Labels(id)), "ThreadID": second(box.ThreadID(id)),
	} {
		if err == nil || !strings.Contains(err.Error(), "has no message") {
			t.Errorf("%s of a deleted message = %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestHistoryIDsGrowWithEveryChange(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	last := ""
	step := func(name string, change bool) {
		t.Helper()
		id := acc.get(t, "me/profile").str("historyId")
		if (id != last) != change || len(id) < len(last) || len(id) == len(last) && id < last {
			t.Errorf("after %s the history ID went from %s to %s", name, last, id)
		}
		last = id
	}
	step("the beginning", true)
	id := acc.deliver(t, raw("", "Subject: x"))
	step("a delivery", true)
	if err := acc.box.AddLabels(id, "STARRED"); err != nil {
		t.Fatal(err)
	}
	step("a label", true)
	if got := acc.get(t, "me/messages/"+id).str("historyId"); got != last {
		t.Errorf("the message's history ID is %s, want that of its last change, %s", got, last)
	}
	if err := acc.box.AddLabels(id, "STARRED"); err != nil {
		t.Fatal(err)
	}
	step("the same label again", false)
	if err := acc.box.Delete(id); err != nil {
		t.Fatal(err)
	}
	step("a deletion", true)
}

func TestManyMayDeliverAndReadAtOnce(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, modifyScope)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			id, err := acc.box.Deliver([]byte(raw(fmt.Sprintf("Hello %d", i), "Subject: S", "Message-ID: <1@x.example>")))
			if err != nil {
				t.Error(err)
				return
			}
			for _, path := range []string{"me/messages/" + id, "me/messages?q=hello", "me/threads", "me/labels/INBOX", "me/profile"} {
				if a := acc.get(t, path); a.status != 200 {
					t.Errorf("%s answers %d %s", path, a.status, a.raw)
				}
			}
			if a := acc.post(t, "me/messages/"+id+"/modify", `{"removeLabelIds":["UNREAD"]}`); a.status != 200 {
				t.Errorf("modify answers %d %s", a.status, a.raw)
			}
		})
	}
	wg.Wait()
	if got := acc.get(t, "me/labels/UNREAD").at("messagesTotal"); got != 0.0 {
		t.Errorf("%v messages are unread, want none", got)
	}
	if got := acc.get(t, "me/profile"); got.at("messagesTotal") != 64.0 || got.at("threadsTotal") != 1.0 {
		t.Errorf("profile = %s, want 64 messages in one thread", got.raw)
	}
}
