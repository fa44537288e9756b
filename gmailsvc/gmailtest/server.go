package gmailtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// maxRequestBody bounds what a request may carry; Gmail takes messages of up to 35 MB, in base64.
const maxRequestBody = 64 << 20

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

	// StateFile keeps consents, tokens and the signing key between runs. It holds live test tokens in the clear,
	// readable by its owner alone, and is replaced atomically at each change. Default: memory only.
	StateFile string

	// CharsetReader decodes text in charsets other than UTF-8, ISO-8859-1 and Windows-1252, which Gmail serves in UTF-8 too, as
	// that of mime.WordDecoder does: charset.NewReaderLabel of golang.org/x/net/html/charset is one. Default: such text
	// stays as it is.
	CharsetReader func(charset string, input io.Reader) (io.Reader, error)

	// Now tells the time. Default: time.Now. The delays of a Fault do not follow it.
	Now func() time.Time
}

// A Server is Google's OAuth endpoints and the Gmail API. It is an [http.Handler], and safe for concurrent use.
type Server struct {
	// URL is the base of the server's addresses, without a trailing slash; empty where it doesn't listen.
	URL string

	cfg      Config
	mux      *http.ServeMux
	keys     *signingKeys
	counters counters
	faults   faults
	done     chan struct{} // closed by Close; ends the requests that hang
	close    func() error
	socket   *http.Transport // of Client, where the server listens
	zippers  sync.Pool       // of *gzip.Writer

	mu    sync.RWMutex // guards users and oauth
	users []*Mailbox
	oauth oauthState
}

// New returns a server that listens nowhere: use its Transport or Client, or serve it as a handler.
// It fails where the configuration is unusable or the state file cannot be read.
func New(cfg Config) (*Server, error) {
	return newServer(cfg, "")
}

// Start returns a server that listens on a free port of 127.0.0.1. Close ends it.
func Start(cfg Config) (*Server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("gmailtest: listen on a loopback port: %w", err)
	}
	s, err := newServer(cfg, "http://"+ln.Addr().String())
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	s.socket = http.DefaultTransport.(*http.Transport).Clone()
	s.socket.MaxIdleConnsPerHost = 64
	s.socket.Proxy = nil
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 30 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(ln) // ends with ErrServerClosed
	}()
	s.close = sync.OnceValue(func() error {
		close(s.done)
		s.socket.CloseIdleConnections()
		err := srv.Close()
		<-served
		return errors.Join(err, s.saveError())
	})
	return s, nil
}

func newServer(cfg Config, baseURL string) (*Server, error) {
	cfg = cfg.withDefaults(baseURL)
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Server{URL: baseURL, cfg: cfg, done: make(chan struct{}), keys: &signingKeys{}, oauth: newOAuthState()}
	s.close = sync.OnceValue(func() error {
		close(s.done)
		return s.saveError()
	})
	if err := s.load(); err != nil {
		return nil, err
	}
	s.routes()
	return s, nil
}

func (cfg Config) withDefaults(baseURL string) Config {
	if len(cfg.Clients) == 0 {
		cfg.Clients = []Client{DefaultClient()}
	}
	cfg.Clients = slices.Clone(cfg.Clients)
	cfg.Issuer = cmp.Or(cfg.Issuer, baseURL, "https://accounts.google.com")
	cfg.TokenLifetime = cmp.Or(cfg.TokenLifetime, time.Hour)
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
	return nil
}

// Close stops listening, breaks open connections and ends the requests that a fault holds. It returns the
// first error of writing the state file, if there was one. Closing again changes nothing.
func (s *Server) Close() error { return s.close() }

// ServeHTTP serves the OAuth endpoints and the Gmail API by path, whatever the host.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Bodies are read whole: net/http notices that a client has gone only after that, and both a Fault's Match
	// and the handler may want the form.
	if r.Body != nil && r.Body != http.NoBody {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBody))
		if err != nil {
			http.Error(w, "the request body is broken or larger than 64 MiB", http.StatusRequestEntityTooLarge)
			return
		}
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Server) routes() {
	s.mux = http.NewServeMux()
	for _, path := range []string{"/o/oauth2/v2/auth", "/o/oauth2/auth"} {
		s.mux.HandleFunc("GET "+path, s.operation("auth", s.authorize))
	}
	s.mux.HandleFunc("POST "+consentPath, s.operation("consent", s.consent))
	s.mux.HandleFunc("/token", s.token)
	s.mux.HandleFunc("POST /revoke", s.operation("revoke", s.revoke))
	for _, path := range []string{"/v1/userinfo", "/oauth2/v3/userinfo"} {
		s.mux.HandleFunc(path, s.operation("userinfo", s.userInfo))
	}
	s.mux.HandleFunc("/oauth2/v2/userinfo", s.operation("userinfo", s.userInfoV2))
	s.mux.HandleFunc("GET /oauth2/v3/certs", s.operation("certs", s.certs))
	s.mux.HandleFunc("GET /.well-known/openid-configuration", s.operation("discovery", s.discovery))
	for _, m := range gmailMethods() {
		s.mux.HandleFunc(m.verb+" "+m.path, s.operation(m.id, s.gmail(m)))
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.writeAPIError(w, r, &apiError{code: http.StatusNotFound, reason: "notFound",
			message: "The requested URL " + r.URL.Path + " was not found on this server."})
	})
}

// operation counts the calls of h under a name and lets faults at them.
func (s *Server) operation(name string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { s.operate(name, h, w, r) }
}

func (s *Server) operate(name string, h http.HandlerFunc, w http.ResponseWriter, r *http.Request) {
	s.counters.add(name)
	if f := s.faults.take(name, r); f != nil {
		f.serve(w, r, h, s.done)
		return
	}
	h(w, r)
}

// wait blocks for d, and reports whether it passed before ctx or the server ended.
func wait(ctx context.Context, d time.Duration, done <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-done:
	}
	return false
}
