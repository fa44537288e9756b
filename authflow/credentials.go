package authflow

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/oauth2"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// Credentials act for one user: an oauth2.TokenSource that refreshes, and that shares what it learns with every other
// Credentials of that user in this process and, through the store, in others. They are safe for concurrent
// use, cheap to make, and need not be kept or closed.
type Credentials struct {
	UserID string
	Email  string
	Scopes []string // as granted

	source *source
}

var _ oauth2.TokenSource = (*Credentials)(nil)

// GetCredentials turns the code of a callback into stored credentials: the guide's get_credentials. It exchanges the code,
// finds out who the user is, and stores the grant. If the provider sent no refresh token, as Google does for
// a user who consented before, the stored grant is returned as it is.
//
// Errors: *CodeExchangeError; *NoUserIDError; *NoRefreshTokenError if there is no refresh token, neither new nor
// stored, or the stored grant has ended; *AccountMismatchError and *MissingScopesError, where there are
// requirements; what the store answers otherwise. A stored grant that can't be read
// (*tokenstore.UnsealError) is not overwritten: after Forget, the person can consent again.
func (f *Flow) GetCredentials(ctx context.Context, code, state string, required ...Requirement) (*Credentials, error) {
	r := requirements{anyUser: true, asked: f.cfg.Scopes}
	for _, o := range required {
		o.require(&r)
	}
	return f.getCredentials(ctx, code, state, r)
}

func (f *Flow) getCredentials(ctx context.Context, code, state string, required requirements) (*Credentials, error) {
	token, err := f.ExchangeCode(ctx, code, state)
	if err != nil {
		return nil, err
	}
	user, err := f.identify(ctx, token, f.nonce(state), code)
	if err != nil {
		return nil, &NoUserIDError{AuthorizationURL: f.GetAuthorizationURL("", state), Err: err}
	}
	if err := required.checkUser(user); err != nil {
		return nil, err
	}
	missing := func(granted []string) error {
		if lacking := required.missing(granted); len(lacking) > 0 {
			return &MissingScopesError{
				UserID: user.ID, Email: user.Email, Granted: granted, Missing: lacking,
				AuthorizationURL: f.GetAuthorizationURL(user.Email, state, WithScopes(required.asked...)),
			}
		}
		return nil
	}
	if token.RefreshToken != "" {
		granted := grantedScopes(token, required.asked)
		if err := missing(granted); err != nil {
			return nil, err
		}
		return f.storeConsent(ctx, user, token, granted, false)
	}
	creds, err := f.GetStoredCredentials(ctx, user.ID)
	if err == nil {
		if err := missing(creds.Scopes); err != nil {
			return nil, err
		}
	}
	var ended *ReauthorizationRequiredError
	if errors.Is(err, tokenstore.ErrNotFound) || errors.As(err, &ended) {
		return nil, &NoRefreshTokenError{
			UserID: user.ID, Email: user.Email, AuthorizationURL: f.GetAuthorizationURL(user.Email, state), Err: err,
		}
	}
	return creds, err
}

// GetStoredCredentials returns the credentials of a user who consented before; nobody needs to be present: the guide's
// get_stored_credentials.
//
// Errors: tokenstore.ErrNotFound, wrapped; *ReauthorizationRequiredError if the grant has ended;
// *tokenstore.UnsealError; what the store answers otherwise.
func (f *Flow) GetStoredCredentials(ctx context.Context, userID string) (*Credentials, error) {
	grant, err := f.grants.Get(ctx, userID)
	if err != nil {
		return nil, fmt.Errorf("authflow: stored credentials: %w", err)
	}
	if err := f.usable(grant); err != nil {
		f.source(userID).drop(grant.ID, err)
		return nil, err
	}
	return f.credentials(grant), nil
}

