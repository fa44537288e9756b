package gmailtest

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// maxSteps bounds a Browser's walk, as browsers bound redirects.
const maxSteps = 20

// A Browser is the person in front of the consent page: it follows redirects, keeps cookies, fills in the
// page's form and sends it. Use one for each person; it must not be copied. Its methods may be called from
// several goroutines.
type Browser struct {
	// Server is the one whose consent pages it answers. Required.
	Server *Server

	// User is the e-mail address of the account that the person chooses. Empty: the one that the page
	// presents as chosen.
	User string

	// Deny makes the person press Deny.
	Deny bool

	// Untick lists scopes whose boxes the person clears.
	Untick []string

	// Client requests what is not the Server's, which is to say the application's pages; its CheckRedirect
	// and Jar are not used. Default: a client with http.DefaultTransport.
	Client *http.Client

	once sync.Once
	jar  *cookiejar.Jar
}

// Visit goes to a consent URL, or to a page of the application that redirects there, answers the consent
// page, and returns where the person is sent back to: the application's redirect URI with code and state, or
// with error. It does not request that address. An error page of the server is an error.
func (b *Browser) Visit(ctx context.Context, authURL string) (*url.URL, error) {
	res, callback, err := b.walk(ctx, authURL, true)
	if err != nil {
		return nil, err
	}
	if callback == nil {
		_ = res.Body.Close()
		return nil, fmt.Errorf("gmailtest: browser: %s ended with %s and sent nobody back to the application",
			withoutQuery(res.Request.URL), res.Status)
	}
	return callback, nil
}

// Follow does as Visit does and then requests the redirect URI and follows where the application leads,
// through further consent pages too. It returns the first answer that is no redirect; the caller closes
// its body.
func (b *Browser) Follow(ctx context.Context, authURL string) (*http.Response, error) {
	res, _, err := b.walk(ctx, authURL, false)
	return res, err
}

// walk requests start and goes on until an answer is neither a redirect nor a consent page, or, where stop
// is set, until the server redirects to elsewhere.
func (b *Browser) walk(ctx context.Context, start string, stop bool) (*http.Response, *url.URL, error) {
	if b.Server == nil {
		return nil, nil, errors.New("gmailtest: browser: Browser.Server is nil; set it to the server to be visited")
	}
	b.once.Do(func() { b.jar, _ = cookiejar.New(nil) }) // fails for no options
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, start, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("gmailtest: browser: %w", err)
	}
	for range maxSteps {
		atServer := b.Server.serves(req.URL)
		res, err := b.client(atServer).Do(req)
		if err != nil {
			return nil, nil, fmt.Errorf("gmailtest: browser: %w", err)
		}
		if to, err := res.Location(); err == nil && res.StatusCode >= 300 && res.StatusCode < 400 {
			_ = res.Body.Close()
			if stop && atServer && !b.Server.serves(to) {
				return nil, to, nil
			}
			if req, err = http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil); err != nil {
				return nil, nil, fmt.Errorf("gmailtest: browser: follow a redirect: %w", err)
			}
			continue
		}
		if !atServer {
			return res, nil, nil
		}
		if req, err = b.answer(ctx, res); err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, fmt.Errorf("gmailtest: browser: gave up after %d redirects and pages", maxSteps)
}

func (b *Browser) client(server bool) *http.Client {
	c := &http.Client{}
	if server {
		c = b.Server.Client()
	} else if b.Client != nil {
		c.Transport, c.Timeout = b.Client.Transport, b.Client.Timeout
	}
	c.Jar = b.jar
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// serves reports whether u is an address of the server.
func (s *Server) serves(u *url.URL) bool {
	if s.URL != "" {
		return u.Scheme+"://"+u.Host == s.URL
	}
	return u.Scheme == "https" && u.Host == "accounts.google.com"
}

// The elements of page.html, which is all the HTML that a Browser reads.
var (
	formTag   = regexp.MustCompile(`<form method="post" action="([^"]*)">`)
	inputTag  = regexp.MustCompile(`<input type="(\w+)" name="(\w+)" value="([^"]*)"([^>]*)>`)
	userLabel = regexp.MustCompile(`<input type="radio" name="user" value="([^"]*)"[^>]*><span>[^<]*<small>([^<]*)</small>`)
	errorText = regexp.MustCompile(`(?s)<p>(.*?)</p>\s*<p class="soft">(.*?)</p>`)
)

// answer reads the consent page and makes the request that sends its form.
func (b *Browser) answer(ctx context.Context, res *http.Response) (*http.Request, error) {
	page, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("gmailtest: browser: read the consent page: %w", err)
	}
	action := formTag.FindSubmatch(page)
	if res.StatusCode != http.StatusOK || action == nil {
		said := "no consent page"
		if m := errorText.FindSubmatch(page); m != nil {
			said = html.UnescapeString(string(m[2]) + ": " + string(m[1]))
		}
		return nil, fmt.Errorf("gmailtest: browser: %s answered %s: %s", withoutQuery(res.Request.URL), res.Status, said)
	}
	to, err := res.Request.URL.Parse(html.UnescapeString(string(action[1])))
	if err != nil {
		return nil, fmt.Errorf("gmailtest: browser: the form's action: %w", err)
	}
	form := url.Values{"decision": {"allow"}}
	if b.Deny {
		form.Set("decision", "deny")
	}
	unticked := parseScopes(strings.Join(b.Untick, " "))
	for _, m := range inputTag.FindAllSubmatch(page, -1) {
		kind, name, value := string(m[1]), string(m[2]), html.UnescapeString(string(m[3]))
		checked := strings.HasSuffix(string(m[4]), " checked")
		if kind == "hidden" || checked && (kind != "checkbox" || !slices.Contains(unticked, value)) {
			form.Add(name, value)
		}
	}
	if err := b.choose(form, page); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("gmailtest: browser: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req, nil
}

// choose sets the user that the form sends.
func (b *Browser) choose(form url.Values, page []byte) error {
	if b.Deny {
		return nil
	}
	if b.User != "" {
		for _, m := range userLabel.FindAllSubmatch(page, -1) {
			if strings.EqualFold(html.UnescapeString(string(m[2])), b.User) {
				form.Set("user", html.UnescapeString(string(m[1])))
				return nil
			}
		}
		if m := b.Server.Mailbox(b.User); m == nil || m.user.Sub != form.Get("user") {
			return fmt.Errorf("gmailtest: browser: the consent page offers no account %s; add it with AddUser", b.User)
		}
	}
	if form.Get("user") == "" {
		return errors.New("gmailtest: browser: the consent page lets the person choose an account; set Browser.User")
	}
	return nil
}

// withoutQuery leaves out what must not be in an error: codes and states.
func withoutQuery(u *url.URL) string { return u.Scheme + "://" + u.Host + u.Path }
