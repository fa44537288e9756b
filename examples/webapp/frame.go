package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"

	"github.com/microcosm-cc/bluemonday"

	"github.com/mailgrant/mailgrant/gmailsvc"
)

//go:embed frame.css
var frameCSS string

// frame is the HTML of a message, as the document of a frame. It is a stranger's, so three walls are around it: what is not
// plainly harmless is taken out; no script runs and nothing is loaded from anywhere, so that opening a message tells nobody;
// and the document has an origin of its own, so that it reaches neither our pages nor our cookies.
func (a *app) frame(w http.ResponseWriter, r *http.Request, acct account) error {
	ctx := r.Context()
	svc, err := a.mailOf(ctx, acct)
	if err != nil {
		return err
	}
	m, err := fetch(ctx, svc, r.PathValue("message"))
	if err != nil {
		return err
	}
	var page bytes.Buffer
	page.WriteString("<!doctype html><html><head><meta charset=\"utf-8\"><title>Message</title>" +
		"<meta name=\"viewport\" content=\"width=device-width\"><style>" + frameCSS + "</style></head><body>")
	for _, p := range bodies(m, false) {
		if p.Type == plainText {
			page.WriteString("<pre>" + html.EscapeString(p.Text) + "</pre>")
			continue
		}
		text, err := withImages(ctx, svc, m, harmless.Sanitize(p.Text))
		if err != nil {
			return err
		}
		page.WriteString(text)
	}
	page.WriteString("</body></html>")
	h := w.Header()
	h.Set("Content-Security-Policy", framePolicy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	_, _ = page.WriteTo(w)
	return nil
}

// framePolicy lets a message style its elements, by attributes that harmless has let through, and lets its links open tabs.
var framePolicy = func() string {
	sum := sha256.Sum256([]byte(frameCSS))
	return "default-src 'none'; img-src data:; style-src-attr 'unsafe-inline'; style-src-elem 'sha256-" +
		base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; " +
		"sandbox allow-popups allow-popups-to-escape-sandbox"
}()

// harmless is what is left of a message's HTML: text, tables, links that open a tab, and images that came with the message.
var harmless = func() *bluemonday.Policy {
	p := bluemonday.UGCPolicy()
	p.AllowURLSchemes("http", "https", "mailto", "cid")
	p.AllowRelativeURLs(false)
	p.AddTargetBlankToFullyQualifiedLinks(true)
	p.RequireNoReferrerOnLinks(true)
	p.RewriteSrc(func(u *url.URL) {
		if u.Scheme != "cid" {
			*u = url.URL{} // an image elsewhere: whoever has it would learn that the message was opened, and where
		}
	})
	p.AllowElements("center", "font")
	p.AllowAttrs("color", "face", "size").OnElements("font")
	p.AllowAttrs("bgcolor", "border", "cellpadding", "cellspacing", "width").OnElements("table", "tr", "td", "th")
	p.AllowStyles("background-color", "border", "border-bottom", "border-collapse", "border-left", "border-radius", "border-right",
		"border-top", "color", "font-family", "font-size", "font-style", "font-weight", "height", "letter-spacing", "line-height",
		"margin", "margin-bottom", "margin-left", "margin-right", "margin-top", "max-width", "padding", "padding-bottom",
		"padding-left", "padding-right", "padding-top", "text-align", "text-decoration", "text-transform", "vertical-align",
		"white-space", "width").Globally()
	return p
}()

// Images, as the policy writes them: in what it lets through, nothing else has these signs.
var (
	image     = regexp.MustCompile(`<img [^>]*>`)
	embedded  = regexp.MustCompile(` src="cid:([^"]*)"`)
	described = regexp.MustCompile(` alt="([^"]*)"`)
)

// maxImages bounds what the images of a message take in its document, in bytes: HTML can show the same one a thousand times.
const maxImages = 20 << 20

// withImages puts the images that came with a message where its HTML shows them, and descriptions in the place of others. A
// frame without an origin has no session to fetch them with.
func withImages(ctx context.Context, svc *gmailsvc.Service, m *gmailsvc.Message, text string) (string, error) {
	var failed error
	left := maxImages
	all, urls := m.Attachments(), map[int]string{}
	text = image.ReplaceAllStringFunc(text, func(tag string) string {
		i := imagePart(all, tag)
		if i >= 0 && urls[i] == "" && failed == nil && all[i].Size < int64(left) {
			var data []byte
			data, failed = readImage(ctx, svc, m.ID, all[i])
			urls[i] = ` src="data:` + all[i].Type + ";base64," + base64.StdEncoding.EncodeToString(data) + `"`
		}
		if left -= len(urls[i]); i >= 0 && urls[i] != "" && left >= 0 {
			return embedded.ReplaceAllLiteralString(tag, urls[i])
		}
		if alt := described.FindStringSubmatch(tag); alt != nil && alt[1] != "" {
			return `<span class="out">` + alt[1] + `</span>`
		}
		return ""
	})
	return text, failed
}

// imagePart returns which of parts an image shows, or -1.
func imagePart(parts []*gmailsvc.Part, tag string) int {
	src := embedded.FindStringSubmatch(tag)
	if src == nil {
		return -1
	}
	name := html.UnescapeString(src[1])
	if decoded, err := url.PathUnescape(name); err == nil {
		name = decoded
	}
	return slices.IndexFunc(parts, func(p *gmailsvc.Part) bool { return p.ContentID() == name && isImage(p) })
}

func readImage(ctx context.Context, svc *gmailsvc.Service, messageID string, p *gmailsvc.Part) ([]byte, error) {
	content, err := open(ctx, svc, messageID, p)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	return io.ReadAll(io.LimitReader(content, maxImages))
}

// isImage reports whether a part is an image of a kind that browsers show and that holds nothing but an image.
func isImage(p *gmailsvc.Part) bool {
	return slices.Contains([]string{"image/gif", "image/jpeg", "image/png", "image/webp"}, p.Type)
}
