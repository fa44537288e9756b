package gmailtest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestManyMessagesAreChangedAtOnce(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, mailScope)
	names := make(map[string]string)
	var ids []string
	for i := range 3 {
		ids = append(ids, acc.deliver(t, raw("", fmt.Sprintf("Subject: %d", i))))
		names[ids[i]] = fmt.Sprint(i)
	}
	since := acc.historyID(t)
	quoted := `"` + strings.Join([]string{ids[0], ids[1], "00000000000000ff", ids[0]}, `","`) + `"` // one is not there, one twice
	a := acc.send(t, "POST", "me/messages/batchModify", `{"ids":[`+quoted+`],"addLabelIds":["STARRED"],"removeLabelIds":["INBOX"]}`)
	if a.status != 204 || a.raw != "" {
		t.Errorf("batchModify answers %d %s", a.status, a.raw)
	}
	a = acc.send(t, "POST", "me/messages/batchDelete", `{"ids":[`+quoted+`]}`)
	if a.status != 204 || a.raw != "" || !slices.Equal(acc.box.MessageIDs(), ids[2:]) {
		t.Errorf("batchDelete answers %d %s and leaves %v", a.status, a.raw, acc.box.MessageIDs())
	}
	got, _ := historyOf(t, acc, since, "", names)
	want := []string{"labelsAdded:0+STARRED", "labelsAdded:1+STARRED", "labelsRemoved:0-INBOX", "labelsRemoved:1-INBOX", "messagesDeleted:0", "messagesDeleted:1"}
	if !slices.Equal(got, want) {
		t.Errorf("history = %q, want %q", got, want)
	}
	if a := acc.send(t, "POST", "me/messages/batchDelete", `{"ids":["ff"]}`); a.status != 204 {
		t.Errorf("the deletion of what is not there answers %d %s", a.status, a.raw)
	}
	if a := acc.send(t, "DELETE", "me/messages/"+ids[2], ""); a.status != 204 || len(acc.box.MessageIDs()) != 0 {
		t.Errorf("the deletion answers %d %s", a.status, a.raw)
	}
	wantAPIError(t, acc.send(t, "DELETE", "me/messages/"+ids[2], ""), 404, "NOT_FOUND", "notFound", "Requested entity was not found.")
}

func TestBulkRequestsHaveLimits(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, mailScope)
	ids := func(n int) string { return `"ids":["1"` + strings.Repeat(`,"1"`, n-1) + `]` }
	labels := func(n int) string { return `["STARRED"` + strings.Repeat(`,"STARRED"`, n-1) + `]` }
	for _, tc := range []struct{ path, body, message string }{
		{"batchModify", `{"ids":[],"addLabelIds":["STARRED"]}`, "No message ids specified"},
		{"batchDelete", `{}`, "No message ids specified"},
		{"batchModify", `{` + ids(1001) + `,"addLabelIds":["STARRED"]}`, "Number of ids cannot exceed 1000"},
		{"batchDelete", `{` + ids(1001) + `}`, "Number of ids cannot exceed 1000"},
		{"batchDelete", `{"ids":["x"]}`, "Invalid ids value"},
		{"batchModify", `{` + ids(1000) + `}`, "No label add or removes specified"},
		{"batchModify", `{` + ids(1) + `,"addLabelIds":["SENT"]}`, "Invalid label: SENT"},
		{"batchModify", `{` + ids(1) + `,"addLabelIds":` + labels(101) + `}`, "Number of labels cannot exceed 100"},
		{"batchModify", `{` + ids(1) + `,"removeLabelIds":` + labels(101) + `}`, "Number of labels cannot exceed 100"},
		{"batchModify", `{"id":["1"]}`, `Invalid JSON payload received. json: unknown field "id"`},
		{"batchDelete", `{"id":["1"]}`, `Invalid JSON payload received. json: unknown field "id"`},
	} {
		wantAPIError(t, acc.post(t, "me/messages/"+tc.path, tc.body), 400, "INVALID_ARGUMENT", "invalidArgument", tc.message)
	}
	for _, body := range []string{`{` + ids(1000) + `,"addLabelIds":` + labels(100) + `}`} {
		if a := acc.send(t, "POST", "me/messages/batchModify", body); a.status != 204 {
			t.Errorf("what is just within the limits answers %d %s", a.status, a.raw)
		}
	}
}
