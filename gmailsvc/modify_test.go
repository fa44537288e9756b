package gmailsvc_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"google.golang.org/api/googleapi"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

const opModify = "gmail.users.messages.batchModify"

func TestModifyMessagesChangesAThousandACall(t *testing.T) {
	t.Parallel()
	r := newReader(t, gmailtest.Config{}, nil).fillMailbox(t, 3)
	ids := slices.Repeat(idsOf(r.refs[:2]), 1200) // Gmail does not mind
	if err := r.svc.ModifyMessages(t.Context(), ids, []string{"STARRED"}, []string{"UNREAD"}); err != nil {
		t.Fatal(err)
	}
	if n := r.google.Count(opModify); n != 3 {
		t.Errorf("%d calls for 2,400 messages, want 3", n)
	}
	for i, ref := range r.refs {
		labels, err := r.box.Labels(ref.ID)
		if changed := slices.Contains(labels, "STARRED") && !slices.Contains(labels, "UNREAD"); err != nil || changed != (i < 2) {
			t.Errorf("message %d has %v, %v", i, labels, err)
		}
	}
}

func TestModifyMessagesSaysWhatWasDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, gmailtest.Config{}, nil).fillMailbox(t, 1)
		ids := slices.Repeat(idsOf(r.refs), 2400)
		fail := gmailtest.APIError(opModify, 400, "invalidArgument", "Invalid label")
		fail.Match = func(*http.Request) bool { return r.google.Count(opModify) == 3 }
		r.google.Inject(gmailtest.Fault{Op: opModify, Times: 1, Status: 503}) // tried again
		r.google.Inject(fail)
		err := r.svc.ModifyMessages(t.Context(), ids, []string{"STARRED"}, nil)
		e, _ := errors.AsType[*gmailsvc.ModifyError](err)
		if e == nil || e.Done != 1000 || e.Unsure != 1000 || !errors.As(err, new(*googleapi.Error)) || r.google.Count(opModify) != 3 {
			t.Errorf("%+v after %d calls; want the first 1,000 done, the next in doubt, and Gmail's answer", err, r.google.Count(opModify))
		}
	})
}

func TestModifyMessagesWithNothingToDo(t *testing.T) {
	t.Parallel()
	r := newReader(t, gmailtest.Config{}, nil, gmailsvc.ReadOnly()).fillMailbox(t, 1)
	if err := r.svc.ModifyMessages(t.Context(), nil, []string{"STARRED"}, nil); err != nil {
		t.Errorf("no messages: %v", err)
	}
	if err := r.svc.ModifyMessages(t.Context(), idsOf(r.refs), nil, nil); !errors.As(err, new(*gmailsvc.ModifyError)) {
		t.Errorf("no labels: %v, want *ModifyError", err)
	}
	err := r.svc.ModifyMessages(t.Context(), idsOf(r.refs), []string{"STARRED"}, nil)
	if !errors.As(err, new(*gmailsvc.ForbiddenCallError)) || r.google.Count(opModify) != 0 {
		t.Errorf("a ReadOnly service: %v after %d calls", err, r.google.Count(opModify))
	}
}
