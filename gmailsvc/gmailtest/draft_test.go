package gmailtest_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// draftJSON is the request body that carries a draft, with what else is in its message.
func draftJSON(message, more string) string { return `{"message":` + rawJSON(message, more) + `}` }

func TestEditingADraftMakesAnotherMessage(t *testing.T) {
	t.Parallel()
	adas, _, _ := metered(t, gmailtest.Quota{}) // the clock stands still: the same text has the same date
	message := raw("Hello", "To: b@example.com", "Subject: S")
	since := adas.historyID(t)
	created := adas.post(t, "me/drafts", draftJSON(message, ""))
	draft, first := created.str("id"), created.at("message/id").(string)
	if want := fmt.Sprintf(`{"id":"%s","message":{"id":"%s","threadId":"%s","labelIds":["DRAFT"]}}`, draft, first, first); created.raw != want {
		t.Errorf("created %s, want %s", created.raw, want)
	}
	updated := adas.send(t, "PUT", "me/drafts/"+draft, draftJSON(message, ""))
	second, _ := updated.at("message/id").(string)
	if updated.str("id") != draft || second == first || updated.at("message/threadId") != first || fmt.Sprint(updated.at("message/labelIds")) != "[DRAFT]" {
		t.Errorf("updated %s, want another message in the thread %s", updated.raw, first)
	}
	if a := adas.get(t, "me/messages/"+first); a.status != 404 {
		t.Errorf("the old message is still there: %s", a.raw)
	}
	got, _ := historyOf(t, adas, since, "", map[string]string{first: "first", second: "second"})
	if want := []string{"messagesAdded:first", "messagesAdded:second", "messagesDeleted:first"}; !slices.Equal(got, want) {
		t.Errorf("history = %q, want %q", got, want)
	}
	if a := adas.send(t, "DELETE", "me/drafts/"+draft, ""); a.status != 204 || a.raw != "" || len(adas.box.MessageIDs()) != 0 {
		t.Errorf("the deletion answers %d %q and leaves %v", a.status, a.raw, adas.box.MessageIDs())
	}
}

func TestADraftIsSentOnce(t *testing.T) {
	t.Parallel()
	adas, graces, _ := metered(t, gmailtest.Quota{})
	created := adas.post(t, "me/drafts", draftJSON(raw("Hello", "To: "+grace, "Subject: S"), ""))
	draft, old := created.str("id"), created.at("message/id").(string)
	since := adas.historyID(t)
	answers := make([]answer, 8)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = adas.post(t, "me/drafts/send", `{"id":"`+draft+`"}`) })
	}
	wg.Wait()
	sent := ""
	for _, a := range answers {
		if a.status == 200 && sent == "" {
			sent = a.str("id")
			if fmt.Sprint(a.body["labelIds"]) != "[SENT]" || sent == old || a.str("threadId") != old {
				t.Errorf("the sending answers %s, want a new message under SENT in the thread %s", a.raw, old)
			}
			continue
		}
		wantAPIError(t, a, 404, "NOT_FOUND", "notFound", "Requested entity was not found.")
	}
	if got := graces.box.MessageIDs(); len(got) != 1 || sent == "" {
		t.Errorf("the recipient has %v", got)
	}
	got, _ := historyOf(t, adas, since, "", map[string]string{old: "draft", sent: "sent"})
	if want := []string{"messagesAdded:sent", "messagesDeleted:draft"}; !slices.Equal(got, want) {
		t.Errorf("history = %q, want %q", got, want)
	}
}

func TestADraftMayBeSentWithAnotherText(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, modifyScope)
	draft := acc.post(t, "me/drafts", draftJSON(raw("old", "Subject: S"), "")).str("id")
	wantAPIError(t, acc.post(t, "me/drafts/send", `{"id":"`+draft+`"}`), 400, "INVALID_ARGUMENT", "invalidArgument", "Recipient address required")
	a := acc.post(t, "me/drafts/send", `{"id":"`+draft+`","message":`+rawJSON(raw("new", "To: b@example.com"), "")+`}`)
	if sent, err := acc.box.Raw(a.str("id")); err != nil || !strings.HasSuffix(string(sent), "\r\n\r\nnew") {
		t.Errorf("sent %q, %v", sent, err)
	}
	if a := acc.get(t, "me/drafts"); a.raw != `{"resultSizeEstimate":0}` {
		t.Errorf("drafts = %s", a.raw)
	}
}

