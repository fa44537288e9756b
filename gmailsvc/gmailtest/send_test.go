package gmailtest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestSentMailIsFiledAndDelivered(t *testing.T) {
	t.Parallel()
	adas, graces, c := metered(t, gmailtest.Quota{})
	since := adas.historyID(t)
	a := adas.post(t, "me/messages/send", rawJSON(raw("Hello", "To: Grace <"+strings.ToUpper(grace)+">", "Bcc: nobody@example.net", "Subject: S",
		"Date: Fri, 20 Nov 2026 09:00:00 +0000"), ""))
	id := a.str("id")
	if want := fmt.Sprintf(`{"id":"%s","threadId":"%s","labelIds":["SENT"]}`, id, id); a.raw != want {
		t.Fatalf("the answer is %s, want %s", a.raw, want)
	}
	kept := adas.get(t, "me/messages/"+id+"?format=minimal")
	if kept.str("internalDate") != fmt.Sprint(c.Now().UnixMilli()) || kept.str("snippet") != "Hello" {
		t.Errorf("the message that was sent = %s, want it dated now", kept.raw)
	}
	if got, _ := historyOf(t, adas, since, "", map[string]string{id: "sent"}); !slices.Equal(got, []string{"messagesAdded:sent"}) {
		t.Errorf("history = %q", got)
	}
	inbox := graces.box.MessageIDs()
	if len(inbox) != 1 {
		t.Fatalf("the recipient has %v", inbox)
	}
	labels, err := graces.box.Labels(inbox[0])
	must(t, err)
	delivered, err := graces.box.Raw(inbox[0])
	must(t, err)
	own, err := adas.box.Raw(id)
	must(t, err)
	if !slices.Equal(labels, []string{"INBOX", "UNREAD"}) || strings.Contains(string(delivered), "Bcc") || !strings.Contains(string(own), "Bcc: nobody@example.net") ||
		strings.Replace(string(own), "Bcc: nobody@example.net\r\n", "", 1) != string(delivered) {
		t.Errorf("delivered under %v:\n%s\nkept:\n%s", labels, delivered, own)
	}
}

func TestMailToOneselfIsOneMessage(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, modifyScope)
	a := acc.post(t, "me/messages/send", rawJSON(raw("Hello", "To: "+ada), ""))
	if got := fmt.Sprint(a.body["labelIds"]); got != "[UNREAD SENT INBOX]" || len(acc.box.MessageIDs()) != 1 {
		t.Errorf("labels = %s of %d messages", got, len(acc.box.MessageIDs()))
	}
}

func TestGmailFillsInWhatASenderLeftOut(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := newServer(t, gmailtest.Config{Now: func() time.Time { return now }})
	acc := account{s, s.AddUser(gmailtest.User{Email: ada}), accessToken(t, s, modifyScope)}
	for name, tc := range map[string]struct {
		lines []string
		want  []string // lines of the header that was sent
		lack  string
	}{
		"everything": {[]string{"To: b@example.com"}, []string{"From: <ada@example.com>", "Date: Mon, 23 Nov 2026 12:00:00 +0000", "MIME-Version: 1.0"}, ""},
		"nothing": {[]string{"From: A <Ada@example.com>", "To: b@example.com", "Date: x", "message-id: <1@x>", "Mime-Version: 1.0"},
			[]string{"From: A <Ada@example.com>", "Date: x", "message-id: <1@x>", "Mime-Version: 1.0"}, "Message-ID:"},
		"another's address":       {[]string{"To: b@example.com", "From: Eve\r\n <eve@example.org>"}, []string{`From: "Eve" <ada@example.com>`}, "eve@"},
		"two addresses":           {[]string{"To: b@example.com", "From: Eve <eve@example.org>", "From: A <ada@example.com>"}, []string{`From: "Eve" <ada@example.com>`}, "A <"},
		"one's own and another's": {[]string{"To: b@example.com", "From: A <ada@example.com>", "From: Eve <eve@example.org>"}, []string{`From: "A" <ada@example.com>`}, "eve@"},
		"an address of no sense":  {[]string{"To: b@example.com", "From: x"}, []string{`From: <ada@example.com>`}, "From: x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := acc.post(t, "me/messages/send", rawJSON(raw("Hello", tc.lines...), ""))
			sent, err := acc.box.Raw(a.str("id"))
			must(t, err)
			header, body, _ := strings.Cut(string(sent), "\r\n\r\n")
			lines := strings.Split(header, "\r\n")
			for _, want := range tc.want {
				if !slices.Contains(lines, want) {
					t.Errorf("there is no %q in %q", want, lines)
				}
			}
			if tc.lack != "" && strings.Contains(header, tc.lack) || body != "Hello" {
				t.Errorf("sent:\n%s\nwant no %q", sent, tc.lack)
			}
		})
	}
	first, second := acc.post(t, "me/messages/send", rawJSON(raw("", "To: b@example.com"), "")), acc.post(t, "me/messages/send", rawJSON(raw("", "To: b@example.com"), ""))
	one, err := acc.box.Raw(first.str("id"))
	must(t, err)
	if two, err := acc.box.Raw(second.str("id")); err != nil || string(one) == string(two) {
		t.Errorf("the same mail twice has one Message-ID: %s, %v", two, err)
	}
}

