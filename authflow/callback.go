package authflow

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
)

// ParseCallback reads the query of a request to the redirect URL and returns the code and state for GetCredentials.
// Whether the state belongs to the person's browser is for the caller to check.
//
// Errors: *AuthorizationDeniedError if the person, or a policy, said no; *CodeExchangeError if the query is not one that
// the provider sends: a parameter missing or repeated (RFC 6749 §3.1), or another issuer's (RFC 9207 §2.4).
func (f *Flow) ParseCallback(query url.Values) (code, state string, err error) {
	state = query.Get("state")
	again := cmp.Or(state, NewState())
	if err := f.checkCallback(query); err != nil {
		return "", "", &CodeExchangeError{AuthorizationURL: f.GetAuthorizationURL("", again), Err: err}
	}
	if refusal := query.Get("error"); refusal != "" {
		return "", "", &AuthorizationDeniedError{
			Code:             trim(refusal),
			Description:      trim(query.Get("error_description")),
			AuthorizationURL: f.GetAuthorizationURL("", again),
		}
	}
	return query.Get("code"), state, nil
}

func (f *Flow) checkCallback(query url.Values) error {
	for _, name := range []string{"code", "state", "iss", "error"} {
		if len(query[name]) > 1 {
			return fmt.Errorf("the callback has the parameter %s more than once", name)
		}
	}
	switch iss := query.Get("iss"); {
	case query.Has("iss") && iss != f.cfg.Provider.Issuer:
		return errors.New("the callback comes from another issuer")
	case f.cfg.Provider.IssuerInCallback && !query.Has("iss"):
		return errors.New("the callback does not say which issuer it comes from (iss), as this provider's always do")
	case query.Get("state") == "":
		return errors.New("the callback has no state")
	case query.Get("code") == "" && query.Get("error") == "":
		return errors.New("the callback has neither a code nor an error")
	case query.Get("code") != "" && query.Get("error") != "":
		return errors.New("the callback has both a code and an error")
	}
	return nil
}
