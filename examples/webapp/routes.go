package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
)

const (
	gmailTimeout    = 20 * time.Second // of a page: Gmail is asked again as long as that allows
	downloadTimeout = 10 * time.Minute
)

// handler serves the whole application.
func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", a.page(func(http.ResponseWriter, *http.Request) error { return errNoPage }))
	mux.Handle("GET /{$}", a.page(a.home))

	mux.Handle("GET /login", a.flow.LoginHandler(authflow.LoginOptions{Begin: a.beginLogin, Failure: a.fail}))
	mux.Handle("GET "+a.callback, a.flow.CallbackHandler(authflow.CallbackOptions{Success: a.connected, Failure: a.fail}))
	mux.Handle("POST /signout", a.page(a.signOut))

	mux.Handle("GET /accounts/{account}", a.own(gmailTimeout, a.inbox))
	mux.Handle("GET /accounts/{account}/messages/{message}", a.own(gmailTimeout, a.message))
	mux.Handle("GET /accounts/{account}/messages/{message}/frame", a.own(gmailTimeout, a.frame))
	mux.Handle("GET /accounts/{account}/messages/{message}/attachments/{number}", a.own(downloadTimeout, a.attachment))
	mux.Handle("POST /accounts/{account}/disconnect", a.flow.DisconnectHandler(authflow.DisconnectOptions{
		User: a.toDisconnect, Failure: a.fail,
	}))
	mux.Handle("POST /accounts/{account}/remove", a.own(gmailTimeout, a.remove))
	if a.madeUp != nil {
		mux.Handle("POST /accounts/{account}/take-back", a.own(gmailTimeout, a.takeBack))
	}

	sameSite := http.NewCrossOriginProtection()
	sameSite.SetDenyHandler(a.page(func(http.ResponseWriter, *http.Request) error { return errCrossSite }))
	outer := http.NewServeMux()
	outer.Handle("GET /static/{file}", http.HandlerFunc(static))
	outer.Handle("/", a.sessions.LoadAndSave(sameSite.Handler(mux)))
	return a.oneHost(headers(http.MaxBytesHandler(outer, 64<<10)))
}

// A pageFunc answers, or returns why it can't and has written nothing.
type pageFunc func(w http.ResponseWriter, r *http.Request) error

// page answers with f, or with a page that tells the person what to do.
func (a *app) page(f pageFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			a.fail(w, r, err)
		}
	})
}

// own is page for one of the person's own accounts, within a time. Whoever is not signed in is asked to, and comes back.
func (a *app) own(within time.Duration, f func(w http.ResponseWriter, r *http.Request, acct account) error) http.Handler {
	return a.page(func(w http.ResponseWriter, r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), within)
		defer cancel()
		r = r.WithContext(ctx)
		person := a.person(r)
		if person == "" {
			to := "/"
			if r.Method == http.MethodGet {
				to += "?return_to=" + url.QueryEscape(r.URL.RequestURI())
			}
			http.Redirect(w, r, to, http.StatusSeeOther)
			return nil
		}
		acct, err := a.accounts.get(ctx, person, r.PathValue("account"))
		if err != nil {
			return err
		}
		return f(w, r, acct)
	})
}

// headers sets what every answer has; a handler can say otherwise.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; "+
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		// Not no-referrer: with that, browsers hide the Origin of our own forms from http.CrossOriginProtection.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store") // it is somebody's mail
		next.ServeHTTP(w, r)
	})
}

// oneHost keeps people on a developer's machine to one of its names: the cookies of 127.0.0.1 are not those of localhost, where
// Google may send them back to.
func (a *app) oneHost(next http.Handler) http.Handler {
	host, local := strings.CutPrefix(a.origin, "http://")
	if !local {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == host {
			next.ServeHTTP(w, r)
			return
		}
		http.Redirect(w, r, a.origin+r.URL.RequestURI(), http.StatusTemporaryRedirect) //nolint:gosec // our own origin
	})
}
