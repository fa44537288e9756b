package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// pageOf serves a page of another site, and returns its address.
func pageOf(tb testing.TB, html string) string {
	tb.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<!doctype html><meta charset=utf-8>"+html)
	}))
	tb.Cleanup(server.Close)
	return server.URL
}

// A tracker is a sender's server, which wants to know who opens its mail.
type tracker struct {
	url  string
	mu   sync.Mutex
	hits []string
}

// startTracker starts one that serves page at /page.
func startTracker(tb testing.TB, page func(url string) string) *tracker {
	tb.Helper()
	s := new(tracker)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/page" {
			fmt.Fprint(w, page(s.url))
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hits = append(s.hits, r.URL.Path)
	}))
	tb.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *tracker) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.hits...)
}

// hostileHTML tries everything that a mail can try: to run a script, to load something, to leave the frame.
func hostileHTML(url string) string {
	return strings.ReplaceAll(`<html><head><title>A calm title</title>
<base href="TRACKER/base/">
<link rel="stylesheet" href="TRACKER/link.css"><link rel="preload" as="image" href="TRACKER/preload.png"><link rel="prefetch" href="TRACKER/prefetch">
<style>@import url(TRACKER/import.css); body { background: url(TRACKER/style.png) } .x { background: url(TRACKER/class.png) }</style>
<script>document.title = "script ran"; new Image().src = "TRACKER/script"; top.location = "TRACKER/top"</script>
<script src="TRACKER/counter.js"></script>
</head><body background="TRACKER/body.png" onload="document.title = 'script ran'">
<p>The harmless text stays.</p>
<img src="TRACKER/pixel.gif" width="1" height="1" alt=""><img src="TRACKER/large.jpg" alt="A large picture" onerror="document.title = 'script ran'">
<img srcset="TRACKER/srcset.png 2x" alt="srcset"><picture><source srcset="TRACKER/source.png"><img alt="picture"></picture>
<div style="background-image: url(TRACKER/attribute.png)">styled</div><div style="background: url('TRACKER/short.png')">styled</div>
<ul style="list-style-image: url(TRACKER/list.png)"><li>listed</ul>
<table background="TRACKER/table.png"><tr><td background="TRACKER/cell.png">cell</td></tr></table>
<svg width="9" height="9"><image href="TRACKER/svg.png" width="9" height="9"/><script>document.title = "script ran"</script></svg>
<video poster="TRACKER/poster.png" src="TRACKER/video" autoplay></video><audio src="TRACKER/audio" autoplay></audio>
<iframe src="TRACKER/frame"></iframe><object data="TRACKER/object"></object><embed src="TRACKER/embed">
<input type="image" src="TRACKER/input.png">
<a href="javascript:document.title='script ran'">click here</a> <a href="TRACKER/followed">or here</a>
<form action="TRACKER/form"><input name="password"><button>Sign in</button></form>
<!--><script>document.title = "script ran"</script>-->
<img src="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'><image href='TRACKER/inner.png'/></svg>" alt="data">
<meta http-equiv="refresh" content="0; url=TRACKER/refresh">
</body></html>`, "TRACKER", url)
}

func hostileMail(url string) string {
	return `From: A tracker <tracker@example.net>
To: Ada Lindqvist <ada@example.com>
Subject: You will not believe what this loads
Date: Mon, 23 Nov 2026 10:00:00 +0000
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

` + hostileHTML(url)
}

