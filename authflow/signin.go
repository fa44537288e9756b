package authflow

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// CallbackOptions say what becomes of a person who has come back from the provider. Success is required.
type CallbackOptions struct {
	// Success is called when a grant was stored, or was there. A person who signs in must get a new session ID, or somebody who
	// knows the old one has a session with the person's mail (session fixation). So it renews the application's
	// session, notes creds.UserID there, and says that it did. It writes no more than headers: the person is then sent on. An
	// error goes to Failure.
	//
	// If the same browser calls back again within moments (a double click, a reload), Success is called for that request, too:
	// the browser may never have read the first answer.
	Success func(w http.ResponseWriter, r *http.Request, creds *Credentials) (SessionRenewal, error)

	// Failure answers where there are no credentials. Nil: a page that says why, and offers to start again. The
	// AuthorizationURL of the errors that have one is the path that the sign-in began at, with its query: a person who is
	// sent there starts again.
	Failure FailureFunc

	// LoginPath is where the LoginHandler is, for a person who starts again and whose sign-in did not begin
	// here. Empty: "/login".
	LoginPath string
}

// A SessionRenewal is what a Success hook says of the application's session. The zero value is none: it fails the sign-in.
type SessionRenewal int

// What a Success hook can say.
const (
	SessionRenewed SessionRenewal = iota + 1 // the session has a new ID, and the old one is dead
	NoSession                                // the application keeps no session in the browser
)

// CallbackHandler returns the handler of Config.RedirectURL, for GET. It checks that the callback belongs to a sign-in
// that this browser began within the last 10 minutes and that it comes from the right issuer, exchanges the code once over
// all processes that share the Store, finds out who the user is, stores the grant, calls opts.Success, and sends the person to
// the path that the sign-in was to return to. Where the provider or the store is slow that takes up to a minute, which is what an
// http.Server's WriteTimeout has to allow.
//
// What goes to Failure: *AuthorizationDeniedError, *MissingScopesError, *AccountMismatchError; *CallbackError
// if the callback is malformed, foreign, forged, expired or used; *CodeExchangeError, *NoUserIDError, *NoRefreshTokenError;
// what the store or Success answers otherwise. When the callback of a sign-in that failed comes again, within moments, that is a
// *CallbackError, too, and wraps the *MissingScopesError, *AccountMismatchError or *NoRefreshTokenError of the first.
//
// It panics with a *ConfigError if opts.Success is nil, or opts.LoginPath is no path of this origin.
func (f *Flow) CallbackHandler(opts CallbackOptions) http.Handler {
	if opts.Success == nil {
		panic(&ConfigError{Field: "CallbackOptions.Success", Problem: "is nil; it gives the person a new session"})
	}
	opts.LoginPath = cmp.Or(opts.LoginPath, "/login")
	if localPath(opts.LoginPath) == "" {
		panic(&ConfigError{Field: "CallbackOptions.LoginPath", Problem: "is no path of this origin"})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setPageHeaders(w)
		if r.Method != http.MethodGet {
			refuseMethod(w, "GET")
			return
		}
		creds, a, err := f.signIn(w, r)
		if err == nil {
			err = renewed(opts.Success(w, r.WithContext(context.WithValue(r.Context(), loginNote{}, a.Note)), creds))
		}
		if e, ok := errors.AsType[*NoRefreshTokenError](err); ok && a != nil && !a.Forced {
			if err = f.demandConsent(w, r, a, e.Email); err == nil {
				return
			}
		}
		if err == nil {
			http.Redirect(w, r, a.ReturnTo, http.StatusSeeOther)
			return
		}
		why := failed{err: err, login: opts.LoginPath}
		if a != nil {
			why.login = a.Login
		}
		f.fail(w, r, opts.Failure, why)
	})
}

func renewed(session SessionRenewal, err error) error {
	if err == nil && session != SessionRenewed && session != NoSession {
		return errors.New("authflow: callback: Success did not say that it renewed the session; return SessionRenewed or NoSession")
	}
	return err
}

// signIn returns the credentials that r brings. The attempt is nil where r belongs to none.
func (f *Flow) signIn(w http.ResponseWriter, r *http.Request) (*Credentials, *attempt, error) {
	const most = 8 << 10
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err == nil && len(r.URL.RawQuery) > most {
		err = errors.New("the callback's query is too long")
	}
	if err == nil {
		err = f.checkCallback(query)
	}
	if err != nil {
		return nil, nil, &CallbackError{Reason: CallbackMalformed, Err: scrubError(err, nil)}
	}
	a, cookie, refused := f.attemptOf(r, query.Get("state"))
	if refused != nil {
		// One that was finished in the last minute may come again after it.
		if first, err := f.signIns.Look(r.Context(), query.Get("state")); refused.Reason == CallbackExpired && err == nil {
			creds, err := f.repeat(r.Context(), a, first)
			return creds, a, err
		}
		return nil, a, refused
	}
	code, state, err := f.ParseCallback(query)
	if err != nil { // the provider sent an error; the person may go back, and consent after all
		startAgainAt(a.Login, err)
		return nil, a, err
	}
	// Long enough for a reload to find out what became of it.
	http.SetCookie(w, f.cookie(cookie.Name, cookie.Value, repeatWindow))
	// A browser that goes away, to come again, does not interrupt what may be done but once.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), signInTimeout)
	defer cancel()
	earlier, err := f.signIns.Claim(ctx, state, time.Unix(a.Ends, 0))
	if err != nil {
		return nil, a, fmt.Errorf("authflow: callback: %w", err)
	}
	if earlier != nil {
		creds, err := f.repeat(r.Context(), a, earlier)
		return creds, a, err
	}
	creds, err := f.getCredentials(ctx, code, state, a.requirements())
	startAgainAt(a.Login, err)
	f.settle(state, creds, err)
	return creds, a, err
}

