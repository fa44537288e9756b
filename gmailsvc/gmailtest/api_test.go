package gmailtest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

const labelsScope = "https://www.googleapis.com/auth/gmail.labels"

func TestMethodsWantAScope(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	box := s.AddUser(gmailtest.User{Email: ada})
	id, err := box.Deliver([]byte(mixed))
	if err != nil {
		t.Fatal(err)
	}
	all := []string{mailScope, modifyScope, readonlyScope, metadataScope, labelsScope, emailScope}
	accounts := make(map[string]account)
	for _, scope := range all {
		accounts[scope] = account{s, box, accessToken(t, s, scope)}
	}
	read := []string{mailScope, modifyScope, readonlyScope}
	for path, allowed := range map[string][]string{
		"me/profile":                            append(slices.Clone(read), metadataScope),
		"me/labels":                             append(slices.Clone(read), metadataScope, labelsScope),
		"me/labels/INBOX":                       append(slices.Clone(read), metadataScope, labelsScope),
		"me/messages":                           append(slices.Clone(read), metadataScope),
		"me/messages/" + id + "?format=minimal": append(slices.Clone(read), metadataScope),
		"me/threads":                            append(slices.Clone(read), metadataScope),
		"me/threads/" + id + "?format=metadata": append(slices.Clone(read), metadataScope),
		"me/messages/" + id + "/attachments/ANGjdJ_x": read,
		"POST me/messages/" + id + "/modify":          {mailScope, modifyScope},
		"POST me/messages/" + id + "/trash":           {mailScope, modifyScope},
		"POST me/messages/" + id + "/untrash":         {mailScope, modifyScope},
	} {
		for _, scope := range all {
			path, write := strings.CutPrefix(path, "POST ")
			a := accounts[scope].get
			if write {
				a = func(t testing.TB, path string) answer { t.Helper(); return accounts[scope].post(t, path, "{}") }
			}
			got := a(t, path)
			if want := slices.Contains(allowed, scope); (got.status != 403) != want {
				t.Errorf("%s with %s answers %d %s; allowed: %t", path, scope, got.status, got.raw, want)
			}
			if got.status == 403 {
				wantAPIError(t, got, 403, "PERMISSION_DENIED", "insufficientPermissions", "Request had insufficient authentication scopes.")
				if h := got.header.Get("WWW-Authenticate"); !strings.Contains(h, `error="insufficient_scope", scope="https://mail.google.com/`) {
					t.Errorf("WWW-Authenticate = %q", h)
				}
			}
		}
	}
}

func TestTheMetadataScopeSeesNoBodiesAndSearchesNone(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, metadataScope)
	id := acc.deliver(t, mixed)
	for path, message := range map[string]string{
		"me/messages?q=x":                   "Metadata scope does not support 'q' parameter",
		"me/threads?q=x":                    "Metadata scope does not support 'q' parameter",
		"me/messages/" + id:                 "Metadata scope doesn't allow format FULL",
		"me/messages/" + id + "?format=RAW": "Metadata scope doesn't allow format RAW",
		"me/threads/" + id + "?format=full": "Metadata scope doesn't allow format FULL",
	} {
		wantAPIError(t, acc.get(t, path), 403, "PERMISSION_DENIED", "forbidden", message)
	}
	if a := acc.get(t, "me/messages/"+id+"?format=metadata"); a.status != 200 {
		t.Errorf("format=metadata answers %d %s", a.status, a.raw)
	}
}

