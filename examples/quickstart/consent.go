package main

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
)

// An outcome is how a consent ended.
type outcome struct {
	creds *authflow.Credentials
	err   error
}

// askConsent prints the consent URL, waits at the redirect URL for whoever consents, and stores the grant.
func askConsent(ctx context.Context, set settings, place *place, google *google, out io.Writer) error {
	cfg := google.config
	ln, redirectURL, err := listen(ctx, cfg.RedirectURL)
	if err != nil {
		return err
	}
	defer ln.Close()
	cfg.RedirectURL = redirectURL
	open, err := place.open(cfg)
	if err != nil {
		return err
	}
	defer open.close()

	state := authflow.NewState()
	done := make(chan outcome, 2) // of the callback, and of a person who does not come that far
	srv := &http.Server{Handler: callback(open.flow, redirectURL, state, done), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(ln) }()
	defer stopGently(srv)

	consentURL := open.flow.GetAuthorizationURL("", state)
	fmt.Fprintf(out, "Consent URL:\n  %s\n\n", consentURL)
	if set.interactive {
		fmt.Fprintln(out, "Open it in a browser on this machine. Waiting for the answer; Ctrl-C gives up.")
	} else {
		fmt.Fprintln(out, "Walking through it as Ada Lindqvist would: choosing the account, ticking every box, pressing Allow.")
		go func() {
			answer, err := google.person.Follow(ctx, consentURL)
			if err != nil {
				done <- outcome{err: err}
				return
			}
			answer.Body.Close()
		}()
	}
	select {
	case o := <-done:
		if o.err != nil {
			return o.err
		}
		fmt.Fprintf(out, "Consent given by %s. The grant is stored, sealed, in %s.\nAll else is forgotten now.\n\n",
			o.creds.Email, place.grants)
		return nil
	case <-ctx.Done():
		return errors.New("given up before a consent came")
	}
}

// callback serves the redirect URL. The first answer that carries our state is the outcome; a page that is
// loaded again shows it again, for a code works once.
func callback(flow *authflow.Flow, redirectURL, ourState string, done chan<- outcome) http.Handler {
	path := "/"
	if u, err := url.Parse(redirectURL); err == nil && u.Path != "" {
		path = u.Path
	}
	var first sync.Once
	var o outcome
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		switch {
		case r.URL.Path != path || r.Method != http.MethodGet:
			http.NotFound(w, r)
			return
		case query.Get("state") != ourState:
			http.Error(w, "This answer belongs to another consent.", http.StatusBadRequest)
			return
		}
		first.Do(func() {
			var code, state string
			if code, state, o.err = flow.ParseCallback(query); o.err == nil {
				o.creds, o.err = flow.GetCredentials(r.Context(), code, state)
			}
			done <- o
		})
		showOutcome(w, o)
	})
}

var page = template.Must(template.New("outcome").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>mailgrant quickstart</title>
<body style="font: 1.1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 15vh auto; padding: 0 1rem">
{{if .Problem}}<h1>No consent</h1><p>{{.Problem}}</p>{{else -}}
<h1>Connected</h1><p>{{.Email}} is connected. You can close this window: the program goes on without you.</p>{{end}}
`))

func showOutcome(w http.ResponseWriter, o outcome) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Referrer-Policy", "no-referrer") // the address holds the code
	var shown struct{ Email, Problem string }
	if o.err != nil {
		w.WriteHeader(http.StatusBadRequest)
		shown.Problem = o.err.Error()
	} else {
		shown.Email = o.creds.Email
	}
	_ = page.Execute(w, shown)
}

// listen listens where redirectURL leads, which must be this machine. A URL without a port gets a free one, as
// the loopback redirect of an installed application may (RFC 8252 §7.3).
func listen(ctx context.Context, redirectURL string) (net.Listener, string, error) {
	u, err := url.Parse(redirectURL)
	if err != nil || !leadsHere(u) {
		return nil, "", fmt.Errorf("the redirect URL %s does not lead to this machine: register http://localhost:8085/callback "+
			"for the client in Google Cloud Console, and download its file again", redirectURL)
	}
	port := u.Port()
	if port == "" {
		port = "0"
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, "", err
	}
	if _, chosen, err := net.SplitHostPort(ln.Addr().String()); err == nil {
		u.Host = net.JoinHostPort(u.Hostname(), chosen)
	}
	return ln, u.String(), nil
}

func leadsHere(u *url.URL) bool {
	host := u.Hostname()
	return u.Scheme == "http" && (host == "localhost" || strings.HasPrefix(host, "127.") || host == "::1")
}

// stopGently lets the person's page arrive before the server ends.
func stopGently(srv *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = srv.Shutdown(ctx)
}
