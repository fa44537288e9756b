package gmailtest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"time"
)

// A Config says how a [Server] behaves. The zero value works: one client, [DefaultClient], and Google's
// lifetimes.
type Config struct {
	// Clients are the OAuth clients of the one Google Cloud project that the server knows.
	// Default: DefaultClient alone.
	Clients []Client

	// Issuer is the iss of ID tokens. Default: the server's URL where it listens on a socket, else
	// "https://accounts.google.com".
	Issuer string

	// TokenLifetime is how long an access token lives. Default: 1 hour. At least 1 second.
	TokenLifetime time.Duration

	// RefreshTokenLifetime is how long a refresh token lives from when it is issued, as in Google's time-limited
	// grants: the token responses then carry refresh_token_expires_in. 0: without limit.
	RefreshTokenLifetime time.Duration

	// RotateRefreshTokens makes every refresh return a new refresh token, which Google does not do but other
	// providers do. The use of an old one ends the grant of its user and client (RFC 9700, section 4.14.2).
	RotateRefreshTokens bool

	// SendIss adds the iss parameter of RFC 9207 to every redirect back to the application.
	SendIss bool

	// ProjectID is the Google Cloud project of all Clients, which the topics of users.watch must belong to.
	// Default: "gmailtest".
	ProjectID string

	// StateFile keeps consents, tokens and the signing key between runs. It holds live test tokens in the clear,
	// readable by its owner alone, and is replaced atomically at each change. Default: memory only.
	StateFile string

	// InlineBodyLimit is the size in bytes up to which the text of a message comes with it. A larger one comes
	// by its attachmentId, as every file does: Gmail's limit is not documented, so expect this of any text.
	// Default: 1 MiB.
	InlineBodyLimit int

	// EmptyPages puts an empty page with a nextPageToken before every page of a listing, the history's too, as Gmail's
	// own are now and then where its filters leave nothing of one. Only a page without that token is the last.
	EmptyPages bool

	// TLS has Start listen with TLS, on a certificate of its own that Client trusts, for HTTP/2 and HTTP/1.1. Over
	// HTTP/2 a connection bears 100 requests at once, as Google's do.
	TLS bool

	// NoHTTP2 leaves HTTP/1.1 alone.
	NoHTTP2 bool

	// NoBatch leaves out the batch endpoint: it answers 404.
	NoBatch bool

	// ReverseBatches answers the calls of a batch last to first: only their Content-IDs say which is which.
	ReverseBatches bool

	// CharsetReader decodes text in charsets other than UTF-8, ISO-8859-1 and Windows-1252, which Gmail serves
	// in UTF-8 too, as that of mime.WordDecoder does: charset.NewReaderLabel of golang.org/x/net/html/charset is
	// one. Default: such text stays as it is.
	CharsetReader func(charset string, input io.Reader) (io.Reader, error)

	// Quota is what users may ask of the Gmail API. Default: everything; what it costs is counted.
	Quota Quota

	// Now tells the time. Default: time.Now. The delays of a Fault do not follow it.
	Now func() time.Time
}

func (cfg Config) withDefaults(baseURL string) Config {
	if len(cfg.Clients) == 0 {
		cfg.Clients = []Client{DefaultClient()}
	}
	cfg.Clients = slices.Clone(cfg.Clients)
	cfg.ProjectID = cmp.Or(cfg.ProjectID, "gmailtest")
	cfg.Issuer = cmp.Or(cfg.Issuer, baseURL, "https://accounts.google.com")
	cfg.TokenLifetime = cmp.Or(cfg.TokenLifetime, time.Hour)
	cfg.InlineBodyLimit = cmp.Or(cfg.InlineBodyLimit, 1<<20)
	if cfg.Quota.Prices == nil {
		cfg.Quota.Prices = PricesSince2026()
	}
	cfg.Quota.Prices = maps.Clone(cfg.Quota.Prices)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

func (cfg Config) validate() error {
	seen := make(map[string]bool)
	for i, c := range cfg.Clients {
		if c.ID == "" {
			return fmt.Errorf("gmailtest: Config.Clients[%d] has no ID; give it one, or leave Clients empty", i)
		}
		if seen[c.ID] {
			return fmt.Errorf("gmailtest: Config.Clients[%d] repeats the client ID %q; IDs must differ", i, c.ID)
		}
		seen[c.ID] = true
		for _, u := range c.RedirectURIs {
			if parsed, err := url.Parse(u); err != nil || parsed.Scheme == "" || parsed.Fragment != "" {
				return fmt.Errorf("gmailtest: Config.Clients[%d] has the redirect URI %q; "+
					"it must be absolute and without a fragment", i, u)
			}
		}
	}
	if cfg.TokenLifetime < time.Second {
		return fmt.Errorf("gmailtest: Config.TokenLifetime is %v; it must be at least 1s", cfg.TokenLifetime)
	}
	if cfg.RefreshTokenLifetime != 0 && cfg.RefreshTokenLifetime < time.Second {
		return fmt.Errorf("gmailtest: Config.RefreshTokenLifetime is %v; it must be at least 1s, or 0 for no limit",
			cfg.RefreshTokenLifetime)
	}
	if cfg.InlineBodyLimit < 0 {
		return fmt.Errorf("gmailtest: Config.InlineBodyLimit is %d; it must be positive, or 0 for 1 MiB", cfg.InlineBodyLimit)
	}
	if cfg.NoHTTP2 && !cfg.TLS {
		return errors.New("gmailtest: Config.NoHTTP2 without TLS; HTTP/2 comes with TLS alone, leave it out")
	}
	return cfg.Quota.validate()
}
