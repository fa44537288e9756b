package gmailtest_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// rot13 stands for a charset that the standard library does not know.
func rot13(charset string, input io.Reader) (io.Reader, error) {
	if charset != "x-rot13" {
		return nil, errors.New("unknown charset " + charset)
	}
	text, err := io.ReadAll(input)
	return strings.NewReader(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return 'a' + (r-'a'+13)%26
		}
		return r
	}, string(text))), err
}

func TestOtherCharsetsAreDecodedByTheReaderOfTheConfig(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg              gmailtest.Config
		charset          string
		subject, snippet string
	}{
		"with a reader that knows it":        {gmailtest.Config{CharsetReader: rot13}, "x-rot13", "hello", "good day"},
		"with a reader that does not":        {gmailtest.Config{CharsetReader: rot13}, "x-other", "=?x-other?Q?uryyb?=", ""},
		"without a reader":                   {gmailtest.Config{}, "x-rot13", "=?x-rot13?Q?uryyb?=", ""},
		"which one of its own it never asks": {gmailtest.Config{CharsetReader: rot13}, "utf-8", "uryyb", "tbbq qnl"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, c.cfg)
			box := s.AddUser(gmailtest.User{Email: ada})
			a := account{s, box, accessToken(t, s, readonlyScope)}
			id := a.deliver(t, "Subject: =?"+c.charset+"?Q?uryyb?=\r\n"+
				"Content-Type: text/plain; charset="+c.charset+"\r\n\r\ntbbq qnl\r\n")
			var got struct {
				Snippet string
				Payload struct{ Headers []struct{ Value string } }
			}
			if err := json.Unmarshal([]byte(a.get(t, "me/messages/"+id).raw), &got); err != nil {
				t.Fatal(err)
			}
			if subject := got.Payload.Headers[0].Value; subject != c.subject || got.Snippet != c.snippet {
				t.Errorf("got subject %q and snippet %q, want %q and %q", subject, got.Snippet, c.subject, c.snippet)
			}
		})
	}
}
