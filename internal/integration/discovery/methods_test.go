package discovery_test

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/api/gmail/v1"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/internal/integration/discovery"
)

// TestEveryMethodOfTheServerIsDriven calls all methods that the server has, those that change something too,
// so that a method that is added there has to be added here. The session checks every request and every
// answer.
func TestEveryMethodOfTheServerIsDriven(t *testing.T) {
	t.Parallel()
	google := newGoogle(t)
	s := google.session(t, google.token(t, gmail.MailGoogleComScope))
	for id, calls := range google.calls(s.Users) {
		for i, call := range calls {
			before := google.Count(id)
			if err := call(); err != nil {
				t.Errorf("%s, call %d: %v", id, i, err)
			} else if google.Count(id) != before+1 {
				t.Errorf("%s, call %d: the server counted %d calls", id, i, google.Count(id)-before)
			}
		}
	}
	if err := s.checker.Err(); err != nil {
		t.Error(err)
	}
	var has []string
	for _, m := range implemented(t, newGoogle(t)) {
		has = append(has, m.ID)
	}
	if driven := s.checker.Answered(); !slices.Equal(driven, has) {
		t.Errorf("driven here:\n%q\nimplemented there:\n%q", driven, has)
	}
}

// TestEveryMethodOfTheServerHasAPrice compares both price lists with what the server has.
func TestEveryMethodOfTheServerHasAPrice(t *testing.T) {
	t.Parallel()
	var has []string
	for _, m := range implemented(t, newGoogle(t)) {
		has = append(has, m.ID)
	}
	for name, prices := range map[string]map[string]int{"since 2026": gmailtest.PricesSince2026(), "before 2026": gmailtest.PricesBefore2026()} {
		if priced := slices.Sorted(maps.Keys(prices)); !slices.Equal(priced, has) {
			t.Errorf("priced %s:\n%q\nimplemented:\n%q", name, priced, has)
		}
		for id, units := range prices {
			if units <= 0 {
				t.Errorf("%s costs %d units %s", id, units, name)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

// implemented asks the server for every path of the document, under every HTTP method, and returns the
// methods that it took the calls for. It fails where that is another method than the document's.
func implemented(t *testing.T, google *google) []*discovery.Method {
	t.Helper()
	document := gmailDocument(t)
	var has []*discovery.Method
	before := google.Counts()
	for m := range document.Methods() {
		path := google.path(m)
		for _, verb := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			req, err := http.NewRequestWithContext(t.Context(), verb, google.APIURL()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := google.Transport().RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			meant, after := document.Find(verb, path), google.Counts()
			for id := range after {
				switch {
				case after[id] == before[id]:
				case meant == nil || meant.ID != id:
					t.Errorf("%s %s is taken for %s, which the document does not say", verb, path, id)
				case meant == m:
					has = append(has, m)
				}
			}
			before = after
		}
	}
	return has
}

// path returns a path to m, without a leading slash, that leads to something wherever it can.
func (g *google) path(m *discovery.Method) string {
	id := g.question
	switch {
	case strings.HasPrefix(m.ID, "gmail.users.labels."):
		id = "INBOX"
	case strings.HasPrefix(m.ID, "gmail.users.drafts."):
		id, _ = g.box.SaveDraft("", []byte("Subject: a draft\r\n\r\n")) // it is not empty
	}
	return m.Expand(map[string]string{"userId": "me", "id": id, "messageId": g.report})
}

// try calls m and returns the HTTP status and the body.
func (s *session) try(t *testing.T, google *google, m *discovery.Method, query string) (int, string) {
	t.Helper()
	var body io.Reader
	if m.Request != nil {
		body = strings.NewReader("{}")
	}
	req, err := http.NewRequestWithContext(t.Context(), m.HTTPMethod, google.APIURL()+google.path(m)+query, body)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

// TestScopesAreThoseOfTheDocument calls each method with a token for each scope of Gmail's alone.
func TestScopesAreThoseOfTheDocument(t *testing.T) {
	t.Parallel()
	google := newGoogle(t)
	methods := implemented(t, google)
	scopes := make(map[string]bool)
	for m := range gmailDocument(t).Methods() {
		for _, scope := range m.Scopes {
			// Add-ons' scopes need a second token, which Gmail's own pages give to add-ons alone.
			scopes[scope] = !strings.Contains(scope, ".addons.")
		}
	}
	for scope, usable := range scopes {
		if !usable {
			continue
		}
		s := google.session(t, google.token(t, scope))
		for _, m := range methods {
			query := ""
			if scope == gmail.GmailMetadataScope && m.Parameters["format"] != nil {
				query = "?format=metadata" // all that this scope may see
			}
			code, _ := s.try(t, google, m, query)
			if allowed := code != http.StatusForbidden; allowed != slices.Contains(m.Scopes, scope) {
				t.Errorf("%s with %s: HTTP %d, the document says otherwise", m.ID, scope, code)
			}
		}
	}
}

// TestParametersAreThoseOfTheDocument gives each method each query parameter of every method, and one that
// Gmail has nowhere. As Google does, the server has to refuse what the method lacks.
func TestParametersAreThoseOfTheDocument(t *testing.T) {
	t.Parallel()
	google := newGoogle(t)
	methods := implemented(t, google)
	s := google.session(t, google.token(t, gmail.GmailModifyScope))
	common := gmailDocument(t).Parameters
	names := map[string]bool{"subject": true}
	for name := range common {
		names[name] = true
	}
	for m := range gmailDocument(t).Methods() {
		for name, p := range m.Parameters {
			if p.Location == "query" {
				names[name] = true
			}
		}
	}
	for _, m := range methods {
		var ignored, missing []string
		for _, name := range slices.Sorted(maps.Keys(names)) {
			code, body := s.try(t, google, m, "?"+name+"=")
			refused := code == http.StatusBadRequest && strings.Contains(body, `Unknown name \"`+name+`\"`)
			switch has := m.Parameters[name] != nil || common[name] != nil; {
			case has && refused:
				missing = append(missing, name)
			case !has && !refused:
				ignored = append(ignored, name)
			}
		}
		if len(ignored)+len(missing) > 0 {
			t.Errorf("%s takes %q, which the document lacks, and refuses %q, which it has", m.ID, ignored, missing)
		}
	}
}
