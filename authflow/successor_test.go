package authflow_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// strict is a provider that revokes nothing when it is told of a refresh token that was used up. It holds back the answer to
// a refresh while it is armed.
type strict struct {
	next      http.RoundTripper
	armed     bool
	hold      chan struct{}
	successor string
	told      []string
}

func (s *strict) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/revoke" {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		s.told = append(s.told, form.Get("token"))
		if form.Get("token") != s.successor {
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil // RFC 7009 §2.2
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	resp, err := s.next.RoundTrip(r)
	if err != nil || !s.armed || r.URL.Path != "/token" {
		return resp, err
	}
	s.armed = false
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	s.successor = answer.RefreshToken
	resp.Body = io.NopCloser(bytes.NewReader(body))
	<-s.hold
	return resp, nil
}

func TestARefreshTokenThatCameAfterItsRevocationIsRevokedToo(t *testing.T) {
	inBubble(t, gmailtest.Config{RotateRefreshTokens: true}, func(t *testing.T, x *fixture) {
		provider := &strict{hold: make(chan struct{})}
		flow := x.flow(t, func(cfg *authflow.Config) {
			provider.next = cfg.HTTPClient.Transport
			cfg.HTTPClient = &http.Client{Transport: provider}
		})
		creds := x.connect(t, flow)
		pass(time.Hour)
		provider.armed = true
		waiter := waiting(t, creds)
		pass(time.Second)
		if err := flow.Revoke(t.Context(), adaID); err != nil {
			t.Fatal(err)
		}
		close(provider.hold)
		if _, err := waiter(); err == nil {
			t.Error("a token of a revoked grant is served")
		}
		if provider.successor == "" || !slices.Contains(provider.told, provider.successor) || x.works(t, provider.successor) {
			t.Error("the grant lives on at the provider, and nobody knows of it")
		}
	})
}
