package gmailtest

import (
	"strings"
	"testing"
	"time"
)

// FuzzQuery checks that any query can be read and says the same thing whichever way it is put: in a group,
// twice, or not. It is internal because a query has no public form but through a listing, which leaves
// things out on its own account.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{
		"", "plan", `from:ada "second draft" -in:trash`, "{a b} OR (c | d) AND -e", "subject:(a {b c})", "older_than:3d larger:5M",
		"after:2026/11/20 before:1795161600", "(((((", "))))", "-----x", "{)}(", `from:"a b`, "filename:pdf has:attachment is:unread",
		"label:a-b category:updates rfc822msgid:<x@y>", "in:anywhere OR OR |", "会議:資料", "\xff\xfe:\xff", strings.Repeat("-", 41) + "plan", strings.Repeat("(-", 100) + "x",
	} {
		f.Add(q)
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	box := newMailbox(User{Email: "ada@example.com", Sub: "1"}, func() time.Time { return now }, nil)
	for _, raw := range []string{
		"From: ada@example.com\r\nSubject: plan a b\r\nDate: Fri, 20 Nov 2026 09:00:00 +0000\r\n\r\nc d e",
		"From: grace@example.org\r\nSubject: x\r\nContent-Type: application/pdf; name=x.pdf\r\n\r\n%PDF",
	} {
		if _, err := box.Deliver([]byte(raw), WithLabels("INBOX", "a-b")); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, q string) {
		one := parseQuery(q)
		same := []*query{parseQuery(q + " " + q)}
		var opposite *query
		if !strings.ContainsAny(q, `(){}"`) && one.where != nil {
			same = append(same, parseQuery("("+q+")"), parseQuery("{("+q+")}"))
			opposite = parseQuery("-(" + q + ")")
		}
		if strings.ContainsAny(q, `(){}"`) || strings.HasSuffix(strings.TrimSpace(q), "OR") ||
			strings.HasSuffix(strings.TrimSpace(q), "|") || strings.HasSuffix(strings.TrimSpace(q), ":") ||
			strings.HasSuffix(strings.TrimSpace(q), "-") {
			same = same[1:] // what is open at the end would take in the repetition
		}
		for _, m := range box.order {
			found := one.matches(m, box)
			for i, other := range same {
				if other.matches(m, box) != found {
					t.Errorf("%q finds %s: %t; put in another way (%d) it does not agree", q, m.id, found, i)
				}
			}
			if opposite != nil && opposite.matches(m, box) == found {
				t.Errorf("%q and its opposite agree on %s", q, m.id)
			}
		}
	})
}
