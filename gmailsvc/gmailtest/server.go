package gmailtest

import (
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// maxRequestBody bounds what a request may carry; Gmail takes messages of up to 35 MB, in base64.
const maxRequestBody = 64 << 20

// A Server is Google's OAuth endpoints and the Gmail API. It is an [http.Handler], and safe for concurrent use.
type Server struct {
	// URL is the base of the server's addresses, without a trailing slash; empty where it doesn't listen.
	URL string

	cfg         Config
	mux         *http.ServeMux
	keys        *signingKeys
	counters    counters
	meter       *meter
	resumables  resumables
	pubsub      *pubsub
	faults      faults
	done        chan struct{} // closed by Close; ends the requests that hang
	close       func() error
	socket      *http.Transport // of Client, where the server listens
	certificate *x509.Certificate
	connections atomic.Int64
	zippers     sync.Pool // of *gzip.Writer

	mu       sync.RWMutex // guards all below
	users    []*Mailbox
	accounts map[string]*Mailbox // users by sub and by e-mail address in lower case
	oauth    oauthState
}

// New returns a server that listens nowhere: use its Transport or Client, or serve it as a handler.
// It fails where the configuration is unusable or the state file cannot be read.
func New(cfg Config) (*Server, error) {
	return newServer(cfg, "")
}

func newServer(cfg Config, baseURL string) (*Server, error) {
	cfg = cfg.withDefaults(baseURL)
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Server{
		URL: baseURL, cfg: cfg, done: make(chan struct{}), keys: &signingKeys{}, oauth: newOAuthState(),
		meter: newMeter(cfg.Quota, cfg.Now), pubsub: newPubsub(cfg.Now), accounts: make(map[string]*Mailbox),
	}
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
	s.mux.HandleFunc("GET /.well-known/risc-configuration", s.operation("risc", s.riscConfiguration))
	for _, m := range gmailMethods() {
		s.mux.HandleFunc(m.verb+" "+m.path, s.gmail(m))
		if m.upload > 0 { // the first request has the method's own verb, the others POST or PUT
			s.mux.HandleFunc("POST /upload"+m.path, s.gmail(m))
			s.mux.HandleFunc("PUT /upload"+m.path, s.gmail(m))
		}
	}
	s.mux.HandleFunc("POST /v1/projects/{project}/subscriptions/{call}", s.subscriptionCall)
	for _, path := range []string{"/batch/gmail/v1", "/batch"} {
		s.mux.HandleFunc("POST "+path, s.operation("batch", s.batch))
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.writeAPIError(w, r, notServed(r))
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
