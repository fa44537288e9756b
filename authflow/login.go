package authflow

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
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

	// Note is the application's own, say who is signed in to the application: LoginNote returns it to Success, which can
	// compare it with who is signed in then. The browser can't read or change it. It must fit in the cookie.
	Note string

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
		Note:         login.Note,
		Granted:      asked.params["include_granted_scopes"] != "",
		Forced:       strings.Contains(asked.params["prompt"], "consent") || asked.params["approval_prompt"] != "",
	}
	return f.begin(w, r, a, asked)
}

// begin hands the attempt a to the browser and sends the person to the provider.
func (f *Flow) begin(w http.ResponseWriter, r *http.Request, a *attempt, asked authRequest) error {
	value, err := f.sealAttempt(a)
	if err != nil {
		return fmt.Errorf("authflow: login: %w", err)
	}
	cookie := f.cookie(f.cookieName(a.State), value, attemptLifetime)
	if size := len(cookie.String()); size > maxCookieBytes {
		return fmt.Errorf("authflow: login: the cookie would have %d bytes, browsers keep %d; ask for fewer scopes", size, maxCookieBytes)
	}
	f.expireAttempts(w, r, cookie)
	http.SetCookie(w, cookie)
	http.Redirect(w, r, f.authorizationURL(a.State, asked), http.StatusSeeOther) //nolint:gosec // the provider's, of the Config
	return nil
}

// demandConsent begins the sign-in a once more: the provider sent no refresh token, as Google does for a person who consented
// before, and none is stored.
func (f *Flow) demandConsent(w http.ResponseWriter, r *http.Request, a *attempt, emailAddress string) error {
	again := *a
	again.State, again.Ends, again.Forced = NewState(), f.now().Add(attemptLifetime).Unix(), true
	opts := []AuthOption{WithScopes(a.Asked...), WithHostedDomain(a.HostedDomain), WithPrompt("consent")}
	if a.Granted {
		opts = append(opts, WithIncludeGrantedScopes())
	}
	return f.begin(w, r, &again, f.authRequest(emailAddress, again.State, opts))
}

type loginNote struct{}

// LoginNote returns the Login.Note of the sign-in that a Success hook is called for, from the context of its request.
func LoginNote(ctx context.Context) string {
	note, _ := ctx.Value(loginNote{}).(string)
	return note
}

// maxCookieBytes is what browsers keep of a cookie at least (RFC 6265 §6.1).
const maxCookieBytes = 4096

// signInTimeout is how long a callback takes at most, the exchange and the storing of the grant included.
const signInTimeout = 30 * time.Second