// startAgainAt makes login the AuthorizationURL of err: the state in the one that it has is used up, or soon forgotten by the
// browser.
func startAgainAt(login string, err error) {
	if e, ok := errors.AsType[*AuthorizationDeniedError](err); ok {
		e.AuthorizationURL = login
	}
	if e, ok := errors.AsType[*CodeExchangeError](err); ok {
		e.AuthorizationURL = login
	}
	if e, ok := errors.AsType[*NoUserIDError](err); ok {
		e.AuthorizationURL = login
	}
	if e, ok := errors.AsType[*NoRefreshTokenError](err); ok {
		e.AuthorizationURL = login
	}
	if e, ok := errors.AsType[*MissingScopesError](err); ok {
		e.AuthorizationURL = login
	}
}

// An outcome is what became of a sign-in, for those who call back again.
type outcome struct {
	UserID string `json:"user,omitempty"`
	Page   page   `json:"page,omitempty"` // that was shown in its place

	// What failed, where the application may do something else about it than start again.
	Missing   *MissingScopesError   `json:"missing,omitempty"`
	Mismatch  *AccountMismatchError `json:"mismatch,omitempty"`
	NoRefresh *NoRefreshTokenError  `json:"noRefresh,omitempty"`
}

func outcomeOf(creds *Credentials, err error) outcome {
	if err == nil {
		return outcome{UserID: creds.UserID}
	}
	o := outcome{Page: pageOf(err)}
	errors.As(err, &o.Missing)
	errors.As(err, &o.Mismatch)
	errors.As(err, &o.NoRefresh)
	return o
}

var errRepeated = errors.New("the sign-in failed a moment ago")

// err returns what failed, as far as it was noted.
func (o outcome) err() error {
	switch {
	case o.Missing != nil:
		return o.Missing
	case o.Mismatch != nil:
		return o.Mismatch
	case o.NoRefresh != nil:
		o.NoRefresh.Err = errRepeated
		return o.NoRefresh
	}
	return errRepeated
}

// settle notes what became of the sign-in with that state. Nothing waits for it in vain: see repeat.
func (f *Flow) settle(state string, creds *Credentials, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	o := outcomeOf(creds, err)
	note, err := json.Marshal(o)
	if err == nil {
		err = f.signIns.Settle(ctx, state, note)
	}
	if err != nil {
		f.observe(Event{Kind: StoreTrouble, UserID: o.UserID, Err: err})
	}
}

// repeat returns what became of a sign-in whose callback came before, here or in another process. The code is not sent again:
// a provider may end the grant for that (RFC 6749 §4.1.2).
func (f *Flow) repeat(ctx context.Context, a *attempt, first *tokenstore.Mark) (*Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, signInTimeout+storeTimeout)
	defer cancel()
	if f.now().Sub(first.At) > repeatWindow {
		return nil, &CallbackError{Reason: CallbackUsed, Err: errors.New("the sign-in was finished before")}
	}
	mark := first
	for pauses := 0; ; pauses++ {
		if mark.Note != nil {
			return f.repeated(ctx, a, mark.Note)
		}
		err := polling.wait(ctx, pauses)
		if err == nil {
			mark, err = f.signIns.Look(ctx, a.State)
		}
		switch {
		case err == nil:
		case ctx.Err() != nil, errors.Is(err, tokenstore.ErrNotFound):
			return nil, &CallbackError{Reason: CallbackUsed, Err: fmt.Errorf("the sign-in was begun before, and its end is not known: %w", err)}
		default:
			return nil, fmt.Errorf("authflow: callback: %w", err)
		}
	}
}

// repeated returns what a note says of a sign-in.
func (f *Flow) repeated(ctx context.Context, a *attempt, note []byte) (*Credentials, error) {
	var o outcome
	if err := json.Unmarshal(note, &o); err != nil {
		return nil, fmt.Errorf("authflow: callback: the note of the sign-in: %w", err)
	}
	if o.UserID == "" {
		return nil, &CallbackError{Reason: CallbackRepeated, Err: o.err(), page: o.Page}
	}
	creds, err := f.GetStoredCredentials(ctx, o.UserID)
	if ended, ok := errors.AsType[*ReauthorizationRequiredError](err); ok {
		own := *ended // others share it
		own.AuthorizationURL = a.Login
		return nil, &own
	}
	return creds, err
}
