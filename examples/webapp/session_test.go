package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestASessionIsRenewedWithEveryAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, gauges)
	before := p.session()
	p.connect("/login", ada).check(t, http.StatusOK, ada+" is connected.", gauges)
	after := p.session()
	if before == after {
		t.Fatal("the session keeps its ID")
	}
	// Whoever knows the old one has nothing.
	thief := s.newPerson(t)
	at, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	thief.http.Jar.SetCookies(at, []*http.Cookie{{Name: s.sessions.Cookie.Name, Value: before, Path: "/"}})
	thief.get("/").check(t, http.StatusOK, "Continue with Google")
}

func TestTheDatabaseHoldsNobodysSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	var token, data string
	if err := s.store.db.QueryRowContext(t.Context(), `SELECT token, data FROM webapp_sessions`).Scan(&token, &data); err != nil {
		t.Fatal(err)
	}
	if cookie := p.session(); strings.Contains(token+data, cookie) {
		t.Error("the session's cookie can be read in the database")
	}
}

func TestASessionEndsAtSignOutAndWithTime(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	cookie := p.session()
	p.post("/signout", s.url, nil).check(t, http.StatusOK, "Continue with Google")
	if _, found, err := s.store.FindCtx(t.Context(), cookie); found || err != nil {
		t.Errorf("after signing out the session is there: %v, %v", found, err)
	}

	past, future := time.Now().Add(-time.Second), time.Now().Add(time.Hour)
	for token, expires := range map[string]time.Time{"old": past, "new": future} {
		if err := s.store.CommitCtx(t.Context(), token, []byte(token), expires); err != nil {
			t.Fatal(err)
		}
	}
	if _, found, err := s.store.FindCtx(t.Context(), "old"); found || err != nil {
		t.Errorf("an expired session is found: %v, %v", found, err)
	}
	if err := s.store.clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := s.store.db.QueryRowContext(t.Context(), `SELECT count(*) FROM webapp_sessions WHERE token IN ('old', 'new')`).Scan(&left); err != nil || left != 1 {
		t.Errorf("%d of 2 sessions are left after cleaning, %v; want the one that has not expired", left, err)
	}
}

func TestARequestThatEndsLateDoesNotBringASessionBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.signedIn(t, ada)
	cookie := p.session()
	late, err := s.sessions.Load(t.Context(), cookie)
	if err != nil {
		t.Fatal(err)
	}
	p.post("/signout", s.url, nil).check(t, http.StatusOK, "Continue with Google")
	s.sessions.Put(late, sessionNotice, "late")
	if _, _, err := s.sessions.Commit(late); err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	p.http.Jar.SetCookies(at, []*http.Cookie{{Name: s.sessions.Cookie.Name, Value: cookie, Path: "/"}})
	p.get("/").check(t, http.StatusOK, "Continue with Google")
}

func TestOverTLSTheSessionsCookieIsForThisHostAlone(t *testing.T) {
	t.Parallel()
	m := newSessions(nil, true, nil)
	if !m.Cookie.Secure || !m.Cookie.HttpOnly || !strings.HasPrefix(m.Cookie.Name, "__Host-") || m.Cookie.Path != "/" || m.Cookie.Domain != "" {
		t.Errorf("the cookie is %+v", m.Cookie)
	}
}
