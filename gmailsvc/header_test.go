package gmailsvc_test

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc"
)

func TestAHeaderKeepsItsFieldsInOrder(t *testing.T) {
	t.Parallel()
	m, err := gmailsvc.ParseMessage(strings.NewReader("Received: from a\r\nX-Odd:\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n" +
		"\t=?utf-8?Q?_aus?= \r\n  K\xf6ln \r\nreceived: from b\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	h := m.Header()
	var names []string
	for _, f := range h {
		names = append(names, f.Name)
	}
	if want := []string{"Received", "X-Odd", "Subject", "received"}; !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
	if got := slices.Collect(h.Values("RECEIVED")); !slices.Equal(got, []string{"from a", "from b"}) {
		t.Errorf("values %q", got)
	}
	for range h.Values("received") {
		break
	}
	if got := h.Get("subject"); got != "Grüße aus   Köln" {
		t.Errorf("the subject is %q", got)
	}
	if got, want := h[2].Raw, "=?utf-8?Q?Gr=C3=BC=C3=9Fe?=\t=?utf-8?Q?_aus?=   K\xf6ln"; got != want {
		t.Errorf("the raw subject is %q, want %q: unfolding removes line ends alone", got, want)
	}
	if h.Get("X-Odd") != "" || h.Get("Missing") != "" {
		t.Error("fields without a value have one")
	}
}

func TestWordsAreDecodedWhereTheyCanBe(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		"=?utf-8?b?4piD?= =?UTF-8?Q?=E2=98=83?=": "☃☃",
		"=?windows-1252?Q?=8010?=":               "€10",
		"=?ISO-2022-JP?B?GyRCJDMbKEI=?=":         "こ",
		"=?gb2312?B?xOO6ww==?=":                  "你好",
		"=?x-klingon?Q?a?= b":                    "=?x-klingon?Q?a?= b",
		"=?utf-8?b?!?= =?x":                      "=?utf-8?b?!?= =?x",
		"=?utf-8?Q?=FF?=":                        "\uFFFD",
		"Grüße":                                  "Grüße",
	} {
		t.Run(sent, func(t *testing.T) {
			t.Parallel()
			m, _ := gmailsvc.ParseMessage(strings.NewReader("Subject: " + sent + "\r\n\r\n"))
			if got := m.Header().Get("Subject"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestAddressesAreReadBeforeTheirNamesAreDecoded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fields, want string
		broken       bool
	}{
		"one":                            {"To: ada@example.com", " <ada@example.com>", false},
		"several in several fields":      {"To: A <a@example.com>, b@example.com\r\nto: \"C, D\" <c@example.com>", "A <a@example.com> <b@example.com>C, D <c@example.com>", false},
		"a group":                        {"To: Friends: a@example.com, b@example.com;", " <a@example.com> <b@example.com>", false},
		"a name that hides another":      {"To: =?utf-8?Q?boss=40example.com=3E=2C_x?= <mallory@example.net>", "boss@example.com>, x <mallory@example.net>", false},
		"a name in another charset":      {"To: =?iso-8859-2?Q?=A3uk?= <l@example.com>", "Łuk <l@example.com>", false},
		"a name that was decoded":        {"To: Jürgen Ø. <j@example.com>", "Jürgen Ø. <j@example.com>", false},
		"a name that is no UTF-8":        {"To: J\xfcrgen <j@example.com>", "Jürgen <j@example.com>", false},
		"a broken one among others":      {"To: a@example.com, broken@, \"x, y\" <b@example.com>,, c@example.com (c, d)", " <a@example.com>x, y <b@example.com>c, d <c@example.com>", true},
		"a name in an unknown charset":   {"To: =?x-klingon?Q?a?= <a@example.com>, b@example.com", " <b@example.com>", true},
		"nobody":                         {"To: undisclosed-recipients:;", "", false},
		"nothing":                        {"Subject: x", "", false},
		"nonsense":                       {"To: >><<\"", "", true},
		"a quote that stays open":        {"To: \"a <a@example.com>, b@example.com", "", true},
		"a backslash at the end":         {"To: a@example.com, b\\", " <a@example.com>", true},
		"an address within its brackets": {"To: <<a@example.com>>, b@example.com", " <b@example.com>", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _ := gmailsvc.ParseMessage(strings.NewReader(c.fields + "\r\n\r\n"))
			all, err := m.Header().Addresses("TO")
			if got := format(all); got != c.want || (err != nil) != c.broken {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "example") {
				t.Errorf("the error shows addresses: %v", err)
			}
		})
	}
}

func format(all []*mail.Address) string {
	var b strings.Builder
	for _, a := range all {
		fmt.Fprintf(&b, "%s <%s>", a.Name, a.Address)
	}
	return b.String()
}
