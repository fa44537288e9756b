package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// mailOfText returns a message with that header and body.
func mailOfText(t *testing.T, raw string) *gmailsvc.Message {
	t.Helper()
	m, err := gmailsvc.ParseMessage(strings.NewReader(strings.ReplaceAll(raw, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const (
	alternative = "MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=a\n\n"
	mixed       = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=m\n\n"
	aPlain      = "--a\nContent-Type: text/plain\n\nplain\n"
	aHTML       = "--a\nContent-Type: text/html\n\nrich\n"
	aEnd        = "--a--\n"
	nested      = "--m\nContent-Type: multipart/alternative; boundary=a\n\n" + aPlain + aHTML + aEnd
	mText       = "--m\nContent-Type: text/plain\n\nafterwards\n"
	mFile       = "--m\nContent-Type: text/plain; name=notes.txt\nContent-Disposition: attachment; filename=notes.txt\n\nno text\n"
	mNameless   = "--m\nContent-Type: text/plain\nContent-Disposition: attachment\n\nno text\n"
	mMessage    = "--m\nContent-Type: message/rfc822\n\nSubject: inner\nContent-Type: text/html\n\ninner\n"
	mEnd        = "--m--\n"
)

func TestWhatIsReadOfAMessage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raw         string
		rich, plain string
		files       int
	}{
		"plain text":                        {"Subject: x\n\nplain\n", "plain", "plain", 0},
		"HTML alone":                        {"MIME-Version: 1.0\nContent-Type: text/html\n\nrich\n", "rich", "rich", 0},
		"alternatives":                      {alternative + aPlain + aHTML + aEnd, "rich", "plain", 0},
		"alternatives, and a text after it": {mixed + nested + mText + mEnd, "rich|afterwards", "plain|afterwards", 0},
		"a file of text":                    {mixed + nested + mFile + mEnd, "rich", "plain", 1},
		"a file without a name":             {mixed + nested + mNameless + mEnd, "rich", "plain", 1},
		"an attached message":               {mixed + mText + mMessage + mEnd, "afterwards", "afterwards", 1},
		"nothing":                           {"Subject: x\n\n", "", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mailOfText(t, c.raw)
			texts := func(plain bool) string {
				var all []string
				for _, p := range bodies(m, plain) {
					all = append(all, strings.TrimSpace(p.Text))
				}
				return strings.Join(all, "|")
			}
			if rich, plain := texts(false), texts(true); rich != c.rich || plain != c.plain {
				t.Errorf("shows %q, and plain %q; want %q and %q", rich, plain, c.rich, c.plain)
			}
			if got := filesOf(m); len(got) != c.files {
				t.Errorf("lists the files %+v, want %d", got, c.files)
			}
		})
	}
}

func TestWhoAMessageIsFrom(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		`Ada Lindqvist <ada@example.com>`:                    "Ada Lindqvist",
		`ada@example.com`:                                    "ada@example.com",
		`=?utf-8?q?Holm=2C_Ingrid_=3Ci=3E?= <i@example.com>`: "Holm, Ingrid <i>",
		`undisclosed senders:;`:                              "(no sender)",
		`not an address`:                                     "not an address",
		``:                                                   "(no sender)",
	} {
		if got := sender(mailOfText(t, "From: "+from+"\n\nx")); got != want {
			t.Errorf("From: %s is shown as %q, want %q", from, got, want)
		}
	}
	if got := subject(mailOfText(t, "From: a@example.com\n\nx")); got != "(no subject)" {
		t.Errorf("a message without a subject is called %q", got)
	}
}

func TestALongTextIsShownWhole(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	line := strings.Repeat("lang ", 14) + "\r\n"
	id, err := s.madeUp.Mailbox(ada).Deliver([]byte("Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + strings.Repeat(line, 20_000) + "the end"))
	if err != nil {
		t.Fatal(err)
	}
	p.get(s.account(t, ada)+"/messages/"+id).check(t, http.StatusOK, "the end")
	if n := s.madeUp.Count("gmail.users.messages.attachments.get"); n == 0 {
		t.Error("the text came with the message, so that this test proves nothing")
	}
}

func TestADownloadThatBreaksIsNotTakenForWhole(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	id, err := s.madeUp.Mailbox(ada).Deliver([]byte("Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\n" + strings.Repeat("x", 1<<16)))
	if err != nil {
		t.Fatal(err)
	}
	path := s.account(t, ada) + "/messages/" + id + "/attachments/"
	got := p.get(path + "0")
	got.check(t, http.StatusOK)
	if got.Header.Get("Content-Disposition") != `attachment; filename=a.pdf` || got.Header.Get("Content-Type") != "application/pdf" || len(got.body) != 1<<16 {
		t.Errorf("the file comes as %v, with %d bytes", got.Header, len(got.body))
	}
	for _, number := range []string{"1", "-1", "x", "99999999999999999999"} {
		p.get(path+number).check(t, http.StatusNotFound)
	}
	remove := s.madeUp.Inject(gmailtest.Fault{Op: "gmail.users.messages.attachments.get", Body: `{"size": 65536, "data": "` + strings.Repeat("eHh4", 4000)})
	defer remove()
	res, err := p.http.Get(s.url + path + "0")
	if err == nil {
		defer res.Body.Close()
		_, err = res.Body.Read(make([]byte, 1))
		for err == nil {
			_, err = res.Body.Read(make([]byte, 1<<16))
		}
		if err.Error() == "EOF" {
			t.Error("half a file looks like a whole one")
		}
	}
}

func TestDatesAndAges(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for want, ago := range map[string]time.Duration{
		"just now": time.Second, "1 minute ago": time.Minute, "59 minutes ago": 59 * time.Minute, "1 hour ago": time.Hour,
		"47 hours ago": 47 * time.Hour, "2 days ago": 48 * time.Hour, "400 days ago": 400 * 24 * time.Hour,
	} {
		if got := age(now.Add(-ago)); got != want {
			t.Errorf("%v ago is %q, want %q", ago, got, want)
		}
	}
	if got := day(now.AddDate(-2, 0, 0)); !strings.HasSuffix(got, now.AddDate(-2, 0, 0).Local().Format(" 2006")) {
		t.Errorf("two years ago is %q", got)
	}
	for want, n := range map[string]int64{"0 bytes": 0, "999 bytes": 999, "1 KB": 1000, "46 KB": 45_600, "2.5 MB": 2_500_000} {
		if got := byteSize(n); got != want {
			t.Errorf("%d bytes are %q, want %q", n, got, want)
		}
	}
}
