package gmailtest_test

import (
	"slices"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestLabelsAreMadeChangedAndDeleted(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, modifyScope)
	const colors = `"color":{"textColor":"#000000","backgroundColor":"#16a766"}`
	for _, step := range []struct{ method, path, body, want string }{
		{"POST", "", `{"name":"Work"}`, `{"id":"Label_1","name":"Work","messageListVisibility":"show","labelListVisibility":"labelShow","type":"user"}`},
		{"POST", "", `{"name":"Play","messageListVisibility":"hide","labelListVisibility":"labelHide",` + colors + `,"type":"user","messagesTotal":3}`,
			`{"id":"Label_2","name":"Play","messageListVisibility":"hide","labelListVisibility":"labelHide","type":"user",` + colors + `}`},
		{"PATCH", "/Label_2", `{"labelListVisibility":"labelShowIfUnread"}`,
			`{"id":"Label_2","name":"Play","messageListVisibility":"hide","labelListVisibility":"labelShowIfUnread","type":"user",` + colors + `}`},
		{"PUT", "/Label_2", `{"id":"Label_2","name":"PLAY"}`,
			`{"id":"Label_2","name":"PLAY","messageListVisibility":"show","labelListVisibility":"labelShow","type":"user"}`},
		{"PATCH", "/Label_2?fields=color", `{` + colors + `}`, `{` + `"color":{"backgroundColor":"#16a766","textColor":"#000000"}` + `}`},
		{"PATCH", "/Label_1", `{}`, `{"id":"Label_1","name":"Work","messageListVisibility":"show","labelListVisibility":"labelShow","type":"user"}`},
	} {
		if a := acc.send(t, step.method, "me/labels"+step.path, step.body); a.status != 200 || a.raw != step.want {
			t.Errorf("%s labels%s %s answers %d\n%s\nwant\n%s", step.method, step.path, step.body, a.status, a.raw, step.want)
		}
	}
	id := acc.deliver(t, raw("", "Subject: S"), gmailtest.WithLabels("PLAY", "INBOX"))
	since := acc.historyID(t)
	if a := acc.send(t, "DELETE", "me/labels/Label_2", ""); a.status != 204 || a.raw != "" {
		t.Errorf("the deletion answers %d %s", a.status, a.raw)
	}
	if got, err := acc.box.Labels(id); err != nil || !slices.Equal(got, []string{"INBOX"}) {
		t.Errorf("the message has %v, %v", got, err)
	}
	if got, _ := historyOf(t, acc, since, "", map[string]string{id: "it"}); !slices.Equal(got, []string{"labelsRemoved:it-Label_2"}) {
		t.Errorf("history = %q", got)
	}
	wantAPIError(t, acc.get(t, "me/labels/Label_2"), 404, "NOT_FOUND", "notFound", "Requested entity was not found.")
	if a := acc.post(t, "me/labels", `{"name":"play"}`); a.str("id") != "Label_3" {
		t.Errorf("a new label = %s, want an ID that was never used", a.raw)
	}
}

func TestLabelsThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, modifyScope)
	for _, name := range []string{"Work", "Play"} {
		acc.post(t, "me/labels", `{"name":"`+name+`"}`)
	}
	type refusal struct {
		code           int
		status, reason string
		message        string
	}
	invalid := func(message string) refusal { return refusal{400, "INVALID_ARGUMENT", "invalidArgument", message} }
	conflict := refusal{409, "ABORTED", "aborted", "Label name exists or conflicts"}
	gone := refusal{404, "NOT_FOUND", "notFound", "Requested entity was not found."}
	for _, tc := range []struct {
		method, path, body string
		want               refusal
	}{
		{"POST", "", `{}`, invalid("Invalid label name")},
		{"POST", "", `{"name":"  "}`, invalid("Invalid label name")},
		{"POST", "", `{"name":"inbox"}`, invalid("Invalid label name")},
		{"POST", "", `{"name":"work"}`, conflict},
		{"PUT", "/Label_1", `{"name":"PLAY"}`, conflict},
		{"PATCH", "/Label_1", `{"name":"Play"}`, conflict},
		{"PUT", "/Label_1", `{"labelListVisibility":"labelHide"}`, invalid("Invalid label name")},
		{"POST", "", `{"name":"x","labelListVisibility":"show"}`, invalid(`Invalid value at 'label.label_list_visibility', "show"`)},
		{"PATCH", "/Label_1", `{"messageListVisibility":"labelShow"}`, invalid(`Invalid value at 'label.message_list_visibility', "labelShow"`)},
		{"POST", "", `{"name":"x","color":{"textColor":"#123456","backgroundColor":"#000000"}}`, invalid("Label color #123456 is not on the allowed color palette")},
		{"POST", "", `{"name":"x","color":{"textColor":"#000000"}}`, invalid("Label color  is not on the allowed color palette")},
		{"PATCH", "/INBOX", `{"name":"x"}`, invalid("Invalid update request")},
		{"PUT", "/INBOX", `{"name":"x"}`, invalid("Invalid update request")},
		{"DELETE", "/INBOX", "", invalid("Invalid delete request")},
		{"PATCH", "/Label_9", `{"name":"x"}`, gone},
		{"PUT", "/Label_9", `{"name":"x"}`, gone},
		{"DELETE", "/Label_9", "", gone},
		{"POST", "", `{"title":"x"}`, invalid(`Invalid JSON payload received. json: unknown field "title"`)},
		{"PATCH", "/Label_1", `{"title":"x"}`, invalid(`Invalid JSON payload received. json: unknown field "title"`)},
	} {
		a := acc.send(t, tc.method, "me/labels"+tc.path, tc.body)
		wantAPIError(t, a, tc.want.code, tc.want.status, tc.want.reason, tc.want.message)
	}
	if one := acc.get(t, "me/labels/Label_1"); one.str("name") != "Work" {
		t.Errorf("a refused change had an effect: %s", one.raw)
	}
}

func TestTheOwnerRenamesAndDeletesLabels(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, modifyScope)
	id := acc.deliver(t, raw("", "Subject: S"), gmailtest.WithLabels("Work", "Play"))
	must(t, acc.box.RenameLabel("Work", "Duty"))
	must(t, acc.box.RenameLabel("Label_1", "DUTY"))
	if a := acc.get(t, "me/labels/Label_1"); a.str("name") != "DUTY" {
		t.Errorf("label = %s", a.raw)
	}
	must(t, acc.box.DeleteLabel("play"))
	if got, err := acc.box.Labels(id); err != nil || !slices.Equal(got, []string{"Label_1"}) {
		t.Errorf("labels = %v, %v", got, err)
	}
	for name, err := range map[string]error{
		"a system label":   acc.box.RenameLabel("INBOX", "x"),
		"no label":         acc.box.RenameLabel("Nope", "x"),
		"no name":          acc.box.RenameLabel("Label_1", " "),
		"another's name":   acc.box.RenameLabel("Label_1", "inbox"),
		"a deleted label":  acc.box.DeleteLabel("Play"),
		"a system label's": acc.box.DeleteLabel("SPAM"),
	} {
		if err == nil {
			t.Errorf("%s is renamed or deleted", name)
		}
	}
}
