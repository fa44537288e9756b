package authflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// DisconnectOptions say whose grant a DisconnectHandler ends, and how. User is required.
type DisconnectOptions struct {
	// User returns whose grant ends. It takes the application's session into account: what the request alone says
	// may be about anybody. An error of it goes to Failure, and so does an empty user ID, as tokenstore.ErrNotFound.
	User func(r *http.Request) (userID string, err error)

	// ForgetOnly deletes the grant here, by Forget, and does not tell the provider. Otherwise Revoke ends
	// it there, too, for all clients of the project.
	ForgetOnly bool

	// ReturnTo is where the person goes afterwards: a path of this origin. Empty: "/".
	ReturnTo string

	// Failure answers where the grant could not be ended. Nil: a page that says so.
	Failure FailureFunc
}

// DisconnectHandler returns a handler that ends a person's grant, for POST. A request that another site made the browser send
// is refused (http.CrossOriginProtection). Where the provider can't be told at once the grant has ended here all the
// same, and RetryRevocations tells it later.
//
// It panics with a *ConfigError if opts.User is nil, opts.ReturnTo is no path of this origin, or the provider has no
// revocation endpoint and opts.ForgetOnly is false.
func (f *Flow) DisconnectHandler(opts DisconnectOptions) http.Handler {
	opts.ReturnTo = cmp.Or(opts.ReturnTo, "/")
	switch {
	case opts.User == nil:
		panic(&ConfigError{Field: "DisconnectOptions.User", Problem: "is nil; it says whose grant ends"})
	case localPath(opts.ReturnTo) == "":
		panic(&ConfigError{Field: "DisconnectOptions.ReturnTo", Problem: "is no path of this origin"})
	case !opts.ForgetOnly && f.cfg.Provider.RevokeURL == "":
		panic(&ConfigError{Field: "DisconnectOptions.ForgetOnly", Problem: "is false, but the provider has no revocation endpoint"})
	}
	sameSite := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setPageHeaders(w)
		if r.Method != http.MethodPost {
			refuseMethod(w, "POST")
			return
		}
		err := sameSite.Check(r)
		if err != nil {
			err = &crossSiteError{err}
		} else {
			err = f.disconnect(r, opts)
		}
		if err != nil {
			f.fail(w, r, opts.Failure, failed{err: err, back: opts.ReturnTo})
			return
		}
		http.Redirect(w, r, opts.ReturnTo, http.StatusSeeOther)
	})
}

func (f *Flow) disconnect(r *http.Request, opts DisconnectOptions) error {
	userID, err := opts.User(r)
	if err == nil && userID == "" { // nobody's, which Forget would take for a success
		err = fmt.Errorf("authflow: disconnect: User names nobody: %w", tokenstore.ErrNotFound)
	}
	if err != nil {
		return err
	}
	// A person who goes away has decided all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), refreshTimeout)
	defer cancel()
	if opts.ForgetOnly {
		return f.Forget(ctx, userID)
	}
	err = f.Revoke(ctx, userID)
	if errors.As(err, new(*RevocationPendingError)) {
		return nil
	}
	return err
}

// A crossSiteError says that another site made the browser send a request.
type crossSiteError struct{ err error }

func (e *crossSiteError) Error() string { return "authflow: " + e.err.Error() }
func (e *crossSiteError) Unwrap() error { return e.err }
