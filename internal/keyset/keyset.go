// Package keyset fetches a provider's public keys, no more often than is good for either side: whoever verifies tokens that
// anybody can post fetches again for every key ID that it does not know, and anybody can make one up.
package keyset

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

const (
	every    = 10 * time.Second // as often the keys are fetched at most
	timeout  = 10 * time.Second
	maxBytes = 256 << 10
)

// Remote returns the keys that are published at keysURL (RFC 7517). They are fetched when a token names one that is not known,
// by client or by one with a timeout of 10 s if that is nil, following no redirect. ctx ends the fetching.
func Remote(ctx context.Context, client *http.Client, keysURL string) oidc.KeySet {
	return oidc.NewRemoteKeySet(oidc.ClientContext(ctx, Client(client)), keysURL)
}

// Client returns base, which may be nil, as one that makes a request every 10 seconds at most, follows no
// redirect, and bounds the time and size of answers.
func Client(base *http.Client) *http.Client {
	c := new(http.Client)
	if base != nil {
		*c = *base
	}
	if c.Timeout <= 0 || c.Timeout > timeout {
		c.Timeout = timeout
	}
	c.Jar = nil
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Transport = &sparing{next: c.Transport}
	return c
}

var errEarly = errors.New("the keys were fetched a moment ago")

// sparing is an http.RoundTripper that lets one request through in a while.
type sparing struct {
	next http.RoundTripper // nil: http.DefaultTransport

	mu   sync.Mutex
	last time.Time
}

func (s *sparing) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	early := !s.last.IsZero() && time.Since(s.last) < every
	if !early {
		s.last = time.Now()
	}
	s.mu.Unlock()
	if early {
		return nil, errEarly
	}
	next := s.next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("the answer is %s", resp.Status)
	}
	defer resp.Body.Close()
	// A proxy's page, or half an answer, says nothing about a token.
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBytes))
	if err != nil {
		return nil, err
	}
	if !json.Valid(body) {
		return nil, errors.New("the answer is no JSON")
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}
