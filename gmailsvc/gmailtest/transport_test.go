package gmailtest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

// closeRecorder says whether a request's body was closed.
type closeRecorder struct {
	io.Reader
	closed bool
}

func (c *closeRecorder) Close() error { c.closed = true; return nil }

func TestTransportKeepsTheContractOfARoundTripper(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		ctx     context.Context
		method  string
		url     string
		wantErr error
	}{
		"an answer":          {t.Context(), http.MethodPost, s.TokenURL(), nil},
		"HEAD":               {t.Context(), http.MethodHead, s.JWKSURL(), nil},
		"a canceled context": {canceled, http.MethodPost, s.TokenURL(), context.Canceled},
		"no host":            {t.Context(), http.MethodPost, "/token", errors.ErrUnsupported},
		"another scheme":     {t.Context(), http.MethodPost, "ftp://oauth2.googleapis.com/token", errors.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := &closeRecorder{Reader: strings.NewReader("grant_type=x")}
			req, err := http.NewRequestWithContext(tc.ctx, tc.method, tc.url, body)
			if err != nil {
				t.Fatal(err)
			}
			res, err := s.Transport().RoundTrip(req)
			if !body.closed {
				t.Error("the body was not closed")
			}
			if len(req.Header) != 0 || req.RequestURI != "" || req.URL.String() != tc.url {
				t.Error("the request was changed")
			}
			if tc.wantErr != nil {
				if !errors.Is(err, tc.wantErr) {
					t.Errorf("error = %v, want %v", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if res.Request != req || res.Body == nil || res.Proto != "HTTP/1.1" || res.Status == "" {
				t.Errorf("response = %+v", res)
			}
			got, err := io.ReadAll(res.Body)
			if err != nil || tc.method != http.MethodHead && int64(len(got)) != res.ContentLength {
				t.Errorf("the body has %d bytes, %v; want ContentLength %d", len(got), err, res.ContentLength)
			}
			if tc.method == http.MethodHead && len(got) != 0 {
				t.Errorf("HEAD returned a body: %q", got)
			}
		})
	}
}

func TestAnswersComeInGzipWhereGoogleSendsIt(t *testing.T) {
	t.Parallel()
	for name, s := range reached(t, gmailtest.Config{}) {
		s.AddUser(gmailtest.User{Email: ada})
		acc := account{Server: s, token: accessToken(t, s, readonlyScope)}
		for _, tc := range []struct {
			name, agent, accept string
			packed, uncompress  bool
		}{
			{"neither", "test", "", false, false},
			{"the header alone", "test", "gzip", false, false},
			{"both, by the client's own hand", "test (gzip)", "gzip", true, false},
			{"both, by the transport", "test (gzip)", "", false, true},
		} {
			t.Run(name+"/"+tc.name, func(t *testing.T) {
				t.Parallel()
				req := acc.request(t, http.MethodGet, "me/profile", "")
				req.Header.Set("User-Agent", tc.agent)
				if tc.accept != "" {
					req.Header.Set("Accept-Encoding", tc.accept)
				}
				res, err := s.Client().Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				body, err := io.ReadAll(res.Body)
				if err != nil {
					t.Fatal(err)
				}
				if got := res.Header.Get("Content-Encoding") == "gzip"; got != tc.packed || res.Uncompressed != tc.uncompress {
					t.Errorf("gzip arrived: %t, was decoded: %t; want %t, %t", got, res.Uncompressed, tc.packed, tc.uncompress)
				}
				if tc.packed {
					plain, err := gzip.NewReader(bytes.NewReader(body))
					if err != nil {
						t.Fatal(err)
					}
					if body, err = io.ReadAll(plain); err != nil {
						t.Fatal(err)
					}
				}
				if !strings.Contains(string(body), ada) {
					t.Errorf("body = %q", body)
				}
			})
		}
	}
}
