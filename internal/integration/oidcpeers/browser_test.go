package oidcpeers_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// A person is how somebody answers the pages of a provider.
type person struct {
	types   map[string]string // into the fields of that name; what a page has filled in stays otherwise
	unticks []string          // boxes, by their value
	denies  bool              // by the button "deny", where a page has one
}

// A browser follows redirects, keeps cookies, and has a person fill in the forms that it comes to.
type browser struct {
	person  person
	client  *http.Client
	history []*url.URL
}

func newBrowser(tb testing.TB, who person) *browser {
	tb.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return &browser{person: who, client: &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// A landing is where a walk ended.
type landing struct {
	url    *url.URL
	status int // zero: nobody was asked
	body   string
}

// walk goes to an address and on from there, until a page has no form or an address begins with until.
func (b *browser) walk(ctx context.Context, address, until string) (landing, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	for range 20 {
		if err != nil {
			return landing{}, err
		}
		b.history = append(b.history, req.URL)
		if until != "" && strings.HasPrefix(req.URL.String(), until) {
			return landing{url: req.URL}, nil
		}
		resp, err2 := b.client.Do(req)
		if err2 != nil {
			return landing{}, err2
		}
		body, err2 := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err2 != nil {
			return landing{}, err2
		}
		if to, noRedirect := resp.Location(); noRedirect == nil {
			req, err = http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
			continue
		}
		f, err2 := formIn(string(body))
		if f == nil || err2 != nil || resp.StatusCode != http.StatusOK {
			return landing{req.URL, resp.StatusCode, string(body)}, err2
		}
		req, err = b.person.answer(ctx, req.URL, f)
	}
	return landing{}, fmt.Errorf("gave up at %s", req.URL)
}

// visit has the person answer a consent page, and returns the address that they are sent back to.
func (b *browser) visit(tb testing.TB, consentPage string) *url.URL {
	tb.Helper()
	end, err := b.walk(tb.Context(), consentPage, redirectURL)
	if err != nil {
		tb.Fatal(err)
	}
	if end.status != 0 {
		tb.Fatalf("the browser has stopped at %s: %d %s", end.url, end.status, end.body)
	}
	return end.url
}

// A form is what a page asks.
type form struct {
	action, method string
	inputs         []input
}

type input struct {
	kind, name, value string
	checked           bool
}

// formIn returns the first form of a page, or nil.
func formIn(page string) (*form, error) {
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return nil, err
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || n.Data != "form" {
			continue
		}
		f := &form{action: attribute(n, "action"), method: attribute(n, "method")}
		for field := range n.Descendants() {
			if field.Type == html.ElementNode && (field.Data == "input" || field.Data == "button") {
				kind := attribute(field, "type")
				if field.Data == "button" {
					kind = "submit"
				}
				f.inputs = append(f.inputs, input{
					kind: kind, name: attribute(field, "name"), value: attribute(field, "value"),
					checked: slices.ContainsFunc(field.Attr, func(a html.Attribute) bool { return a.Key == "checked" }),
				})
			}
		}
		return f, nil
	}
	return nil, nil
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// answer fills a form in and sends it.
func (p person) answer(ctx context.Context, page *url.URL, f *form) (*http.Request, error) {
	values := make(url.Values)
	pressed := ""
	for _, in := range f.inputs {
		typed, types := p.types[in.name]
		switch {
		case in.kind == "submit":
			if pressed == "" || p.denies && in.value == "deny" {
				pressed = in.value
				values.Set(in.name, in.value)
			}
		case in.kind == "checkbox":
			if in.checked && !slices.Contains(p.unticks, in.value) {
				values.Add(in.name, in.value)
			}
		case types:
			values.Add(in.name, typed)
		default:
			values.Add(in.name, in.value)
		}
	}
	to, err := page.Parse(f.action)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(f.method, http.MethodPost) {
		return nil, fmt.Errorf("the form on %s is not sent by POST", page)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(values.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req, nil
}
