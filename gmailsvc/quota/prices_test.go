package quota_test

import (
	"net/http"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

func TestPricesAreGooglesOfEitherTime(t *testing.T) {
	t.Parallel()
	since, before := quota.Since2026(), quota.Before2026()
	for id, want := range map[string]struct{ since, before int }{
		"getProfile":                        {1, 1},
		"history.list":                      {2, 2},
		"messages.list":                     {5, 5},
		"messages.get":                      {20, 5},
		"messages.attachments.get":          {20, 5},
		"messages.trash":                    {20, 5},
		"messages.send":                     {100, 100},
		"messages.batchModify":              {50, 50},
		"messages.import":                   {25, 25},
		"messages.delete":                   {10, 10},
		"threads.list":                      {10, 10},
		"threads.get":                       {40, 10},
		"threads.trash":                     {20, 10},
		"threads.delete":                    {20, 20},
		"drafts.get":                        {20, 5},
		"drafts.update":                     {15, 15},
		"labels.patch":                      {5, 5},
		"settings.updatePop":                {100, 100},
		"settings.updateLanguage":           {5, 5},
		"settings.sendAs.patch":             {100, 100},
		"settings.sendAs.delete":            {5, 5},
		"settings.sendAs.smimeInfo.get":     {1, 1},
		"settings.cse.identities.create":    {100, 100},
		"settings.forwardingAddresses.list": {1, 1},
		"stop":                              {50, 50},
		"watch":                             {100, 100},
		"messages.divine":                   {100, 100}, // which nobody has heard of
	} {
		id = "gmail.users." + id
		if got := since.Units(id); got != want.since {
			t.Errorf("%s costs %d units since 2026, want %d", id, got, want.since)
		}
		if got := before.Units(id); got != want.before {
			t.Errorf("%s cost %d units before 2026, want %d", id, got, want.before)
		}
	}
}

func TestAPriceListIsTheCallersToChange(t *testing.T) {
	t.Parallel()
	const get = "gmail.users.messages.get"
	own := quota.Since2026()
	own[get] = 3
	if own.Units(get) != 3 || quota.Since2026().Units(get) != 20 {
		t.Errorf("own list: %d, a new one: %d; want 3 and 20", own.Units(get), quota.Since2026().Units(get))
	}
	if got := (quota.Prices{"a": 0}).Units("a"); got != 0 {
		t.Errorf("what is free costs %d", got)
	}
}

func TestMethodKnowsWhatARequestCalls(t *testing.T) {
	t.Parallel()
	const me = "https://gmail.googleapis.com/gmail/v1/users/me/"
	for _, tc := range []struct{ name, verb, target, want string }{
		{"a listing", "GET", me + "messages", "messages.list"},
		{"with a query", "GET", me + "messages?q=a/b&maxResults=5", "messages.list"},
		{"a message", "GET", me + "messages/18c2f0", "messages.get"},
		{"no verb, which is GET", "", me + "messages/18c2f0", "messages.get"},
		{"a message with the ID send", "GET", me + "messages/send", "messages.get"},
		{"sending", "POST", me + "messages/send", "messages.send"},
		{"an upload", "POST", "https://gmail.googleapis.com/upload/gmail/v1/users/me/messages/send?uploadType=multipart", "messages.send"},
		{"a resumable upload", "PUT", "https://gmail.googleapis.com/resumable/upload/gmail/v1/users/me/drafts/r1", "drafts.update"},
		{"inserting", "POST", me + "messages", "messages.insert"},
		{"another user", "GET", "https://gmail.googleapis.com/gmail/v1/users/ada%2Fb@example.com/labels", "labels.list"},
		{"an ID with an escaped slash", "GET", me + "labels/a%2Fb", "labels.get"},
		{"an attachment", "GET", me + "messages/1/attachments/ANGjdJ8", "messages.attachments.get"},
		{"an action", "POST", me + "settings/cse/keypairs/k1:disable", "settings.cse.keypairs.disable"},
		{"deep down", "POST", me + "settings/sendAs/a@example.com/smimeInfo/7/setDefault", "settings.sendAs.smimeInfo.setDefault"},
		{"behind a proxy", "GET", "http://localhost:8080/google/gmail/v1/users/me/profile", "getProfile"},
		{"an action without an ID", "POST", me + "settings/cse/keypairs/:disable", ""},
		{"a listing with a slash behind", "GET", me + "messages/", ""},
		{"a verb that the path lacks", "PATCH", me + "messages/1", ""},
		{"a path too long", "GET", me + "messages/1/2", ""},
		{"a user alone", "GET", "https://gmail.googleapis.com/gmail/v1/users/me", ""},
		{"nobody", "GET", "https://gmail.googleapis.com/gmail/v1/users/", ""},
		{"another API", "GET", "https://people.googleapis.com/v1/people/me", ""},
		{"a batch", "POST", "https://gmail.googleapis.com/batch/gmail/v1", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequest(tc.verb, tc.target, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Method = tc.verb
			want := tc.want
			if want != "" {
				want = "gmail.users." + want
			}
			if got := quota.MethodOf(req); got != want {
				t.Errorf("%s %s is %q, want %q", tc.verb, tc.target, got, want)
			}
		})
	}
}