func TestCallsWithoutAGoodTokenAreUnauthorized(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	for name, tc := range map[string]struct{ header, reason, challenge string }{
		"none":           {"", "required", `Bearer realm="https://accounts.google.com/"`},
		"another scheme": {"Basic YTpi", "required", `Bearer realm="https://accounts.google.com/"`},
		"an unknown one": {"Bearer ya29.x", "authError", `Bearer realm="https://accounts.google.com/", error="invalid_token"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := acc.request(t, http.MethodGet, "me/messages", "")
			req.Header.Set("Authorization", tc.header)
			a := do(t, acc.Server, req)
			if a.status != 401 || a.at("error/errors/0/reason") != tc.reason || a.at("error/status") != "UNAUTHENTICATED" ||
				a.at("error/errors/0/location") != "Authorization" || a.header.Get("WWW-Authenticate") != tc.challenge {
				t.Errorf("answer = %d %q %s", a.status, a.header.Get("WWW-Authenticate"), a.raw)
			}
		})
	}
}

func TestBadRequestsGetGooglesErrors(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, modifyScope)
	id := acc.deliver(t, mixed)
	for path, want := range map[string]struct {
		code                    int
		status, reason, message string
	}{
		"grace@example.com/messages":                       {403, "PERMISSION_DENIED", "forbidden", "Delegation denied for " + ada},
		"me/messages/0123456789abcdef":                     {404, "NOT_FOUND", "notFound", "Requested entity was not found."},
		"me/messages/xyz":                                  {400, "INVALID_ARGUMENT", "invalidArgument", "Invalid id value"},
		"me/messages/0123456789abcdef0":                    {400, "INVALID_ARGUMENT", "invalidArgument", "Invalid id value"},
		"me/threads/1":                                     {404, "NOT_FOUND", "notFound", "Requested entity was not found."},
		"me/threads/-1":                                    {400, "INVALID_ARGUMENT", "invalidArgument", "Invalid id value"},
		"me/labels/Nope":                                   {404, "NOT_FOUND", "notFound", "Requested entity was not found."},
		"me/messages?labelIds=Nope":                        {400, "INVALID_ARGUMENT", "invalidArgument", "Invalid label: Nope"},
		"me/messages?maxResults=0":                         {400, "INVALID_ARGUMENT", "invalidArgument", `Invalid value at 'max_results' (TYPE_UINT32), "0"`},
		"me/messages?maxResults=many":                      {400, "INVALID_ARGUMENT", "invalidArgument", `Invalid value at 'max_results' (TYPE_UINT32), "many"`},
		"me/messages?includeSpamTrash=perhaps":             {400, "INVALID_ARGUMENT", "invalidArgument", `Invalid value at 'include_spam_trash' (TYPE_BOOL), "perhaps"`},
		"me/messages?pageToken=x":                          {400, "INVALID_ARGUMENT", "invalidArgument", "Invalid pageToken"},
		"me/threads?pageToken=AAAAAAAAAAAAAAAAAAAAAAAAAAE": {400, "INVALID_ARGUMENT", "invalidArgument", "Invalid pageToken"},
		"me/messages?q=%zz":                                {400, "INVALID_ARGUMENT", "invalidArgument", "Invalid query string"},
		"me/messages?alt=media":                            {400, "INVALID_ARGUMENT", "invalidArgument", `Invalid value "media" for query parameter 'alt'`},
		"me/messages/" + id + "?format=pretty":             {400, "INVALID_ARGUMENT", "invalidArgument", `Invalid value at 'format' (type.googleapis.com/caribou.api.proto.Format), "pretty"`},
		"me/threads/" + id + "?format=raw":                 {400, "INVALID_ARGUMENT", "invalidArgument", `Invalid value at 'format' (type.googleapis.com/caribou.api.proto.Format), "raw"`},
		"POST me/messages/" + id + "/modify":               {400, "INVALID_ARGUMENT", "invalidArgument", "Invalid label: Nope"},
		"POST me/messages/0123456789abcdef/trash":          {404, "NOT_FOUND", "notFound", "Requested entity was not found."},
		"POST me/messages/x/untrash":                       {400, "INVALID_ARGUMENT", "invalidArgument", "Invalid id value"},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			var a answer
			if p, ok := strings.CutPrefix(path, "POST "); ok {
				a = acc.post(t, p, `{"addLabelIds":["Nope"]}`)
			} else {
				a = acc.get(t, path)
			}
			wantAPIError(t, a, want.code, want.status, want.reason, want.message)
		})
	}
}

func TestFormatsShowMoreAndLess(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	id := acc.deliver(t, mixed)
	for query, want := range map[string][]string{
		"format=minimal":  {"historyId", "id", "internalDate", "labelIds", "sizeEstimate", "snippet", "threadId"},
		"format=metadata": {"historyId", "id", "internalDate", "labelIds", "payload", "sizeEstimate", "snippet", "threadId"},
		"format=FULL":     {"historyId", "id", "internalDate", "labelIds", "payload", "sizeEstimate", "snippet", "threadId"},
		"format=raw":      {"historyId", "id", "internalDate", "labelIds", "raw", "sizeEstimate", "snippet", "threadId"},
	} {
		a := acc.get(t, "ADA@example.com/messages/"+id+"?"+query)
		var names []string
		for name := range a.body {
			names = append(names, name)
		}
		slices.Sort(names)
		if !slices.Equal(names, want) {
			t.Errorf("%s has %v, want %v", query, names, want)
		}
	}
	if got := decodeData(t, acc.get(t, "me/messages/"+id+"?format=raw").body["raw"]); got != mixed {
		t.Errorf("raw = %q", got)
	}
	some := acc.get(t, "me/messages/"+id+"?format=metadata&metadataHeaders=subject&metadataHeaders=RECEIVED")
	headers, _ := some.at("payload/headers").([]any)
	if len(headers) != 3 || some.at("payload/headers/0/name") != "Subject" || some.at("payload/parts") != nil || some.at("payload/body") != nil {
		t.Errorf("payload = %v, want Subject and two of Received", some.at("payload"))
	}
}

func TestListingsGoNewestFirstInPages(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	began := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	deliver := func(i int) string {
		return acc.deliver(t, raw("", fmt.Sprintf("Subject: %d", i)), gmailtest.WithInternalDate(began.Add(time.Duration(i/2)*time.Hour)))
	}
	for i := range 7 {
		deliver(i)
	}
	want := acc.box.MessageIDs()
	for _, kind := range []string{"messages", "threads"} {
		var got []string
		path := "me/" + kind + "?maxResults=3"
		for pages := 1; ; pages++ {
			a := acc.get(t, path)
			items, _ := a.body[kind].([]any)
			for i := range items {
				got = append(got, a.at(fmt.Sprintf("%s/%d/id", kind, i)).(string))
			}
			deliver(100 + pages) // mail that arrives meanwhile moves no page
			token := a.str("nextPageToken")
			if token == "" {
				if pages != 3 {
					t.Errorf("%s came in %d pages, want 3", kind, pages)
				}
				break
			}
			path = "me/" + kind + "?maxResults=3&pageToken=" + token
		}
		if kind == "messages" && !slices.Equal(got, want) {
			t.Errorf("listed %v, want %v", got, want)
		}
		for _, id := range acc.box.MessageIDs() { // the threads start from seven again
			if !slices.Contains(want, id) {
				if err := acc.box.Delete(id); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s = %v, want %v", kind, got, want)
		}
	}
	a := acc.get(t, "me/messages?maxResults=100000")
	if a.str("nextPageToken") != "" || a.at("resultSizeEstimate") != 7.0 {
		t.Errorf("one page of all = %s", a.raw)
	}
	if a := acc.get(t, "me/messages?q=nothing"); a.raw != `{"resultSizeEstimate":0}` {
		t.Errorf("an empty listing = %s", a.raw)
	}
}

func TestAPageHasAHundredByDefaultAnd500AtMost(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	for i := range 501 {
		acc.deliver(t, raw("", fmt.Sprintf("Subject: %d", i)))
	}
	for query, want := range map[string]int{"": 100, "?maxResults=500": 500, "?maxResults=501": 500} {
		if got, _ := acc.get(t, "me/messages"+query).body["messages"].([]any); len(got) != want {
			t.Errorf("a page%s has %d messages, want %d", query, len(got), want)
		}
	}
}

func TestListingsFilterByLabelsAndLeaveOutSpamAndTrash(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	ids := make(map[string]string)
	for name, labels := range map[string][]string{
		"plain": {"INBOX"}, "unread": {"INBOX", "UNREAD"}, "spam": {"SPAM", "UNREAD"}, "trash": {"TRASH"}, "work": {"Work"},
	} {
		ids[acc.deliver(t, raw("", "Subject: "+name), gmailtest.WithLabels(labels...))] = name
	}
	for query, want := range map[string][]string{
		"":                                  {"plain", "unread", "work"},
		"labelIds=INBOX":                    {"plain", "unread"},
		"labelIds=INBOX&labelIds=UNREAD":    {"unread"},
		"labelIds=SPAM":                     {"spam"},
		"labelIds=UNREAD":                   {"unread"},
		"labelIds=Label_1":                  {"work"},
		"includeSpamTrash=true":             {"plain", "spam", "trash", "unread", "work"},
		"q=in:anywhere":                     {"plain", "spam", "trash", "unread", "work"},
		"q=in:trash":                        {"trash"},
		"q=-in:trash":                       {"plain", "unread", "work"},
		"q=is:unread&includeSpamTrash=true": {"spam", "unread"},
		"q=label:spam+OR+label:work":        {"spam", "work"},
	} {
		for _, kind := range []string{"messages", "threads"} {
			a := acc.get(t, "me/"+kind+"?"+query)
			items, _ := a.body[kind].([]any)
			var got []string
			for i := range items {
				id, _ := a.at(fmt.Sprintf("%s/%d/id", kind, i)).(string)
				got = append(got, ids[id])
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s?%s = %v, want %v", kind, query, got, want)
			}
		}
	}
}

func TestThreadsHoldTheirMessagesOldestFirst(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	second := acc.deliver(t, raw("The answer", "Message-ID: <2@x.example>", "References: <1@x.example>", "Date: Fri, 20 Nov 2026 10:00:00 +0000"))
	first := acc.deliver(t, raw("The question", "Message-ID: <1@x.example>", "Date: Fri, 20 Nov 2026 09:00:00 +0000"), gmailtest.WithLabels("TRASH"))
	list := acc.get(t, "me/threads")
	if list.at("threads/0/id") != second || list.at("threads/0/snippet") != "The answer" || list.at("threads/1") != nil {
		t.Errorf("list = %s", list.raw)
	}
	a := acc.get(t, "me/threads/"+second+"?format=minimal")
	if a.str("id") != second || a.at("messages/0/id") != first || a.at("messages/1/id") != second || a.at("messages/0/payload") != nil {
		t.Errorf("thread = %s", a.raw)
	}
	if a.str("historyId") != acc.get(t, "me/profile").str("historyId") {
		t.Errorf("the thread's history ID is %s, want that of its last change", a.str("historyId"))
	}
	if a := acc.get(t, "me/threads/"+second); a.at("messages/0/payload/body/data") == nil {
		t.Errorf("the format is not full by default: %s", a.raw)
	}
}

func TestLabelsAreListedAndCounted(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	acc.deliver(t, raw("", "Message-ID: <1@x.example>"), gmailtest.WithLabels("Trips/2026", "UNREAD"))
	acc.deliver(t, raw("", "References: <1@x.example>"), gmailtest.WithLabels("Trips/2026"))
	acc.deliver(t, raw("", "Subject: other"), gmailtest.WithLabels("Trips/2026", "INBOX"))
	a := acc.get(t, "me/labels")
	found := map[any]map[string]any{}
	labels, _ := a.body["labels"].([]any)
	for _, l := range labels {
		l, _ := l.(map[string]any)
		found[l["id"]] = l
	}
	if inbox := found["INBOX"]; inbox["type"] != "system" || inbox["name"] != "INBOX" || inbox["messagesTotal"] != nil {
		t.Errorf("INBOX = %v", inbox)
	}
	if trips := found["Label_1"]; trips["type"] != "user" || trips["name"] != "Trips/2026" || trips["labelListVisibility"] != "labelShow" {
		t.Errorf("Label_1 = %v", trips)
	}
	one := acc.get(t, "me/labels/Label_1")
	for name, want := range map[string]any{
		"id": "Label_1", "messagesTotal": 3.0, "messagesUnread": 1.0, "threadsTotal": 2.0, "threadsUnread": 1.0,
	} {
		if one.body[name] != want {
			t.Errorf("%s = %v, want %v", name, one.body[name], want)
		}
	}
}

func TestMessagesAreModifiedThroughTheAPI(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, modifyScope)
	id := acc.deliver(t, mixed)
	for _, step := range []struct{ method, body, want string }{
		{"modify", `{"addLabelIds":["STARRED"],"removeLabelIds":["UNREAD","SPAM"]}`, "[INBOX STARRED]"},
		{"trash", ``, "[STARRED TRASH]"},
		{"untrash", ``, "[STARRED]"},
	} {
		a := acc.post(t, "me/messages/"+id+"/"+step.method, step.body)
		if fmt.Sprint(a.body["labelIds"]) != step.want || a.str("id") != id || a.body["payload"] != nil {
			t.Errorf("%s %s answers %d %s, want %s", step.method, step.body, a.status, a.raw, step.want)
		}
	}
	for _, body := range []string{`{}`, `{"addLabelIds":["SENT"]}`, `{"addLabels":["STARRED"]}`, `{`, ``} {
		if a := acc.post(t, "me/messages/"+id+"/modify", body); a.status != 400 {
			t.Errorf("modify %s answers %d %s", body, a.status, a.raw)
		}
	}
}

func TestPartialResponses(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	id := acc.deliver(t, raw("Hello", "Subject: S", "From: f@example.com"))
	for fields, want := range map[string]string{
		"id":                               `{"id":"` + id + `"}`,
		"id,threadId":                      `{"id":"` + id + `","threadId":"` + id + `"}`,
		"payload/headers/name":             `{"payload":{"headers":[{"name":"Subject"},{"name":"From"}]}}`,
		"payload(mimeType,headers(value))": `{"payload":{"headers":[{"value":"S"},{"value":"f@example.com"}],"mimeType":"text/plain"}}`,
		"payload/body/size,payload/partId": `{"payload":{"body":{"size":5},"partId":""}}`,
		"payload/body,payload/body/size":   `{"payload":{"body":{"data":"SGVsbG8=","size":5}}}`,
		"payload/parts/parts/filename":     `{"payload":{}}`,
		"payload/headers/*":                `{"payload":{"headers":[{"name":"Subject","value":"S"},{"name":"From","value":"f@example.com"}]}}`,
		"raw":                              `{}`,
	} {
		if a := acc.get(t, "me/messages/"+id+"?fields="+fields); a.raw != want {
			t.Errorf("fields=%s answers %s, want %s", fields, a.raw, want)
		}
	}
	list := acc.get(t, "me/messages?fields=messages(id),nextPageToken")
	if want := `{"messages":[{"id":"` + id + `"}]}`; list.raw != want {
		t.Errorf("list = %s, want %s", list.raw, want)
	}
	for fields, message := range map[string]string{
		"nope":         "Invalid field selection nope",
		"payload/nope": "Invalid field selection payload/nope",
		"id/x":         "Invalid field selection id/x",
		"id,":          "Request contains an invalid argument: invalid field selection id,",
		"payload(":     "Request contains an invalid argument: invalid field selection payload(",
		"payload(id))": "Request contains an invalid argument: invalid field selection payload(id))",
		"/":            "Request contains an invalid argument: invalid field selection /",
	} {
		wantAPIError(t, acc.get(t, "me/messages/"+id+"?fields="+fields), 400, "INVALID_ARGUMENT", "invalidArgument", message)
	}
}
