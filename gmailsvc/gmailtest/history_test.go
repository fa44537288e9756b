package gmailtest_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// historyOf reads the history after an ID to its end and writes each change as "type:name", names being those of ids,
// with "+label" and "-label" for what was added and removed. It fails where the IDs do not grow.
func historyOf(t testing.TB, acc account, since, query string, names map[string]string) (changes []string, pages int) {
	t.Helper()
	last, _ := strconv.ParseUint(since, 10, 64)
	for token := ""; ; {
		a := acc.get(t, "me/history?startHistoryId="+since+"&"+query+"&pageToken="+token)
		if a.status != 200 {
			t.Fatalf("history.list answers %d %s", a.status, a.raw)
		}
		pages++
		records, _ := a.body["history"].([]any)
		for i := range records {
			at := func(path string) any { return a.at(fmt.Sprintf("history/%d/%s", i, path)) }
			id, err := strconv.ParseUint(at("id").(string), 10, 64)
			if err != nil || id <= last {
				t.Errorf("record %v follows %d", at("id"), last)
			}
			last = id
			for _, kind := range []string{"messagesAdded", "messagesDeleted", "labelsAdded", "labelsRemoved"} {
				for _, entry := range list(at(kind)) {
					message := entry["message"].(map[string]any)
					text := kind + ":" + names[message["id"].(string)]
					for _, l := range texts(entry["labelIds"]) {
						text += map[string]string{"labelsAdded": "+", "labelsRemoved": "-"}[kind] + l
					}
					changes = append(changes, text)
				}
			}
		}
		if token = a.str("nextPageToken"); token == "" {
			return changes, pages
		}
	}
}

func list(v any) []map[string]any {
	var all []map[string]any
	items, _ := v.([]any)
	for _, item := range items {
		object, _ := item.(map[string]any)
		all = append(all, object)
	}
	return all
}

func texts(v any) []string {
	var all []string
	items, _ := v.([]any)
	for _, item := range items {
		text, _ := item.(string)
		all = append(all, text)
	}
	return all
}

func (a account) historyID(t testing.TB) string {
	t.Helper()
	return a.get(t, "me/profile").str("historyId")
}

// eventful is a mailbox to which everything has happened, and the history ID from before.
func eventful(t testing.TB, cfg gmailtest.Config) (acc account, since string, names map[string]string) {
	t.Helper()
	s := newServer(t, cfg)
	acc = account{s, s.AddUser(gmailtest.User{Email: ada}), accessToken(t, s, modifyScope)}
	old := acc.deliver(t, raw("", "Subject: old"))
	since = acc.historyID(t)
	a := acc.deliver(t, raw("", "Subject: a"))
	b := acc.deliver(t, raw("", "Subject: b"), gmailtest.WithLabels("Work"))
	must(t, acc.box.AddLabels(a, "STARRED", "Work"))
	if got := acc.post(t, "me/messages/"+old+"/modify", `{"addLabelIds":["STARRED"],"removeLabelIds":["UNREAD"]}`); got.status != 200 {
		t.Fatal(got.raw)
	}
	must(t, acc.box.Trash(b))
	must(t, acc.box.Delete(b))
	return acc, since, map[string]string{old: "old", a: "a", b: "b"}
}

func TestHistoryListsEveryChangeInOrder(t *testing.T) {
	t.Parallel()
	acc, since, names := eventful(t, gmailtest.Config{})
	all := []string{
		"messagesAdded:a", "messagesAdded:b", "labelsAdded:a+STARRED+Label_1",
		"labelsAdded:old+STARRED", "labelsRemoved:old-UNREAD", "labelsAdded:b+TRASH", "messagesDeleted:b",
	}
	for query, want := range map[string][]string{
		"":                            all,
		"historyTypes=messageAdded":   all[:2],
		"historyTypes=messageDeleted": all[6:],
		"historyTypes=labelAdded&historyTypes=labelRemoved": all[2:6],
		"historyTypes=labelRemoved":                         all[4:5],
		"labelId=INBOX":                                     {all[0], all[2], all[3], all[4]},
		"labelId=UNREAD":                                    {all[0], all[2], all[3], all[4]}, // it was on old before
		"labelId=Label_1":                                   {all[1], all[2], all[5], all[6]},
		"labelId=Label_1&historyTypes=messageDeleted":       all[6:],
		"labelId=TRASH":                                     all[5:],
		"labelId=SPAM":                                      nil,
		"maxResults=500&historyTypes=messageAdded&labelId=SENT": nil,
	} {
		if got, _ := historyOf(t, acc, since, query, names); !slices.Equal(got, want) {
			t.Errorf("%q lists %q, want %q", query, got, want)
		}
	}
}

func TestHistoryGoesPageByPage(t *testing.T) {
	t.Parallel()
	acc, since, names := eventful(t, gmailtest.Config{})
	all, pages := historyOf(t, acc, since, "", names)
	if pages != 1 {
		t.Errorf("the history came in %d pages, want one", pages)
	}
	for query, want := range map[string]int{"maxResults=1": 6, "maxResults=4": 2, "maxResults=6": 1} {
		if got, pages := historyOf(t, acc, since, query, names); pages != want || !slices.Equal(got, all) {
			t.Errorf("%s came in %d pages, want %d: %q", query, pages, want, got)
		}
	}
	// What changes meanwhile comes last, and the history ID is the mailbox's, not the page's.
	first := acc.get(t, "me/history?maxResults=5&startHistoryId="+since)
	must(t, acc.box.AddLabels(acc.box.MessageIDs()[0], "IMPORTANT"))
	second := acc.get(t, "me/history?maxResults=5&startHistoryId="+since+"&pageToken="+first.str("nextPageToken"))
	if records := list(second.body["history"]); len(records) != 2 || second.str("nextPageToken") != "" ||
		second.str("historyId") != acc.historyID(t) || records[1]["id"] != second.str("historyId") {
		t.Errorf("the second page = %s", second.raw)
	}
}

