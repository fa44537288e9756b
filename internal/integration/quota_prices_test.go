package integration_test

import (
	"context"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
	"github.com/mailgrant/mailgrant/internal/integration/discovery"
)

// TestPricesAreCompleteForTheGmailAPI compares the price lists, and what requests are taken for, with the
// discovery document that lies beside the official client.
func TestPricesAreCompleteForTheGmailAPI(t *testing.T) {
	t.Parallel()
	const pkg = "google.golang.org/api/gmail/v1"
	dir, err := exec.CommandContext(context.Background(), "go", "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		t.Fatal(err)
	}
	document, err := discovery.Load(filepath.Join(strings.TrimSpace(string(dir)), "gmail-api.json"))
	if err != nil {
		t.Fatal(err)
	}
	since, before := quota.Since2026(), quota.Before2026()
	if len(since) != len(before) {
		t.Errorf("%d methods have a price since 2026, %d before", len(since), len(before))
	}
	for m := range document.Methods() {
		for list, prices := range map[string]quota.Prices{"since 2026": since, "before 2026": before} {
			if units := prices[m.ID]; units < 1 || units > 100 {
				t.Errorf("%s costs %d units %s", m.ID, units, list)
			}
		}
		delete(since, m.ID)
		delete(before, m.ID)

		path := m.Path
		for name := range m.Parameters {
			path = strings.ReplaceAll(path, "{"+name+"}", "a%2Fb")
		}
		for _, prefix := range []string{"/", "/upload/", "/resumable/upload/"} {
			req, err := http.NewRequest(m.HTTPMethod, "https://gmail.googleapis.com"+prefix+path+"?alt=json", nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := quota.MethodOf(req); got != m.ID {
				t.Errorf("%s %s is taken for %q, not for %s", m.HTTPMethod, req.URL, got, m.ID)
			}
		}
	}
	for id := range since {
		t.Errorf("the API has no %s", id)
	}
}
