package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestEveryAnswerHasThePolicy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	inbox := s.account(t, ada)
	for _, path := range []string{"/", inbox, inbox + "/messages/none", "/nowhere", "/callback", "/login?account=somebody"} {
		h := p.get(path).Header
		for name, want := range map[string]string{
			"Content-Security-Policy":      "default-src 'none'; style-src 'self'; ",
			"X-Content-Type-Options":       "nosniff",
			"Cache-Control":                "no-store",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Cross-Origin-Opener-Policy":   "same-origin",
		} {
			if got := h.Get(name); !strings.HasPrefix(got, want) {
				t.Errorf("%s has %s %q, want %q", path, name, got, want)
			}
		}
		policy := h.Get("Content-Security-Policy")
		if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s has the policy %s", path, policy)
		}
	}
}

func TestPagesHaveNothingInline(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	for _, page := range []answer{s.newPerson(t).get("/"), p.get("/"), p.get(s.account(t, ada)), p.get("/nowhere")} {
		for _, inline := range []string{"<script", "<style", " style=", " onclick=", "javascript:"} {
			if strings.Contains(page.body, inline) {
				t.Errorf("%s has %s", page.Request.URL.Path, inline)
			}
		}
	}
}

func TestStaticFilesAreKeptByBrowsers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, file := range []string{"style.css", "icon.svg"} {
		address, err := asset(file)
		if err != nil {
			t.Fatal(err)
		}
		got := s.newPerson(t).get(address)
		got.check(t, http.StatusOK)
		if cache := got.Header.Get("Cache-Control"); !strings.Contains(cache, "immutable") {
			t.Errorf("%s has Cache-Control %q", address, cache)
		}
		if len(got.Cookies()) > 0 {
			t.Errorf("%s sets a cookie", address)
		}
	}
	s.newPerson(t).get("/static/..%2Fviews.go").check(t, http.StatusBadRequest)
}

func TestAnotherSiteCanNotMakeABrowserPost(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	at := s.account(t, ada)
	for _, path := range []string{"/signout", at + "/disconnect", at + "/remove", at + "/take-back"} {
		p.post(path, "https://evil.example", nil).check(t, http.StatusForbidden, "This came from another site")
	}
	p.get(at).check(t, http.StatusOK, "Inbox")
	for _, path := range []string{"/signout", at + "/disconnect", at + "/remove", at + "/take-back"} {
		p.get(path).check(t, http.StatusNotFound) // nor by a link
	}
	p.get(at).check(t, http.StatusOK, "Inbox")
}

func TestWhoeverIsNotSignedInSeesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signedIn(t, ada)
	at := s.account(t, ada)
	stranger := s.newPerson(t)
	for _, path := range []string{at, at + "/messages/x", at + "/messages/x/frame", at + "/messages/x/attachments/0"} {
		got := stranger.get(path)
		got.check(t, http.StatusOK, "Continue with Google")
		if want := "/?return_to=" + url.QueryEscape(path); got.Request.URL.RequestURI() != want {
			t.Errorf("%s leads to %s, want %s", path, got.Request.URL.RequestURI(), want)
		}
	}
	for _, path := range []string{at + "/remove", at + "/take-back"} {
		stranger.post(path, s.url, nil).check(t, http.StatusOK, "Continue with Google")
	}
	stranger.post(at+"/disconnect", s.url, nil).check(t, http.StatusNotFound)
	if s.signedIn(t, ada).get(at).StatusCode != http.StatusOK {
		t.Error("a stranger has ended the grant")
	}
}

func TestPeopleAreKeptToOneName(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	req := httptest.NewRequest(http.MethodGet, "http://evil.example/accounts/1?q=a", nil)
	rec := httptest.NewRecorder()
	s.handler().ServeHTTP(rec, req)
	if got := rec.Header().Get("Location"); rec.Code != http.StatusTemporaryRedirect || got != s.url+"/accounts/1?q=a" {
		t.Errorf("another name of the host answers %d, Location %q", rec.Code, got)
	}
}