// storeConsent stores a new consent, which wins over whatever was stored before, or an imported one, which
// does not win over a grant that is alive.
func (f *Flow) storeConsent(ctx context.Context, user *UserInfo, token *oauth2.Token, scopes []string, imported bool,
) (*Credentials, error) {
	event := Event{UserID: user.ID}
	id := rand.Text()
	written, before := false, ""
	grant, err := f.grants.Update(ctx, user.ID, func(grant *tokenstore.Grant) error {
		switch {
		case grant.ID == id: // the answer to the write was lost
			if err := f.usable(grant); err != nil {
				return err
			}
			return errSuperseded
		case written: // it may have taken effect and be gone again: a grant that is gone does not come back
			id = rand.Text()
		}
		written = true
		switch {
		case imported && grant.Version() != "" && f.usable(grant) == nil:
			return errSuperseded
		case imported:
			event.Kind = Imported
		case grant.Version() == "":
			event.Kind = Consented
		case grant.Status.Revoked:
			event.Kind = Recovered
		default:
			event.Kind = Reconsented
		}
		now := f.now()
		before = grant.RefreshToken
		grant.Email = cmp.Or(user.Email, grant.Email) // which only the userinfo endpoint may know, and it may be down
		grant.ClientID = f.cfg.ClientID
		grant.ID = id
		grant.RefreshToken, grant.RefreshTokenExpiry = token.RefreshToken, f.refreshTokenExpiry(token)
		grant.AccessToken, grant.Expiry = token.AccessToken, token.Expiry
		grant.Scopes = scopes
		grant.Status, grant.Lease = tokenstore.Active, nil
		grant.LastRefresh, grant.LastError = now, ""
		grant.CreatedAt, grant.UpdatedAt = now, now
		return nil
	})
	switch {
	case errors.Is(err, errSuperseded): // by the grant that is there
	case errors.As(err, new(*ReauthorizationRequiredError)):
		f.source(user.ID).drop(id, err)
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("authflow: store the grant: %w", err)
	default:
		event.GrantID = grant.ID
		f.reindex(ctx, grant.UserID, before, grant.RefreshToken)
		f.observe(event)
	}
	return f.credentials(grant), nil
}

// credentials returns the Credentials of a usable grant that was just read or written.
func (f *Flow) credentials(grant *tokenstore.Grant) *Credentials {
	s := f.source(grant.UserID)
	s.adopt(grant)
	return &Credentials{UserID: grant.UserID, Email: grant.Email, Scopes: grant.Scopes, source: s}
}

// usable returns nil or the *ReauthorizationRequiredError that says why a grant can't be used.
func (f *Flow) usable(grant *tokenstore.Grant) error {
	switch {
	case grant.Status.Revoked:
		return f.reauthorization(grant, nil)
	case grant.ClientID != f.cfg.ClientID:
		other := grant.Clone()
		other.Status.Reason = tokenstore.ReasonOtherClient
		return f.reauthorization(other, nil)
	}
	return nil
}

func (f *Flow) reauthorization(grant *tokenstore.Grant, cause error) error {
	return &ReauthorizationRequiredError{
		UserID: grant.UserID, Email: grant.Email, Reason: grant.Status.Reason, At: grant.Status.At,
		AuthorizationURL: f.GetAuthorizationURL(grant.Email, NewState()), Err: cause, grantID: grant.ID,
	}
}

// Subject returns the UserID. It is how package gmailsvc knows whose quota is spent.
func (c *Credentials) Subject() string { return c.UserID }

// Token returns a live access token, as TokenContext does without a context.
func (c *Credentials) Token() (*oauth2.Token, error) {
	return c.TokenContext(context.Background())
}

// TokenContext returns a live access token. While one is at hand this takes no lock and allocates nothing; where a
// refresh is due soon it is done in the background. The token holds no refresh token and
// is shared: do not change it.
//
// Errors: *ReauthorizationRequiredError if the grant has ended; *RefreshError if no token can be had for now; the context's
// error if that ends first, which does not end the refresh that others wait for.
func (c *Credentials) TokenContext(ctx context.Context) (*oauth2.Token, error) {
	return c.source.token(ctx)
}

// Refresh returns a live access token other than rejected, one that an API answered with 401. If the
// token was replaced meanwhile, the provider is not asked again.
//
// Errors: as TokenContext.
func (c *Credentials) Refresh(ctx context.Context, rejected string) (*oauth2.Token, error) {
	return c.source.replace(ctx, rejected)
}
