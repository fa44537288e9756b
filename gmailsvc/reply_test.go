package gmailsvc_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc"
)

func TestAnAnswerGoesToWhomItShould(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fields             string
		self               []string
		to, allTo, allCopy string
	}{
		"to who wrote": {
			"From: Grace <g@example.com>\r\nTo: a@example.com, b@example.com\r\nCc: c@example.com", []string{"A@example.com"},
			"Grace <g@example.com>", "Grace <g@example.com>", " <b@example.com> <c@example.com>",
		},
		"to where answers are wanted": {
			"From: g@example.com\r\nReply-To: list@example.com\r\nTo: list@example.com", nil,
			" <list@example.com>", " <list@example.com>", "",
		},
		"to where one's own message went": {
			"From: a@example.com\r\nTo: b@example.com, c@example.com\r\nCc: d@example.com, b@example.com", []string{"a@example.com"},
			" <b@example.com> <c@example.com>", " <b@example.com> <c@example.com>", " <d@example.com>",
		},
		"to nobody twice": {
			"From: g@example.com\r\nTo: G@Example.com, b@example.com\r\nCc: B@example.com", nil,
			" <g@example.com>", " <g@example.com>", " <b@example.com>",
		},
		"to nobody who can't be written to": {
			"From: g@example.com\r\nTo: broken@, j@ex\xc3\xa4mple.com, =?utf-8?Q?a=0D=0ABcc=3A_m?= <b@example.com>", nil,
			" <g@example.com>", " <g@example.com>", " <b@example.com>",
		},
		"to nobody where there is nobody": {"Subject: x", nil, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _ := gmailsvc.ParseMessage(strings.NewReader(c.fields + "\r\n\r\n"))
			one, all := m.Reply(c.self...), m.ReplyAll(c.self...)
			if got := format(one.To); got != c.to || len(one.Cc) > 0 {
				t.Errorf("Reply goes to %s and %s, want %s", got, format(one.Cc), c.to)
			}
			if to, cc := format(all.To), format(all.Cc); to != c.allTo || cc != c.allCopy {
				t.Errorf("ReplyAll goes to %s and %s, want %s and %s", to, cc, c.allTo, c.allCopy)
			}
		})
	}
}

func TestAnAnswerBelongsToItsThread(t *testing.T) {
	t.Parallel()
	var hundred []string
	for i := range 100 {
		hundred = append(hundred, fmt.Sprintf("<%d@example.com>", i))
	}
	for name, c := range map[string]struct {
		fields, inReplyTo string
		references        []string
	}{
		"the first answer": {"Message-ID: <1@example.com>", "1@example.com", []string{"1@example.com"}},
		"a later one": {
			"Message-ID: <3@example.com>\r\nIn-Reply-To: <2@example.com>\r\nReferences: <1@example.com>\r\n <2@example.com>", "3@example.com",
			[]string{"1@example.com", "2@example.com", "3@example.com"},
		},
		"to a message without References": {
			"Message-ID: <2@example.com>\r\nIn-Reply-To: <1@example.com>", "2@example.com", []string{"1@example.com", "2@example.com"},
		},
		"to an answer to two": {
			"Message-ID: <2@example.com>\r\nIn-Reply-To: <0@example.com> <1@example.com>", "2@example.com", []string{"2@example.com"},
		},
		"to a message without a name":     {"References: <1@example.com>", "", nil},
		"to one whose references are odd": {"Message-ID: <a@b>\r\nReferences: <> <x y> <\xff> c@d <e@f", "a@b", []string{"a@b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _ := gmailsvc.ParseMessage(strings.NewReader(c.fields + "\r\n\r\n"))
			m.ThreadID = "t"
			got := m.Reply()
			if got.InReplyTo != c.inReplyTo || !slices.Equal(got.References, c.references) || got.ThreadID != "t" {
				t.Errorf("got %q, %q and thread %q", got.InReplyTo, got.References, got.ThreadID)
			}
		})
	}
	m, err := gmailsvc.ParseMessage(strings.NewReader("Message-ID: <last@example.com>\r\nReferences: " + strings.Join(hundred, "\r\n ") + "\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := m.Reply().References
	if len(got) != 50 || got[0] != "0@example.com" || got[1] != "52@example.com" || got[48] != "99@example.com" || got[49] != "last@example.com" {
		t.Errorf("%d references: %q; want the first, the last ones, and the message", len(got), got)
	}
}

func TestTheSubjectOfAnAnswer(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		"Hello":                               "Re: Hello",
		"Re: Hello":                           "Re: Hello",
		"RE:Hello":                            "RE:Hello",
		"":                                    "Re:",
		"Rest":                                "Re: Rest",
		"=?utf-8?Q?Gr=C3=BC=C3=9Fe?=":         "Re: Grüße",
		"=?utf-8?Q?x=0D=0ABcc:_m@e.com=00?=":  "Re: x  Bcc: m@e.com",
		"x" + strings.Repeat("ü", 100_000):    "Re: x" + strings.Repeat("ü", 32<<10-3),
		strings.Repeat("x", 64<<10-4) + "end": "Re: " + strings.Repeat("x", 64<<10-4),
	} {
		t.Run(fmt.Sprintf("%.20s", sent), func(t *testing.T) {
			t.Parallel()
			m, err := gmailsvc.ParseMessage(strings.NewReader("Subject: " + sent + "\r\nFrom: a@example.com\r\n\r\n"))
			if err != nil {
				t.Fatal(err)
			}
			answer := m.Reply()
			if answer.Subject != want {
				t.Errorf("got %.50q of %d bytes, want %.50q of %d", answer.Subject, len(answer.Subject), want, len(want))
			}
			written(t, answer)
		})
	}
}
