package authflow

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// A Provider names the endpoints of an OpenID provider.
type Provider struct {
	Issuer      string // "iss" of its ID tokens, and of its callbacks (RFC 9207)
	AuthURL     string
	TokenURL    string
	RevokeURL   string // RFC 7009; empty: it has none
	UserInfoURL string // empty: it has none
	JWKSURL     string // empty: its ID tokens can't be verified, and the userinfo endpoint is asked instead

	// IssuerInCallback says that the provider always sends "iss" to the redirect URL (authorization_response_iss_parameter_supported
	// of RFC 9207 §3): a callback without it is then refused. One with a wrong issuer is refused in any case.
	IssuerInCallback bool

	// AuthStyle is how the client authenticates. The zero value stands for
	// oauth2.AuthStyleInParams: nothing is auto-detected, since that sends a code or refresh token twice.
	AuthStyle oauth2.AuthStyle
}

// Google returns Google's endpoints, as https://accounts.google.com/.well-known/openid-configuration lists them.
func Google() Provider {
	return Provider{
		Issuer:      "https://accounts.google.com",
		AuthURL:     "https://accounts.google.com/o/oauth2/v2/auth",
		TokenURL:    "https://oauth2.googleapis.com/token",
		RevokeURL:   "https://oauth2.googleapis.com/revoke",
		UserInfoURL: "https://openidconnect.googleapis.com/v1/userinfo",
		JWKSURL:     "https://www.googleapis.com/oauth2/v3/certs",
		AuthStyle:   oauth2.AuthStyleInParams,
	}
}

// Discover asks issuer for its endpoints (OpenID Connect Discovery 1.0). It uses client with the limits of
// Config.HTTPClient, or a client of its own if that is nil.
func Discover(ctx context.Context, client *http.Client, issuer string) (Provider, error) {
	if client == nil {
		client = new(http.Client)
	}
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, limited(client, true)), issuer)
	if err != nil {
		return Provider{}, fmt.Errorf("authflow: discover the endpoints of %s: %w", issuer, scrubError(err, nil))
	}
	var more struct {
		JWKSURL   string `json:"jwks_uri"`
		RevokeURL string `json:"revocation_endpoint"`
		SendsIss  bool   `json:"authorization_response_iss_parameter_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return Provider{}, fmt.Errorf("authflow: discover the endpoints of %s: %w", issuer, err)
	}
	return Provider{
		Issuer:      issuer,
		AuthURL:     found.Endpoint().AuthURL,
		TokenURL:    found.Endpoint().TokenURL,
		RevokeURL:   more.RevokeURL,
		UserInfoURL: found.UserInfoEndpoint(),
		JWKSURL:     more.JWKSURL,
		AuthStyle:   oauth2.AuthStyleInParams,

		IssuerInCallback: more.SendsIss,
	}, nil
}

func (p Provider) validate(allowPrivate bool) error {
	if p.JWKSURL != "" && p.Issuer == "" {
		return &ConfigError{Field: "Provider.Issuer", Problem: "is empty; without it no ID token verifies"}
	}
	if p.JWKSURL == "" && p.UserInfoURL == "" {
		return &ConfigError{Field: "Provider", Problem: "has neither a JWKSURL nor a UserInfoURL; one of them must tell whose grant it is"}
	}
	for _, e := range []struct {
		field, url string
		optional   bool
	}{
		{"Provider.AuthURL", p.AuthURL, false},
		{"Provider.TokenURL", p.TokenURL, false},
		{"Provider.RevokeURL", p.RevokeURL, true},
		{"Provider.UserInfoURL", p.UserInfoURL, true},
		{"Provider.JWKSURL", p.JWKSURL, true},
	} {
		if e.optional && e.url == "" {
			continue
		}
		if err := checkEndpoint(e.field, e.url, allowPrivate); err != nil {
			return err
		}
	}
	return nil
}

// checkEndpoint refuses URLs that would send secrets in the clear or into the caller's own network: they may
// come from a client_secret.json that somebody else supplied. Names that resolve to such
// addresses are refused when they are dialed, if the transport is the Flow's own.
func checkEndpoint(field, endpoint string, allowPrivate bool) error {
	if endpoint == "" {
		return &ConfigError{Field: field, Problem: "is empty"}
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" || u.Opaque != "" || u.User != nil || u.Fragment != "" {
		return &ConfigError{Field: field, Problem: "is not an absolute URL of an endpoint"}
	}
	if allowPrivate && u.Scheme == "http" {
		return nil
	}
	if u.Scheme != "https" {
		return &ConfigError{Field: field, Problem: "is not https"}
	}
	if !allowPrivate && isPrivateHost(u.Hostname()) {
		return &ConfigError{Field: field, Problem: "is on a loopback, link-local or private address; AllowPrivateEndpoints permits that in tests"}
	}
	return nil
}

func isPrivateHost(host string) bool {
	if isLocalhost(host) {
		return true
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		// Resolvers may take 2130706433, 0x7f.1 and 127.0.0.1. for addresses, as browsers do.
		last := strings.TrimSuffix(host, ".")
		last = strings.ToLower(last[strings.LastIndexByte(last, '.')+1:])
		_, err := strconv.ParseUint(last, 0, 64)
		return err == nil || strings.Trim(last, "0123456789") == ""
	}
	return isPrivateAddr(addr)
}

// isLocalhost reports whether host is a name for the loopback interface (RFC 6761 §6.3).
func isLocalhost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// innerRanges lead, or may lead, into the caller's own network, though netip takes them for global.
var innerRanges = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),     // this network (RFC 791)
	netip.MustParsePrefix("100.64.0.0/10"), // carrier-grade NAT (RFC 6598)
	netip.MustParsePrefix("::/96"),         // IPv6 that embeds an IPv4 address, which may be any: RFC 4291,
	netip.MustParsePrefix("64:ff9b::/96"),  // RFC 6052,
	netip.MustParsePrefix("2002::/16"),     // RFC 3056
}

func isPrivateAddr(addr netip.Addr) bool {
	addr = addr.Unmap()
	inner := slices.ContainsFunc(innerRanges, func(p netip.Prefix) bool { return p.Contains(addr) })
	return inner || !addr.IsGlobalUnicast() || addr.IsPrivate()
}

// checkRedirectURL follows Google's rules for redirect URIs: https, but for the developer's own machine.
// See https://developers.google.com/identity/protocols/oauth2/web-server#uri-validation.
func checkRedirectURL(redirect string) error {
	if redirect == "" {
		return &ConfigError{Field: "RedirectURL", Problem: "is empty; it is one of the redirect URIs registered for the client"}
	}
	u, err := url.Parse(redirect)
	if err != nil || u.Hostname() == "" || u.Opaque != "" || u.Fragment != "" || u.User != nil {
		return &ConfigError{Field: "RedirectURL", Problem: "is not an absolute URL without fragment and user"}
	}
	ip := net.ParseIP(u.Hostname())
	local := isLocalhost(u.Hostname()) || ip != nil && ip.IsLoopback()
	if u.Scheme == "https" || u.Scheme == "http" && local {
		return nil
	}
	return &ConfigError{Field: "RedirectURL", Problem: "is not https; plain http is for localhost alone"}
}
