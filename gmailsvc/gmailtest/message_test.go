package gmailtest_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// mixed is a message with one of everything: folded and encoded headers, alternatives, files, and another
// message.
const mixed = "From: =?UTF-8?Q?J=C3=BCrgen?= <juergen@example.org>\r\n" +
	"To: Ada <ada@example.com>\r\n" +
	"Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n =?iso-8859-1?Q?_aus_K=F6ln?=\r\n" +
	"Date: Fri, 20 Nov 2026 09:00:00 +0100\r\n" +
	"Received: from a\r\nReceived: from b\r\n" +
	"MIME-Version: 1.0\r\n" +
	"Content-Type: multipart/mixed; boundary=\"out er\"\r\n\r\n" +
	"A preamble.\r\n" +
	"--out er\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n" +
	"--in\r\nContent-Type: text/plain; charset=windows-1252\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
	"10 =80 f=FCr \"Fish =\r\n& Chips\"\r\n" +
	"--in\r\nContent-Type: text/html\r\n\r\n<p>10 &euro;</p>\r\n" +
	"--in--\r\n" +
	"--out er  \r\nContent-Type: text/csv; name=\"a.csv\"\r\nContent-Disposition: attachment; filename*=UTF-8''%C3%BCber.csv\r\n" +
	"Content-Transfer-Encoding: base64\r\n\r\nYSxi\r\nCjEsMgo=\r\n" +
	"--out er\r\nContent-Type: image/png\r\nContent-ID: <logo>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0K\r\n" +
	"--out er\r\nContent-Type: message/rfc822\r\n\r\nSubject: Inner\r\n\r\nInner text\r\n" +
	"--out er--\r\nAn epilogue.\r\n"

func decodeData(t testing.TB, v any) string {
	t.Helper()
	s, _ := v.(string)
	b, err := base64.URLEncoding.DecodeString(s)
	if err != nil {
		t.Fatalf("%q is not padded base64url: %v", s, err)
	}
	return string(b)
}

