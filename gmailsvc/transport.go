package gmailsvc

import (
	"context"
	"io"
	"net/http"

	"golang.org/x/oauth2"
)

// A Refresher is a token source that knows more than oauth2.TokenSource asks of it: it takes a context, and it can replace a
// token before its time. *authflow.Credentials is one. With any other token source a 401 is final.
type Refresher interface {
	// TokenContext returns a live token.
	TokenContext(ctx context.Context) (*oauth2.Token, error)
	// Refresh returns a live token other than rejected, an access token that Gmail answered with 401.
	Refresh(ctx context.Context, rejected string) (*oauth2.Token, error)
}

// An authorizer is an http.RoundTripper that authorizes requests. On a 401 it has the token replaced and repeats the request,
// once: Gmail refuses before it acts, so this is safe for sends, too.
type authorizer struct {
	creds oauth2.TokenSource
	next  http.RoundTripper // nil: http.DefaultTransport
}

func (a *authorizer) RoundTrip(req *http.Request) (*http.Response, error) {
	refresher, _ := a.creds.(Refresher)
	token, err := a.token(req.Context(), refresher)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := a.send(req, token)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || refresher == nil {
		return resp, err
	}
	replay, ok := rewind(req)
	if !ok {
		return resp, nil
	}
	drain(resp)
	token, err = refresher.Refresh(req.Context(), token.AccessToken)
	if err != nil {
		closeBody(replay)
		return nil, err
	}
	resp, err = a.send(replay, token)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		drain(resp)
		return nil, &UnauthorizedError{Method: req.Method, Path: req.URL.Path}
	}
	return resp, err
}

func (a *authorizer) token(ctx context.Context, r Refresher) (*oauth2.Token, error) {
	if r != nil {
		return r.TokenContext(ctx)
	}
	return a.creds.Token()
}

// send sends a copy of req: a RoundTripper must not change the request it is given.
func (a *authorizer) send(req *http.Request, token *oauth2.Token) (*http.Response, error) {
	next := a.next
	if next == nil {
		next = http.DefaultTransport
	}
	req = req.Clone(req.Context())
	token.SetAuthHeader(req)
	return next.RoundTrip(req)
}

// rewind returns req with its body from the start, or false where a body can't be read again.
func rewind(req *http.Request) (*http.Request, bool) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, false
	}
	again := req.Clone(req.Context())
	again.Body = body
	return again, true
}

// drain reads a short answer to its end, so that its connection can be used again.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	resp.Body.Close()
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}
