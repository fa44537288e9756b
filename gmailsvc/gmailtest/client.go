package gmailtest

import (
	"crypto/subtle"
	"net"
	"net/url"
	"slices"
)

// A Client is an application as registered with Google Cloud Console. All clients of a Server belong to
// one project: revoking a user's grant ends it for all of them.
type Client struct {
	ID string

	// Secret authenticates the client. Empty: a public client, which is asked for none.
	Secret string

	// RedirectURIs are compared exactly (RFC 9700, section 2.1), except that a loopback one without a port
	// allows every port and, where it has no path either, every path, as desktop applications need it (RFC
	// 8252, section 7.3). Empty: every https URI and every http URI of a loopback host.
	RedirectURIs []string
}

// DefaultClient returns the client of a Server that was configured with none.
func DefaultClient() Client {
	return Client{
		ID:     "407408718192-gmailtest.apps.googleusercontent.com",
		Secret: "GOCSPX-a-secret-for-tests-only",
	}
}

func (s *Server) client(id string) *Client {
	i := slices.IndexFunc(s.cfg.Clients, func(c Client) bool { return c.ID == id })
	if i < 0 {
		return nil
	}
	return &s.cfg.Clients[i]
}

func (c *Client) authenticates(secret string) bool {
	return c.Secret == "" || subtle.ConstantTimeCompare([]byte(c.Secret), []byte(secret)) == 1
}

// allowsRedirect reports whether the application may be answered at uri.
func (c *Client) allowsRedirect(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.Fragment != "" {
		return false
	}
	loopback := u.Scheme == "http" && isLoopback(u.Hostname())
	if len(c.RedirectURIs) == 0 {
		return u.Scheme == "https" || loopback
	}
	return slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		if registered == uri {
			return true
		}
		reg, err := url.Parse(registered)
		return err == nil && loopback && reg.Scheme == "http" && reg.Port() == "" && reg.Hostname() == u.Hostname() &&
			(reg.Path == "" || reg.Path == u.Path && reg.RawQuery == u.RawQuery)
	})
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
