package gmailtest_test

import (
	"net/http"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestGrantIsAConsentWithoutPages(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	s.AddUser(gmailtest.User{Email: ada})
	access, refresh, err := s.Grant(ada, readonlyScope)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.APIURL()+"gmail/v1/users/me/profile", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+access)
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK || refresh == "" {
		t.Errorf("the access token gets %s and the refresh token is %q, want 200 OK and one", res.Status, refresh)
	}
	if _, _, err := s.Grant("nobody@example.com", readonlyScope); err == nil {
		t.Error("a user that is not there granted something")
	}
}
