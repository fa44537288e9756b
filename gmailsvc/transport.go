package gmailsvc

import (
	"bytes"
	"context"
	"fmt"
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
	sent  string            // the access token that was sent last
}

func (a *authorizer) RoundTrip(req *http.Request) (*http.Response, error) {
	refresher, _ := a.creds.(Refresher)
	token, err := a.token(req.Context(), refresher)
	if err != nil {
		closeBody(req)
		return nil, &finalError{err}
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
		return nil, &finalError{err}
	}
	resp, err = a.send(replay, token)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		refusal := answerOf(resp)
		return nil, &finalError{&UnauthorizedError{Method: req.Method, Path: req.URL.Path, Err: refusal.apiError()}}
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
	a.sent = token.AccessToken
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

// rereadable returns req with a body that rewind can rewind, if it is small: the generated API hands over those of sends and
// inserts without GetBody, though they are in memory.
func rereadable(req *http.Request) (*http.Request, error) {
	const most = 10 << 20
	if req.Body == nil || req.Body == http.NoBody || req.GetBody != nil || req.ContentLength <= 0 || req.ContentLength > most {
		return req, nil
	}
	body := make([]byte, req.ContentLength)
	_, err := io.ReadFull(req.Body, body)
	closeBody(req)
	if err != nil {
		return nil, fmt.Errorf("gmailsvc: read the body of the request: %w", err)
	}
	req = req.Clone(req.Context())
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.Body, _ = req.GetBody()
	return req, nil
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
