package gmailtest_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestLongTextComesByItsAttachmentID(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{InlineBodyLimit: 10})
	acc := account{s, s.AddUser(gmailtest.User{Email: ada}), accessToken(t, s, readonlyScope)}
	for text, inline := range map[string]bool{
		strings.Repeat("x", 10): true,
		strings.Repeat("y", 11): false,
		"":                      true,
	} {
		t.Run(fmt.Sprint(len(text)), func(t *testing.T) {
			t.Parallel()
			a := acc.get(t, "me/messages/"+acc.deliver(t, raw(text, "Subject: x")))
			if a.at("payload/body/size") != float64(len(text)) {
				t.Errorf("body = %v, want size %d", a.at("payload/body"), len(text))
			}
			id, _ := a.at("payload/body/attachmentId").(string)
			if inline {
				if got := decodeData(t, a.at("payload/body/data")); got != text || id != "" {
					t.Errorf("body = %v, want %q in place", a.at("payload/body"), text)
				}
				return
			}
			if id == "" || a.at("payload/body/data") != nil || a.at("payload/filename") != "" {
				t.Fatalf("payload = %v, want an attachmentId and no data", a.at("payload"))
			}
			apart := acc.get(t, "me/messages/"+a.str("id")+"/attachments/"+url.PathEscape(id)+"?fields=data")
			if got := decodeData(t, apart.body["data"]); got != text || len(apart.body) != 1 {
				t.Errorf("attachment = %s, want %q alone", apart.raw, text)
			}
		})
	}
}

func TestATextPartHasNoAttachmentID(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	id := acc.deliver(t, mixed)
	// part:0.0 is the plain text: what is sent with the message cannot be fetched apart from it.
	a := acc.get(t, "me/messages/"+id+"/attachments/ANGjdJ_cGFydDowLjA")
	wantAPIError(t, a, 400, "INVALID_ARGUMENT", "invalidArgument", "Invalid attachment token")
}