func TestWhatCannotBeSentIsRefused(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, mailScope)
	const required = "'raw' RFC822 payload message string or uploading message via /upload/* URL required"
	good := raw("", "To: b@example.com")
	for name, tc := range map[string]struct {
		body    string
		code    int
		message string
	}{
		"nothing":                         {`{}`, 400, required},
		"an empty message":                {`{"raw":""}`, 400, required},
		"parts instead of raw":            {`{"payload":{"mimeType":"text/plain"},"snippet":"x"}`, 400, required},
		"no base64":                       {`{"raw":"a*b"}`, 400, `Invalid value at 'raw' (TYPE_BYTES), Base64 decoding failed for "a*b"`},
		"no recipient":                    {rawJSON(raw("", "Subject: S"), ""), 400, "Recipient address required"},
		"an empty recipient":              {rawJSON(raw("", "To: ", "Subject: S"), ""), 400, "Recipient address required"},
		"a recipient of no sense":         {rawJSON(raw("", "To: b@example.com", "Cc: x y z"), ""), 400, "Invalid Cc header"},
		"a thread ID that is none":        {rawJSON(good, `,"threadId":"xyz"`), 400, "Invalid thread_id value"},
		"a thread that is not there":      {rawJSON(good, `,"threadId":"1"`), 404, "Requested entity was not found."},
		"a name that Gmail does not know": {rawJSON(good, `,"to":"b@example.com"`), 400, `Invalid JSON payload received. json: unknown field "to"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := acc.post(t, "me/messages/send", tc.body)
			status, reason := "INVALID_ARGUMENT", "invalidArgument"
			if tc.code == 404 {
				status, reason = "NOT_FOUND", "notFound"
			}
			wantAPIError(t, a, tc.code, status, reason, tc.message)
		})
	}
	if ids := acc.box.MessageIDs(); len(ids) != 0 {
		t.Errorf("something was sent: %v", ids)
	}
}

func TestBase64MayBeOfEitherKind(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, mailScope)
	for _, data := range []string{"VG86IGJAZXhhbXBsZS5jb20KCtu_", "VG86IGJAZXhhbXBsZS5jb20KCtu/", "VG86IGJAZXhhbXBsZS5jb20KCg==", "VG86IGJAZXhhbXBsZS5jb20KCg"} {
		if a := acc.post(t, "me/messages/send", `{"raw":"`+data+`"}`); a.status != 200 {
			t.Errorf("%s answers %s", data, a.raw)
		}
	}
}

func TestMessagesAreInsertedAndImportedAsTheyAre(t *testing.T) {
	t.Parallel()
	adas, _, c := metered(t, gmailtest.Quota{})
	now, dated := fmt.Sprint(c.Now().UnixMilli()), "1795165200000"
	message := raw("Hello", "Subject: S", "Date: Fri, 20 Nov 2026 09:00:00 +0000")
	for path, want := range map[string]struct{ date, labels string }{
		"":                               {now, "<nil>"},
		"?internalDateSource=dateHeader": {dated, "<nil>"},
		"/import?neverMarkSpam=true&processForCalendar=false": {dated, "<nil>"},
		"/import?internalDateSource=receivedTime":             {now, "<nil>"},
	} {
		a := adas.post(t, "me/messages"+path, rawJSON(message, ""))
		got := adas.get(t, "me/messages/"+a.str("id")+"?format=raw")
		if got.str("internalDate") != want.date || decodeData(t, got.body["raw"]) != message || fmt.Sprint(a.body["labelIds"]) != want.labels {
			t.Errorf("insert%s answers %s and files %s", path, a.raw, got.raw)
		}
	}
	a := adas.post(t, "me/messages", rawJSON(message, `,"labelIds":["INBOX","SENT","INBOX"]`))
	if got := fmt.Sprint(a.body["labelIds"]); got != "[INBOX SENT]" {
		t.Errorf("labels = %s", got)
	}
	before := len(adas.box.MessageIDs())
	since := adas.historyID(t)
	gone := adas.post(t, "me/messages?deleted=true", rawJSON(message, ""))
	if got := adas.get(t, "me/messages/"+gone.str("id")); got.status != 404 || len(adas.box.MessageIDs()) != before || adas.historyID(t) != since {
		t.Errorf("a message that is deleted at once is there: %s", got.raw)
	}
	for path, message := range map[string]string{
		"me/messages?internalDateSource=now":  `Invalid value at 'internal_date_source' (type.googleapis.com/caribou.api.proto.InternalDateSource), "now"`,
		"me/messages?deleted=maybe":           `Invalid value at 'deleted' (TYPE_BOOL), "maybe"`,
		"me/messages/import?neverMarkSpam=of": `Invalid value at 'never_mark_spam' (TYPE_BOOL), "of"`,
	} {
		wantAPIError(t, adas.post(t, path, rawJSON("a: b", "")), 400, "INVALID_ARGUMENT", "invalidArgument", message)
	}
	for _, label := range []string{"DRAFT", "CHAT", "Nope"} {
		wantAPIError(t, adas.post(t, "me/messages", rawJSON("a: b", `,"labelIds":["`+label+`"]`)), 400, "INVALID_ARGUMENT", "invalidArgument", "Invalid label: "+label)
	}
}
