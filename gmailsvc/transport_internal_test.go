package gmailsvc

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/oauth2"
)

// eager is a Refresher that always has another token.
type eager struct{ refreshed int }

func (e *eager) Token() (*oauth2.Token, error) { return e.TokenContext(context.Background()) }

func (e *eager) TokenContext(context.Context) (*oauth2.Token, error) {
	return &oauth2.Token{AccessToken: "first"}, nil
}

func (e *eager) Refresh(context.Context, string) (*oauth2.Token, error) {
	e.refreshed++
	return &oauth2.Token{AccessToken: "second"}, nil
}

type refusing struct{ bodies []string }

func (r *refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	r.bodies = append(r.bodies, string(body))
	return &http.Response{StatusCode: http.StatusUnauthorized, Body: http.NoBody, Request: req}, err
}

// The API's client always makes bodies that can be read again, so this is out of reach from outside.
func TestABodyThatCannotBeReadAgainIsSentOnce(t *testing.T) {
	t.Parallel()
	creds, gmail := new(eager), new(refusing)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://gmail.googleapis.com/", io.NopCloser(strings.NewReader("body")))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&authorizer{creds: creds, next: gmail}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if req.Header.Get("Authorization") != "" {
		t.Error("the token was written into the caller's request")
	}
	if resp.StatusCode != http.StatusUnauthorized || len(gmail.bodies) != 1 || gmail.bodies[0] != "body" || creds.refreshed != 0 {
		t.Errorf("status %d after sending %q and %d refreshes; want the 401 after one whole body and none",
			resp.StatusCode, gmail.bodies, creds.refreshed)
	}
}
