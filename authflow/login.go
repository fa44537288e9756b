package authflow

import (
	"cmp"
	"fmt"
	"net/http"
	"time"
)

// LoginOptions say how a LoginHandler begins a sign-in. The zero value asks for Config.Scopes, of any account.
type LoginOptions struct {
	// Begin says what the person who sent r is asked for. Nil: the zero Login. An error of it goes to Failure.
	Begin func(r *http.Request) (Login, error)

	// Failure answers where no sign-in can begin. Nil: a page that says so.
	Failure FailureFunc
}

// A Login is what one sign-in asks for.
type Login struct {
	// EmailAddress, if it is not empty, preselects an account.
	EmailAddress string

	// UserID is who must consent: for reconnecting a known user. Empty: anybody. If another account is
	// chosen, the callback fails with *AccountMismatchError.
	UserID string

	// ReturnTo is where the person goes afterwards: a path of this origin. Empty: the query parameter return_to of the
	// request if it is such a path, else "/".
	ReturnTo string

	// AcceptFewerScopes stores the grant even if the person unticked some scopes; Credentials.Scopes has those that are left.
	// Otherwise the callback fails with *MissingScopesError.
	AcceptFewerScopes bool

	// Options change the authorization URL. What WithHostedDomain names is checked on return.
	Options []AuthOption
}

// A FailureFunc answers a request that failed with err, whose types say why. It must not show err to the person as it is.
type FailureFunc func(w http.ResponseWriter, r *http.Request, err error)

// LoginHandler returns a handler that sends a person to the provider's consent page, for GET and POST. The sign-in is bound to
// the browser by a sealed cookie that lives 10 minutes: with the name prefix __Host-, Secure, HttpOnly and SameSite=Lax, or
// where Config.RedirectURL is http, on a developer's machine, without the prefix and Secure. It must be served by the same
// host as Config.RedirectURL, or the browser does not send the cookie there.
//
// The query parameter return_to of a request says which path to go to afterwards, with its own query up to 512 bytes. Another
// origin's is ignored.
func (f *Flow) LoginHandler(opts LoginOptions) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setPageHeaders(w)
		if r.Method != http.MethodGet && r.Method != http.MethodPost {
			refuseMethod(w, "GET, POST")
			return
		}
		// What a router has cut off the path, the browser still needs to come here again.
		here := cmp.Or(localPath(r.RequestURI), localPath(r.URL.EscapedPath()), "/")
		if err := f.login(w, r, here, opts); err != nil {
			f.fail(w, r, opts.Failure, failed{err: err, login: here})
		}
	})
}

// login answers r, which came to the path here.
func (f *Flow) login(w http.ResponseWriter, r *http.Request, here string, opts LoginOptions) error {
	var login Login
	if opts.Begin != nil {
		var err error
		if login, err = opts.Begin(r); err != nil {
			return err
		}
	}
	if login.ReturnTo != "" && localPath(login.ReturnTo) == "" {
		return fmt.Errorf("authflow: login: ReturnTo %q is no path of this origin", login.ReturnTo)
	}
	state := NewState()
	asked := f.authRequest(login.EmailAddress, state, login.Options)
	a := &attempt{
		State:        state,
		Ends:         f.now().Add(attemptLifetime).Unix(),
		Login:        here,
		ReturnTo:     cmp.Or(login.ReturnTo, localPath(r.URL.Query().Get("return_to")), "/"),
		UserID:       login.UserID,
		HostedDomain: asked.params["hd"],
		Asked:        asked.scopes,
		Fewer:        login.AcceptFewerScopes,
	}
	value, err := f.sealAttempt(a)
	if err != nil {
		return fmt.Errorf("authflow: login: %w", err)
	}
	cookie := f.cookie(f.cookieName(state), value, attemptLifetime)
	if size := len(cookie.String()); size > maxCookieBytes {
		return fmt.Errorf("authflow: login: the cookie would have %d bytes, browsers keep %d; ask for fewer scopes", size, maxCookieBytes)
	}
	f.expireAttempts(w, r)
	http.SetCookie(w, cookie)
	http.Redirect(w, r, f.authorizationURL(state, asked), http.StatusSeeOther)
	return nil
}

// maxCookieBytes is what browsers keep of a cookie at least (RFC 6265 §6.1).
const maxCookieBytes = 4096

// signInTimeout is how long a callback takes at most, the exchange and the storing of the grant included.
const signInTimeout = 30 * time.Second