func TestDraftsAreListedAndShown(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, modifyScope)
	acc.deliver(t, raw("", "Subject: no draft"))
	var want []string
	for i := range 3 {
		want = append(want, acc.post(t, "me/drafts", draftJSON(raw("Hello", fmt.Sprintf("Subject: S%d", i)), "")).str("id"))
	}
	var got []string
	for token := ""; ; {
		a := acc.get(t, "me/drafts?maxResults=2&pageToken="+token)
		for _, d := range list(a.body["drafts"]) {
			got = append(got, d["id"].(string))
			if m, _ := d["message"].(map[string]any); m["id"] == nil || m["threadId"] == nil || len(m) != 2 {
				t.Errorf("a listed draft has the message %v", m)
			}
		}
		if token = a.str("nextPageToken"); token == "" {
			break
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("drafts = %v, want %v", got, want)
	}
	found := list(acc.get(t, "me/drafts?q=subject:s1").body["drafts"])
	if len(found) != 1 {
		t.Fatalf("a search finds %v", found)
	}
	id := found[0]["id"].(string)
	for format, path := range map[string]string{
		"full": "message/payload/body/data", "metadata": "message/payload/headers/0/value", "raw": "message/raw", "minimal": "message/snippet",
	} {
		if a := acc.get(t, "me/drafts/"+id+"?format="+format); a.str("id") != id || a.at(path) == nil {
			t.Errorf("%s has no %s: %s", format, path, a.raw)
		}
	}
	message := acc.get(t, "me/drafts/"+id).at("message/id").(string)
	must(t, acc.box.Trash(message))
	if got := list(acc.get(t, "me/drafts").body["drafts"]); len(got) != 2 {
		t.Errorf("with one in the trash the drafts are %v", got)
	}
	if got := list(acc.get(t, "me/drafts?includeSpamTrash=true").body["drafts"]); len(got) != 3 {
		t.Errorf("with the trash the drafts are %v", got)
	}
	if a := acc.post(t, "me/messages/"+message+"/modify", `{"removeLabelIds":["DRAFT"]}`); a.status != 400 {
		t.Errorf("a draft loses its label: %s", a.raw)
	}
	must(t, acc.box.Delete(message))
	wantAPIError(t, acc.get(t, "me/drafts/"+id), 404, "NOT_FOUND", "notFound", "Requested entity was not found.")
}

func TestDraftsThatAreNotThereAreNotFound(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, modifyScope)
	for _, tc := range []struct{ method, path, body string }{
		{"GET", "me/drafts/r1", ""}, {"DELETE", "me/drafts/r1", ""}, {"PUT", "me/drafts/r1", draftJSON("a: b", "")},
		{"POST", "me/drafts/send", `{"id":"r1"}`}, {"POST", "me/drafts/send", `{"id":""}`}, {"POST", "me/drafts/send", `{"message":null}`},
		{"POST", "me/drafts", draftJSON("a: b", `,"threadId":"1"`)},
	} {
		wantAPIError(t, acc.send(t, tc.method, tc.path, tc.body), 404, "NOT_FOUND", "notFound", "Requested entity was not found.")
	}
	for path, message := range map[string]string{
		"me/drafts?maxResults=x":     `Invalid value at 'max_results' (TYPE_UINT32), "x"`,
		"me/drafts/r1?format=pretty": `Invalid value at 'format' (type.googleapis.com/caribou.api.proto.Format), "pretty"`,
	} {
		wantAPIError(t, acc.get(t, path), 400, "INVALID_ARGUMENT", "invalidArgument", message)
	}
	for _, body := range []string{`{}`, `{"message":null}`, `{"message":{"raw":""}}`} {
		wantAPIError(t, acc.post(t, "me/drafts", body), 400, "INVALID_ARGUMENT", "invalidArgument",
			"'raw' RFC822 payload message string or uploading message via /upload/* URL required")
	}
}

func TestTheOwnerWritesDrafts(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, modifyScope)
	question := acc.deliver(t, raw("", "Subject: S", "Message-ID: <1@x>"))
	since := acc.historyID(t)
	id, err := acc.box.SaveDraft("", []byte(raw("one", "Subject: Re: S", "In-Reply-To: <1@x>")))
	must(t, err)
	first := acc.get(t, "me/drafts/"+id)
	same, err := acc.box.SaveDraft(id, []byte(raw("two", "Subject: T")))
	must(t, err)
	second := acc.get(t, "me/drafts/"+id)
	if same != id || second.at("message/threadId") != question || second.at("message/snippet") != "two" || second.at("message/id") == first.at("message/id") {
		t.Errorf("the draft was %s and is %s", first.raw, second.raw)
	}
	if got, _ := historyOf(t, acc, since, "", nil); len(got) != 3 {
		t.Errorf("history = %q", got)
	}
	for want, draftID := range map[string]string{"the message is empty": "", `no draft "x"`: "x"} {
		if _, err := acc.box.SaveDraft(draftID, []byte(draftID)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want one that says %q", err, want)
		}
	}
}

func TestADraftCanMoveToAnotherThread(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, modifyScope)
	question := acc.deliver(t, raw("", "Subject: S", "Message-ID: <1@x>"))
	draft := acc.post(t, "me/drafts", draftJSON(raw("", "Subject: T"), "")).str("id")
	reply := raw("", "Subject: Re: S", "In-Reply-To: <1@x>")
	if a := acc.send(t, "PUT", "me/drafts/"+draft, draftJSON(reply, `,"threadId":"`+question+`"`)); a.at("message/threadId") != question {
		t.Errorf("the draft is %s, want the thread %s", a.raw, question)
	}
}
