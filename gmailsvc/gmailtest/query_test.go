package gmailtest_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestQueriesFindWhatGmailFinds(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := newServer(t, gmailtest.Config{Now: func() time.Time { return now }})
	box := s.AddUser(gmailtest.User{Email: ada})
	acc := account{s, box, accessToken(t, s, readonlyScope)}
	names := make(map[string]string)
	deliver := func(name, date, body string, labels []string, lines ...string) {
		lines = append(lines, "Date: "+date)
		names[acc.deliver(t, raw(body, lines...), gmailtest.WithLabels(labels...))] = name
	}
	deliver("plan", "Fri, 20 Nov 2026 09:00:00 +0000", "The budget is 400 kr, see attached.", []string{"INBOX", "UNREAD", "STARRED"},
		"From: Grace Holm <grace@example.org>", "To: ada@example.com", "Cc: Lin <lin@example.net>", "Subject: Project plan, second draft",
		"Message-ID: <plan@example.org>")
	deliver("trip", "Mon, 02 Nov 2026 07:00:00 +0000", "Ombord 08:15", []string{"INBOX", "Travel plans"},
		"From: tickets@rail.example", "To: Ada Lindqvist <ada@example.com>", "Subject: =?UTF-8?Q?Resa_till_Malm=C3=B6?=")
	deliver("sent", "Sun, 01 Nov 2026 07:59:59 +0000", "Ja!", []string{"SENT", "IMPORTANT"},
		"From: ada@example.com", "To: grace@example.org", "Subject: Re: plan")
	deliver("file", "Thu, 20 Nov 2025 09:00:00 +0000", "--b\r\nContent-Type: application/pdf; name=Report-Q3.pdf\r\n\r\n%PDF"+
		strings.Repeat(" ", 3000)+"\r\n--b--\r\n", []string{"CATEGORY_UPDATES"},
		"From: reports@example.net", "Subject: =?UTF-8?B?5Lya6K2w44Gu6LOH5paZ?=", "List-Id: <q.example.net>", "Content-Type: multipart/mixed; boundary=b")
	deliver("junk", "Fri, 20 Nov 2026 10:00:00 +0000", "<p>You <b>won</b></p>", []string{"SPAM", "UNREAD"},
		"From: prize@example.net", "Subject: Budget!", "Content-Type: text/html")

	for q, want := range map[string]string{
		// words
		"":                      "file plan sent trip",
		"budget":                "plan",
		"BUDGET":                "plan",
		"budge":                 "", // whole words
		"plan":                  "plan sent",
		"project draft":         "plan",
		`"second draft"`:        "plan",
		`"draft second"`:        "",
		"malmö":                 "trip",
		"lindqvist":             "trip",
		"report":                "file",
		"会議":                    "file",
		"!!!":                   "file plan sent trip",
		"draft won in:anywhere": "",
		"won in:anywhere":       "junk",
		// addresses and headers
		"from:grace":                     "plan",
		"from:grace@example.org":         "plan",
		"from:example.org":               "plan",
		"from:(grace OR tickets)":        "plan trip",
		"from:{grace tickets}":           "plan trip",
		`from:"Grace Holm"`:              "plan",
		"from:me":                        "sent",
		"to:me":                          "plan trip",
		"to:lin":                         "plan",
		"cc:lin":                         "plan",
		"subject:plan":                   "plan sent",
		"subject:(project draft)":        "plan",
		`subject:"plan second"`:          "plan",
		"SUBJECT:draft":                  "plan",
		"subject: plan":                  "plan sent",
		"list:q.example.net":             "file",
		"rfc822msgid:plan@example.org":   "plan",
		"rfc822msgid:<plan@example.org>": "plan",
		"rfc822msgid:plan":               "",
		// places and states
		"in:inbox":             "plan trip",
		"in:sent":              "sent",
		"in:spam":              "junk",
		"in:anywhere":          "file junk plan sent trip",
		"in:archive":           "file",
		"is:unread":            "plan",
		"is:read":              "file sent trip",
		"is:starred":           "plan",
		"is:important":         "sent",
		"is:nonsense":          "",
		"label:travel-plans":   "trip",
		`label:"Travel plans"`: "trip",
		"label:Label_1":        "trip",
		"category:updates":     "file",
		"has:attachment":       "file",
		"has:userlabels":       "trip",
		"has:nouserlabels":     "file plan sent",
		"has:nonsense":         "",
		"filename:pdf":         "file",
		"filename:.PDF":        "file",
		"filename:report-q3":   "file",
		"filename:doc":         "",
		// time and size
		"after:2026/11/01":  "plan trip", // a day begins in California
		"after:2026-11-2":   "plan",
		"before:2026/11/01": "file sent",
		"before:1762000000": "",
		"after:1795161600":  "plan",
		"after:yesterday":   "",
		"newer_than:3d":     "",
		"newer_than:4d":     "plan",
		"newer_than:1m":     "plan sent trip",
		"older_than:1y":     "file",
		"older_than:x":      "",
		"older_than:5":      "",
		"older:2026/1/1":    "file",
		"newer:2026/11/19":  "plan",
		"larger:3K":         "file",
		"larger:3000":       "file",
		"size:3000":         "file",
		"smaller:3k":        "plan sent trip",
		"larger:1M":         "",
		"larger:big":        "",
		// joining
		"-budget":                   "file sent trip",
		"-from:grace -from:tickets": "file sent",
		"-(from:grace OR is:read)":  "",
		"-{from:grace from:me}":     "file trip",
		`-"second draft" plan`:      "sent",
		"plan OR malmö":             "plan sent trip",
		"plan OR malmö in:inbox":    "plan trip", // OR binds tighter
		"in:inbox plan OR malmö":    "plan trip",
		"plan | malmö":              "plan sent trip",
		"{budget malmö}":            "plan trip",
		"(plan) AND (budget)":       "plan",
		"(plan (budget OR malmö))":  "plan",
		"plan or malmö":             "", // in lower case it is a word
		// what is broken restricts nothing
		"from:":          "file plan sent trip",
		"OR":             "file plan sent trip",
		"OR plan OR":     "plan sent",
		"(plan":          "plan sent",
		"plan)":          "plan sent",
		") budget":       "plan",
		"{budget malmö)": "plan trip",
		`"second draft`:  "plan",
		"-":              "file plan sent trip",
		"()":             "file plan sent trip",
		"nonsense:plan":  "",
	} {
		a := acc.get(t, "me/messages?q="+url.QueryEscape(q))
		items, _ := a.body["messages"].([]any)
		var got []string
		for i := range items {
			id, _ := a.at(fmt.Sprintf("messages/%d/id", i)).(string)
			got = append(got, names[id])
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("q=%s finds %v, want [%s]", q, got, want)
		}
	}
}