func TestPayloadIsGmailsTreeOfParts(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	a := acc.get(t, "me/messages/"+acc.deliver(t, mixed))
	for path, want := range map[string]any{
		"payload/partId":                            "",
		"payload/mimeType":                          "multipart/mixed",
		"payload/filename":                          "",
		"payload/body/size":                         0.0,
		"payload/headers/0/name":                    "From",
		"payload/headers/0/value":                   "Jürgen <juergen@example.org>",
		"payload/headers/2/value":                   "Grüße aus Köln",
		"payload/headers/4/value":                   "from a",
		"payload/headers/5/value":                   "from b",
		"payload/parts/0/partId":                    "0",
		"payload/parts/0/parts/0/partId":            "0.0",
		"payload/parts/0/parts/0/body/attachmentId": nil,
		"payload/parts/0/parts/1/mimeType":          "text/html",
		"payload/parts/1/partId":                    "1",
		"payload/parts/1/filename":                  "über.csv",
		"payload/parts/1/body/size":                 8.0,
		"payload/parts/1/body/data":                 nil,
		"payload/parts/2/filename":                  "",
		"payload/parts/2/body/data":                 nil,
		"payload/parts/3/mimeType":                  "message/rfc822",
		"payload/parts/3/parts/0/partId":            "3.0",
		"payload/parts/3/parts/0/headers/0/value":   "Inner",
		"payload/parts/4":                           nil,
		"internalDate":                              "1795161600000",
		"sizeEstimate":                              float64(len(mixed)),
		"snippet":                                   "10 € für &quot;Fish &amp; Chips&quot;",
		"labelIds/1":                                "UNREAD",
		"raw":                                       nil,
	} {
		if got := a.at(path); got != want {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
	text := decodeData(t, a.at("payload/parts/0/parts/0/body/data"))
	if want := "10 € für \"Fish & Chips\""; text != want || a.at("payload/parts/0/parts/0/body/size") != float64(len(want)) {
		t.Errorf("text = %q, want %q in UTF-8", text, want)
	}
	id, _ := a.at("payload/parts/1/body/attachmentId").(string)
	file := acc.get(t, "me/messages/"+a.str("id")+"/attachments/"+url.PathEscape(id))
	if got := decodeData(t, file.body["data"]); got != "a,b\n1,2\n" || file.body["size"] != 8.0 {
		t.Errorf("attachment = %s", file.raw)
	}
	wantAPIError(t, acc.get(t, "me/messages/"+a.str("id")+"/attachments/x"), 400, "INVALID_ARGUMENT", "invalidArgument", "Invalid attachment token")
	wantAPIError(t, acc.get(t, "me/messages/1/attachments/x"), 404, "NOT_FOUND", "notFound", "Requested entity was not found.")
}

func TestBodiesAreDecodedAsFarAsTheyCanBe(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	for name, tc := range map[string]struct {
		raw           string
		body, snippet string
	}{
		"UTF-8 as it is":             {raw("Grüße", "Content-Type: text/plain; charset=utf-8"), "Grüße", "Grüße"},
		"no Content-Type":            {raw("Hello", "Subject: x"), "Hello", "Hello"},
		"a Content-Type of no sense": {raw("Hello", "Content-Type: text"), "Hello", "Hello"},
		"a parameter of no sense":    {raw("Hello", "Content-Type: text/plain; charset"), "Hello", "Hello"},
		"ISO-8859-1":                 {raw("Gr\xfc\xdfe", "Content-Type: text/plain; charset=ISO-8859-1"), "Grüße", "Grüße"},
		"bytes of no charset":        {raw("Gr\xfc", "Content-Type: text/plain; charset=us-ascii"), "Gr\xfc", "Gr\uFFFD"},
		"ISO-2022-JP as it is": {raw("\x1b$B$3\x1b(B", "Content-Type: text/plain; charset=ISO-2022-JP"),
			"\x1b$B$3\x1b(B", ""},
		"base64 with rubbish":          {raw("SGVs\r\n bG8=!\r\n", "Content-Transfer-Encoding: BASE64"), "Hello", "Hello"},
		"base64 that is cut off":       {raw("SGVsbG8gd", "Content-Transfer-Encoding: base64"), "Hello ", "Hello"},
		"bad quoted-printable":         {raw("50 =XX", "Content-Transfer-Encoding: quoted-printable"), "50 =XX", "50 =XX"},
		"bare line feeds":              {"Subject: x\n\none\ntwo\n", "one\r\ntwo\r\n", "one two"},
		"no body":                      {"Subject: x", "", ""},
		"no header":                    {"Hello", "Hello", "Hello"},
		"HTML alone":                   {raw("<html><head><title>T</title><style>p{}</style></head><body><!-- c --><p>A&amp;<b>B</b>C</p><SCRIPT>x<y</Script >D<br>E</body>", "Content-Type: text/html"), "<html><head><title>T</title><style>p{}</style></head><body><!-- c --><p>A&amp;<b>B</b>C</p><SCRIPT>x<y</Script >D<br>E</body>", "A&amp;BC D E"},
		"a multipart with no boundary": {raw("Hello", "Content-Type: multipart/mixed"), "Hello", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := acc.get(t, "me/messages/"+acc.deliver(t, tc.raw))
			if got := decodeData(t, a.at("payload/body/data")); got != tc.body {
				t.Errorf("body = %q, want %q", got, tc.body)
			}
			if got := a.str("snippet"); got != tc.snippet {
				t.Errorf("snippet = %q, want %q", got, tc.snippet)
			}
		})
	}
}

func TestAMultipartWithoutItsEndKeepsItsLastPart(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	a := acc.get(t, "me/messages/"+acc.deliver(t, raw("--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--bb\r\n", "Content-Type: multipart/mixed; boundary=b")))
	if one, two := decodeData(t, a.at("payload/parts/0/body/data")), decodeData(t, a.at("payload/parts/1/body/data")); one != "one" || two != "two\r\n--bb\r\n" {
		t.Errorf("parts = %q, %q", one, two)
	}
}

func TestDeepNestingEnds(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	a := acc.get(t, "me/messages/"+acc.deliver(t, strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 1000)))
	depth := strings.Count(a.raw, `"parts"`)
	if a.status != 200 || depth < 10 || depth > 50 {
		t.Errorf("the answer is %d with %d levels", a.status, depth)
	}
}

func TestHeadersAreDecodedWhereTheCharsetIsKnown(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	for name, tc := range map[string]struct{ sent, want string }{
		"UTF-8 in two words":   {"=?utf-8?b?4piD?= =?UTF-8?Q?=E2=98=83?=", "☃☃"},
		"Windows-1252":         {"=?windows-1252?Q?=8010?=", "€10"},
		"ISO-2022-JP stays":    {"=?ISO-2022-JP?B?GyRCJDMbKEI=?=", "=?ISO-2022-JP?B?GyRCJDMbKEI=?="},
		"raw UTF-8":            {"Grüße", "Grüße"},
		"raw ISO-8859-1":       {"Gr\xfc\xdfe", "Grüße"},
		"folded by a tab":      {"one\r\n\ttwo\r\n  three", "one two three"},
		"broken encoded words": {"=?utf-8?b?!?= =?x", "=?utf-8?b?!?= =?x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := acc.get(t, "me/messages/"+acc.deliver(t, raw("", "Subject: "+tc.sent))+"?format=metadata")
			if got := a.at("payload/headers/0/value"); got != tc.want {
				t.Errorf("Subject = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestSnippetsHaveAtMost200Characters(t *testing.T) {
	t.Parallel()
	acc := newAccount(t, readonlyScope)
	for name, body := range map[string]string{
		"words": strings.Repeat("word ", 100), "one word": strings.Repeat("ü", 1000), "escapes": strings.Repeat("<", 1000),
	} {
		got := acc.get(t, "me/messages/"+acc.deliver(t, raw(body, "Subject: x"))).str("snippet")
		if n := utf8.RuneCountInString(got); n > 200 || n < 190 || strings.HasSuffix(got, "&") {
			t.Errorf("%s: the snippet has %d characters: %s", name, n, got)
		}
	}
}