func TestTheScriptAndTheRemoteImagesOfAMailDoNothing(t *testing.T) {
	t.Parallel()
	sender := startTracker(t, func(url string) string {
		// As a page of its own: but for what would leave it at once, so that all the rest is tried.
		html := strings.ReplaceAll(hostileHTML(url), "top.location", "window.unused")
		return strings.ReplaceAll(html, `http-equiv="refresh"`, `name="unused"`)
	})
	p := startProgram(t, map[string]string{"hostile.eml": hostileMail(sender.url)})
	person := p.signedIn()
	person.click("Open the inbox of " + ada)
	person.clickFirst() // its load is that of the frame, and of whatever the frame loads
	page := person.address()
	person.check("You will not believe what this loads")
	frame := evaluate[string](person, `document.querySelector("iframe").src`)

	// The frame has the message, and is out of the page's reach, as the page is out of its.
	if !evaluate[bool](person, `document.querySelector("iframe").contentDocument === null`) {
		t.Error("the frame has the origin of the page")
	}
	if got := person.lastAsked("/frame"); got != frame {
		t.Errorf("the browser asked for %s, not for the frame %s", got, frame)
	}
	if title := person.title(); title != "You will not believe what this loads" || person.address() != page {
		t.Errorf("the page is %q at %s", title, person.address())
	}

	// On its own it can do no more.
	alone := person.another()
	checkStatus(t, alone.open(frame), 200)
	alone.check("The harmless text stays.", "click here", "A large picture")
	if title := alone.title(); title != "Message" {
		t.Errorf("the frame calls itself %q", title)
	}
	if origin := evaluate[string](alone, "String(origin)"); origin != "null" {
		t.Errorf("the frame has the origin %s", origin)
	}
	if cookie := evaluate[bool](alone, `(() => { try { return document.cookie !== "" } catch { return false } })()`); cookie {
		t.Error("the frame reads cookies")
	}
	for _, scripted := range []string{"script", "img", "form", "iframe", "object", "embed", "svg", "video", "meta[http-equiv]", "base", "[onload]", "[onerror]"} {
		if n := evaluate[int](alone, `document.querySelectorAll("`+scripted+`").length`); n != 0 {
			t.Errorf("%d of %s are left in the message", n, scripted)
		}
	}
	if hits := sender.seen(); len(hits) > 0 {
		t.Errorf("the sender was told: %v", hits)
	}

	// The same as a page of the sender's shows that it would have worked.
	victim := newPerson(t)
	victim.open(sender.url + "/page")
	victim.until(`document.title === "script ran"`)
	if hits := sender.seen(); len(hits) < 15 {
		t.Errorf("without protection the sender is told of %d loads only, so that this test proves little: %v", len(hits), hits)
	}
}

func TestAScriptInTheHeadersOfAMailIsText(t *testing.T) {
	t.Parallel()
	const script = `<script>document.title="script ran"</script><img src=x onerror='document.title="script ran"'>`
	p := startProgram(t, map[string]string{"headers.eml": `From: "` + strings.ReplaceAll(script, `"`, `\"`) + `" <x@example.net>
To: ada@example.com
Subject: ` + script + `
Date: Mon, 23 Nov 2026 10:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b

` + script + `
--b
Content-Type: application/octet-stream; name="` + strings.ReplaceAll(script, `"`, `\"`) + `"
Content-Disposition: attachment; filename="` + strings.ReplaceAll(script, `"`, `\"`) + `"

x
--b--
`})
	person := p.signedIn()
	person.click("Open the inbox of " + ada)
	if title := person.title(); title != "Inbox of "+ada {
		t.Errorf("the inbox is called %q", title)
	}
	person.clickFirst()
	if got := evaluate[string](person, "document.title"); got != script+" – Mailroom" {
		t.Errorf("the page is called %q", got)
	}
	if got := person.heading(); got != script {
		t.Errorf("the subject is shown as %q", got)
	}
}

func TestALinkInAMailOpensATabThatKnowsNothing(t *testing.T) {
	t.Parallel()
	referrers := make(chan string, 8)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/linked" {
			referrers <- r.Referer()
		}
		_, _ = fmt.Fprint(w, "<!doctype html><title>elsewhere</title>")
	}))
	t.Cleanup(elsewhere.Close)
	p := startProgram(t, map[string]string{"link.eml": strings.Replace(hostileMail(""), hostileHTML(""),
		`<p><a href="`+elsewhere.URL+`/linked">Read on</a></p>`, 1)})
	person := p.signedIn()
	person.click("Open the inbox of " + ada)
	person.clickFirst()
	alone := person.another()
	alone.open(evaluate[string](person, `document.querySelector("iframe").src`))
	alone.do(chromedp.Click(control("Read on")))
	select {
	case from := <-referrers:
		if from != "" {
			t.Errorf("the site is told that the reader comes from %s", from)
		}
	case <-time.After(patience):
		t.Error("the link opens nothing")
	}
}