func TestHistoryOfNothingNewIsJustTheID(t *testing.T) {
	t.Parallel()
	acc, _, _ := eventful(t, gmailtest.Config{})
	now := acc.historyID(t)
	for _, start := range []string{now, "99999999"} {
		if a := acc.get(t, "me/history?startHistoryId="+start); a.raw != `{"historyId":"`+now+`"}` {
			t.Errorf("from %s = %s", start, a.raw)
		}
	}
}

func TestMessagesInTheHistoryAreReferencesWithTheirLabels(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	since := acc.historyID(t)
	id := acc.deliver(t, mixed)
	must(t, acc.box.RemoveLabels(id, "UNREAD"))
	a := acc.get(t, "me/history?startHistoryId="+since+"&fields=history(messages,messagesAdded,labelsRemoved)")
	want := `{"history":[{"messages":[{"id":"ID","threadId":"ID"}],"messagesAdded":[{"message":{"id":"ID","labelIds":["INBOX","UNREAD"],"threadId":"ID"}}]},` +
		`{"labelsRemoved":[{"labelIds":["UNREAD"],"message":{"id":"ID","labelIds":["INBOX"],"threadId":"ID"}}],"messages":[{"id":"ID","threadId":"ID"}]}]}`
	if want = strings.ReplaceAll(want, "ID\"", id+"\""); a.raw != want {
		t.Errorf("history = %s\nwant      %s", a.raw, want)
	}
}

func TestExpiredHistoryIsNotFound(t *testing.T) {
	t.Parallel()
	acc, since, names := eventful(t, gmailtest.Config{})
	first := acc.get(t, "me/history?maxResults=1&startHistoryId="+since)
	acc.box.ExpireHistory()
	now := acc.historyID(t)
	for _, query := range []string{
		"startHistoryId=" + since, "startHistoryId=0",
		"startHistoryId=" + since + "&maxResults=1&pageToken=" + first.str("nextPageToken"),
	} {
		wantAPIError(t, acc.get(t, "me/history?"+query), 404, "NOT_FOUND", "notFound", "Requested entity was not found.")
	}
	names[acc.deliver(t, raw("", "Subject: c"))] = "c"
	if got, _ := historyOf(t, acc, now, "", names); !slices.Equal(got, []string{"messagesAdded:c"}) {
		t.Errorf("after the expiry the history is %q", got)
	}
}

func TestAHeldHistoryLagsBehindTheMailbox(t *testing.T) {
	t.Parallel()
	acc, since, names := eventful(t, gmailtest.Config{})
	before := acc.historyID(t)
	release := acc.box.HoldHistory()
	names[acc.deliver(t, raw("", "Subject: c"))] = "c"
	if got, _ := historyOf(t, acc, before, "", names); len(got) != 0 {
		t.Errorf("a held history lists %q", got)
	}
	if a := acc.get(t, "me/history?startHistoryId="+since); a.str("historyId") != before {
		t.Errorf("its ID is %s, want %s", a.str("historyId"), before)
	}
	if acc.historyID(t) == before {
		t.Error("the profile lags behind too")
	}
	release()
	if got, _ := historyOf(t, acc, before, "", names); !slices.Equal(got, []string{"messagesAdded:c"}) {
		t.Errorf("once released it lists %q", got)
	}
	acc.box.HoldHistory()
	acc.deliver(t, raw("", "Subject: d"))
	acc.box.ExpireHistory()
	if a := acc.get(t, "me/history?startHistoryId="+acc.historyID(t)); a.status != 200 || a.str("historyId") != acc.historyID(t) {
		t.Errorf("a held history that expired answers %s", a.raw)
	}
}

func TestEmptyPagesComeBeforeEveryPage(t *testing.T) {
	t.Parallel()
	acc, since, names := eventful(t, gmailtest.Config{EmptyPages: true})
	all, pages := historyOf(t, acc, since, "maxResults=4", names)
	if len(all) != 7 || pages != 4 {
		t.Errorf("the history is %q in %d pages, want 7 changes in 4 pages", all, pages)
	}
	for _, kind := range []string{"messages", "threads"} {
		var sizes []int
		for token := ""; ; {
			a := acc.get(t, "me/"+kind+"?maxResults=1&pageToken="+token)
			sizes = append(sizes, len(list(a.body[kind])))
			if token = a.str("nextPageToken"); token == "" {
				break
			}
		}
		if !slices.Equal(sizes, []int{0, 1, 0, 1}) {
			t.Errorf("%s come in pages of %v", kind, sizes)
		}
	}
}

func TestHistoryWantsAStartThatMakesSense(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	for query, message := range map[string]string{
		"":                                    "Missing required parameter: startHistoryId",
		"startHistoryId=x":                    `Invalid value at 'start_history_id' (TYPE_UINT64), "x"`,
		"startHistoryId=1&maxResults=x":       `Invalid value at 'max_results' (TYPE_UINT32), "x"`,
		"startHistoryId=1&pageToken=AAAA":     "Invalid pageToken",
		"startHistoryId=1&labelId=Nope":       "Invalid label: Nope",
		"startHistoryId=1&historyTypes=added": `Invalid value at 'history_types' (type.googleapis.com/caribou.api.proto.HistoryType), "added"`,
	} {
		wantAPIError(t, acc.get(t, "me/history?"+query), 400, "INVALID_ARGUMENT", "invalidArgument", message)
	}
}
