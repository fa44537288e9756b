package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/mailgrant/mailgrant/gmailsvc"
)

// deliver delivers a message of HTML to Ada, with an image named "logo", and returns the path of its page.
func (s *site) deliver(t *testing.T, body string) string {
	t.Helper()
	raw := "From: x@example.net\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body + "\r\n" +
		"--b\r\nContent-Type: image/png; name=logo.png\r\nContent-ID: <logo>\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64.StdEncoding.EncodeToString([]byte("pretend")) + "\r\n" +
		"--b\r\nContent-Type: image/svg+xml; name=logo.svg\r\nContent-ID: <drawing>\r\n\r\n<svg/>\r\n--b--\r\n"
	id, err := s.madeUp.Mailbox(ada).Deliver([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return s.account(t, ada) + "/messages/" + id
}

func TestTheFrameHasWhatIsHarmless(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	const logo = `<img src="data:image/png;base64,cHJldGVuZA==" alt="Our logo"`
	for name, c := range map[string]struct{ in, want string }{
		"text with marks":              {`<p>a <b>b</b> &amp; <i>c</i></p>`, `<p>a <b>b</b> &amp; <i>c</i></p>`},
		"an image that came along":     {`<img src="cid:logo" alt="Our logo">`, logo},
		"one with an encoded name":     {`<img src="CID:l%6Fgo" alt="Our logo">`, logo},
		"one that is not there":        {`<img src="cid:other" alt="Our logo">`, `<span class="out">Our logo</span>`},
		"one that can hold a script":   {`<img src="cid:drawing" alt="Our logo">`, `<span class="out">Our logo</span>`},
		"an image elsewhere":           {`<img src="https://example.net/a.png" alt="Our logo">`, `<span class="out">Our logo</span>`},
		"an image as data":             {`<img src="data:image/png;base64,AA" alt="Our logo">`, `<span class="out">Our logo</span>`},
		"a link":                       {`<a href="https://example.net/">go</a>`, `<a href="https://example.net/" rel="nofollow noreferrer noopener" target="_blank">go</a>`},
		"a link to nowhere":            {`<a href="/signout">go</a>`, `go`},
		"harmless style":               {`<td style="color: #14396b; background-color: red">a</td>`, `<td style="color: #14396b; background-color: red">a</td>`},
		"an image's sign in text":      {`&lt;img src="cid:logo"&gt;`, `&lt;img src=&#34;cid:logo&#34;&gt;`},
		"an image's sign in a title":   {`<p title='a src="cid:logo"'>a</p>`, `<p>a</p>`},
		"a quotation of an older mail": {`<blockquote>a</blockquote>`, `<blockquote>a</blockquote>`},
	} {
		got := p.get(s.deliver(t, c.in) + "/frame")
		got.check(t, http.StatusOK)
		if !strings.Contains(got.body, c.want) {
			t.Errorf("%s: %s\nis shown as\n%s\nwant\n%s", name, c.in, got.body, c.want)
		}
	}
}

func TestTheFrameIsADocumentOfItsOwn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	page := s.deliver(t, "<p>a</p>")
	policy := p.get(page + "/frame").Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "img-src data:", "sandbox", "frame-ancestors 'self'", "form-action 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the frame's policy lacks %q: %s", want, policy)
		}
	}
	for _, not := range []string{"allow-scripts", "allow-same-origin", "allow-forms", "allow-top", "script-src", "http"} {
		if strings.Contains(policy, not) {
			t.Errorf("the frame's policy has %q: %s", not, policy)
		}
	}
	p.get(page).check(t, http.StatusOK, `sandbox="allow-popups allow-popups-to-escape-sandbox"`, page+"/frame")
}

func TestImagesThatAreShownAThousandTimesFillNoMemory(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	raw := "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n" +
		strings.Repeat(`<img src="cid:big">`, 1000) + "\r\n--b\r\nContent-Type: image/png\r\nContent-ID: <big>\r\n" +
		"Content-Disposition: inline; filename=big.png\r\n\r\n" + strings.Repeat("x", 1<<20) + "\r\n--b--\r\n"
	id, err := s.madeUp.Mailbox(ada).Deliver([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	got := p.get(s.account(t, ada) + "/messages/" + id + "/frame")
	got.check(t, http.StatusOK)
	if n := strings.Count(got.body, "data:image/png"); n < 10 || len(got.body) > maxImages+1<<20 {
		t.Errorf("the frame has %d bytes with %d images", len(got.body), n)
	}
	if n := s.madeUp.Count("gmail.users.messages.attachments.get"); n != 1 {
		t.Errorf("the image was fetched %d times", n)
	}
}

func TestAMessageOfTextAndHTMLIsShownWhole(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	id, err := s.madeUp.Mailbox(ada).Deliver([]byte("Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: text/plain\r\n\r\nThe <text> of the member.\r\n--b\r\nContent-Type: text/html\r\n\r\n<i>The footer of the list.</i>\r\n--b--\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	p.get(s.account(t, ada)+"/messages/"+id+"/frame").check(t, http.StatusOK, "<pre>The <text> of the member.", "<i>The footer of the list.</i>")
}

// FuzzFrame gives the sanitizer whatever comes, as frame does, and looks at what a browser would make of the result.
func FuzzFrame(f *testing.F) {
	for _, seed := range []string{
		`<script>a</script>`, `<img src=x onerror=a>`, `<a href="javascript:a">`, `<svg><style><img src=x onerror=a></style></svg>`,
		`<math><mtext></p><style><img src onerror=a>`, `<img alt='"><script>a</script>' src="cid:logo">`, `<img src="cid:a" alt="` + "`" + `">`,
		`<p style="background: url(https://example.net/a)">`, `<p style="color: red; position: fixed">`, `<table background=//example.net>`,
		`<img src="https://example.net/a" alt="a>b">`, `<!--><img src=x>-->`, `<noscript><p title="</noscript><img src=x onerror=a>">`,
		`<img src="cid:logo" srcset="//example.net 2x">`, `<form><input formaction=a>`, `<meta http-equiv=refresh content=0>`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, err := withImages(t.Context(), nil, new(gmailsvc.Message), harmless.Sanitize(in))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := html.Parse(strings.NewReader("<!doctype html><body>" + out))
		if err != nil {
			t.Fatal(err)
		}
		for n := range doc.Descendants() {
			if n.Type == html.ElementNode {
				if bad := harm(n); bad != "" {
					t.Fatalf("%q becomes %q, which has %s", in, out, bad)
				}
			}
		}
	})
}

// harm returns what of an element runs or loads something.
func harm(n *html.Node) string {
	switch n.Data {
	case "script", "style", "link", "meta", "base", "iframe", "object", "embed", "form", "input", "button", "svg", "math", "video", "audio",
		"source", "track", "picture", "template", "frameset", "frame", "noscript", "img":
		return "the element " + n.Data
	}
	for _, a := range n.Attr {
		value := strings.ToLower(strings.TrimSpace(a.Val))
		switch {
		case strings.HasPrefix(a.Key, "on"), a.Key == "src", a.Key == "srcset", a.Key == "background", a.Key == "formaction", a.Key == "ping":
			return "the attribute " + a.Key
		case a.Key == "style" && (strings.Contains(value, "url(") || strings.Contains(value, "image(") || strings.Contains(value, "position")):
			return "the style " + value
		case a.Key == "href" && !strings.HasPrefix(value, "http:") && !strings.HasPrefix(value, "https:") &&
			!strings.HasPrefix(value, "mailto:") && !strings.HasPrefix(value, "cid:"):
			return fmt.Sprintf("the link %q", a.Val)
		}
	}
	return ""
}
