package gmailtest_test

import (
	"net/mail"
	"strings"
	"testing"
)

// FuzzSend sends whatever comes: it is refused, or what is sent has one good header of each kind that Gmail sees to.
func FuzzSend(f *testing.F) {
	for _, seed := range []string{
		raw("Hello", "To: b@example.com"), raw("", "From: x", "To: b@example.com", "Bcc: c@example.com\r\n\td@example.com"),
		"From: c@d\nFrom: ada@example.com\nTo: b@example.com", "To: b@example.com", "To: b@example.com\nFrom: a@b\nFrom: c@d\n\n.", " To: b@example.com", "To:\r\n b@example.com\r\n\r\n", mixed,
	} {
		f.Add(seed)
	}
	acc := newAccount(f, mailScope)
	f.Fuzz(func(t *testing.T, message string) {
		a := acc.post(t, "me/messages/send", rawJSON(message, ""))
		if a.status == 400 {
			return
		}
		if a.status != 200 {
			t.Fatalf("the answer is %d %s", a.status, a.raw)
		}
		sent, err := acc.box.Raw(a.str("id"))
		must(t, err)
		must(t, acc.box.Delete(a.str("id")))
		header, _, found := strings.Cut(string(sent), "\r\n\r\n")
		if !found {
			t.Fatalf("what is sent has no body: %q", sent)
		}
		var from []string
		for line := range strings.SplitSeq(header, "\r\n") {
			if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "From") {
				from = append(from, value)
			}
		}
		if len(from) == 0 {
			t.Fatalf("what is sent has no From: %q", sent)
		}
		if address, err := mail.ParseAddress(from[0]); err != nil || !strings.EqualFold(address.Address, ada) {
			t.Errorf("what is sent is from %q, %v", from, err)
		}
	})
}
