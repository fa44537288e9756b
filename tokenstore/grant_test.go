package tokenstore_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

const (
	refreshToken = "1//0refresh-token-of-the-tests"
	accessToken  = "ya29.access-token-of-the-tests"
)

// fullGrant returns a grant of userID in which every exported field is set.
func fullGrant(userID string) *tokenstore.Grant {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	return &tokenstore.Grant{
		UserID:             userID,
		Email:              "zoë@example.com",
		ID:                 "grant-id",
		ClientID:           "client.apps.googleusercontent.com",
		RefreshToken:       refreshToken,
		AccessToken:        accessToken,
		Expiry:             at.Add(time.Hour),
		RefreshTokenExpiry: at.Add(7 * 24 * time.Hour),
		Scopes:             []string{"openid", "https://www.googleapis.com/auth/gmail.readonly"},
		Status:             tokenstore.Status{Revoked: true, Reason: tokenstore.ReasonInvalidGrant, At: at.Add(time.Minute)},
		LastRefresh:        at.Add(time.Second),
		LastError:          "503 Service Unavailable",
		Lease:              &tokenstore.Lease{Holder: "replica-7", Duration: time.Minute, TakenAt: at},
		CreatedAt:          at,
		UpdatedAt:          at.Add(2 * time.Minute),
	}
}

func TestFullGrantLeavesNoFieldOut(t *testing.T) {
	t.Parallel()
	v := reflect.ValueOf(*fullGrant("1122"))
	for field := range v.Type().Fields() {
		if field.IsExported() && v.FieldByIndex(field.Index).IsZero() {
			t.Errorf("%s is not set: the tests of cloning, storing and redacting would overlook it", field.Name)
		}
	}
}

func TestGrantNeverShowsItsTokens(t *testing.T) {
	t.Parallel()
	for shape, v := range nestings(*fullGrant("1122")) {
		for how, text := range renderings(v) {
			if shows(text, []byte(refreshToken)) || shows(text, []byte(accessToken)) {
				t.Errorf("%s in %s shows a token: %s", shape, how, text)
			}
		}
	}
	// The same search finds a token where one is.
	for how, text := range renderings(struct{ Secret string }{refreshToken}) {
		if !shows(text, []byte(refreshToken)) {
			t.Errorf("this test would overlook a token in %s: %s", how, text)
		}
	}
}

func TestGrantShowsWhatIsNoSecret(t *testing.T) {
	t.Parallel()
	const token = "[redacted]"
	for name, c := range map[string]struct {
		edit         func(*tokenstore.Grant)
		wantRefresh  any
		wantAccess   any
		wantVerb     string
		wantNotInLog string
	}{
		"a grant with both tokens": {func(*tokenstore.Grant) {}, token, token, "RefreshToken:[redacted] AccessToken:[redacted]", token},
		"a grant whose access token is not there yet": {
			func(g *tokenstore.Grant) { g.AccessToken = "" }, token, nil, "RefreshToken:[redacted] AccessToken: ", token,
		},
		"a grant without tokens": {
			func(g *tokenstore.Grant) { g.AccessToken, g.RefreshToken = "", "" }, nil, nil, "RefreshToken: AccessToken: ", token,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := fullGrant("1122")
			c.edit(g)
			var fields map[string]any
			data, err := json.Marshal(g)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(data, &fields); err != nil {
				t.Fatal(err)
			}
			if fields["rt"] != c.wantRefresh || fields["at"] != c.wantAccess {
				t.Errorf("JSON says rt %v, at %v; want %v, %v", fields["rt"], fields["at"], c.wantRefresh, c.wantAccess)
			}
			if fields["sub"] != "1122" || fields["email"] != "zoë@example.com" || fields["error"] != "503 Service Unavailable" {
				t.Errorf("JSON lacks who it is and what happened: %s", data)
			}
			if text := fmt.Sprintf("%+v", g); !strings.Contains(text, c.wantVerb) || !strings.Contains(text, "UserID:1122") {
				t.Errorf("%%+v = %s", text)
			}
			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("refreshed", "g", g)
			for _, want := range []string{"g.user=1122", "g.grant=grant-id", "g.revoked=true", "gmail.readonly"} {
				if !strings.Contains(log.String(), want) {
					t.Errorf("the log lacks %s: %s", want, &log)
				}
			}
		})
	}
}

func TestPrintingAGrantLeavesItAsItWas(t *testing.T) {
	t.Parallel()
	g := fullGrant("1122")
	renderings(g)
	if want := fullGrant("1122"); !reflect.DeepEqual(g, want) {
		t.Error("a token or another field is gone after the grant was printed")
	}
}

func TestCloneSharesNothing(t *testing.T) {
	t.Parallel()
	grants := newGrants(t, tokenstore.NewMemory())
	original := fullGrant("1122")
	mustPut(t, grants, original)
	clone := original.Clone()
	if !reflect.DeepEqual(clone, original) || clone.Version() != original.Version() {
		t.Fatalf("the clone %+v is not the original %+v", clone, original)
	}
	clone.Scopes[0], clone.Lease.Holder, clone.RefreshToken = "changed", "changed", "changed"
	if want := fullGrant("1122"); !reflect.DeepEqual(original.Scopes, want.Scopes) ||
		*original.Lease != *want.Lease || original.RefreshToken != want.RefreshToken {
		t.Errorf("a change of the clone reached the original: %+v", original)
	}
	if empty := new(tokenstore.Grant); !reflect.DeepEqual(empty.Clone(), empty) {
		t.Errorf("the clone of an empty grant is %+v", empty.Clone())
	}
}

func TestTheZeroStatusIsActive(t *testing.T) {
	t.Parallel()
	if got := new(tokenstore.Grant).Status; got != tokenstore.Active || got.Revoked {
		t.Errorf("a new grant has the status %+v", got)
	}
}

// rewriting is a keyring that hands out replaced text where it opened something.
type rewriting struct {
	*tokenstore.Keyring
	replace func(plaintext string) string
}

func (r rewriting) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	opened, err := r.Keyring.Decrypt(ciphertext, associatedData)
	return []byte(r.replace(string(opened))), err
}

func TestGrantsOfAnotherFormatAreRefused(t *testing.T) {
	t.Parallel()
	const secret = "secret-of-another-kind"
	replaceWith := func(text string) func(string) string { return func(string) string { return text } }
	for name, c := range map[string]struct {
		replace func(string) string
		say     string
	}{
		"a later format":               {strings.NewReplacer(`"v":1`, `"v":2`).Replace, "format 2, this release reads format 1"},
		"an earlier format":            {strings.NewReplacer(`"v":1`, `"v":0`).Replace, "format 0"},
		"no format":                    {strings.NewReplacer(`"v":1,`, ``).Replace, "format 0"},
		"a format that is no number":   {strings.NewReplacer(`"v":1`, `"v":"1"`).Replace, "not a grant"},
		"half a grant":                 {func(s string) string { return s[:len(s)/2] }, "not a grant"},
		"nothing":                      {replaceWith(""), "not a grant"},
		"null":                         {replaceWith("null"), "format 0"},
		"text":                         {replaceWith(secret), "not a grant"},
		"a token of an unknown type":   {replaceWith(`{"v":1,"sub":"1122","rt":["` + secret + `"]}`), "not a grant"},
		"a time that is a secret":      {replaceWith(`{"v":1,"sub":"1122","exp":"` + secret + `"}`), "not a grant"},
		"two grants":                   {func(s string) string { return s + s }, "not a grant"},
		"the grant of another user":    {strings.NewReplacer(`"1122"`, `"3344"`).Replace, "another user"},
		"a grant without its user":     {strings.NewReplacer(`"sub":"1122",`, ``).Replace, "another user"},
		"a user ID with other letters": {strings.NewReplacer(`"1122"`, `"1122 "`).Replace, "another user"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := tokenstore.NewMemory()
			mustPut(t, newGrants(t, store), fullGrant("1122"))
			grants, err := tokenstore.NewGrants(store, rewriting{testRing(t, 1), c.replace})
			if err != nil {
				t.Fatal(err)
			}
			got, err := grants.Get(t.Context(), "1122")
			var unseal *tokenstore.UnsealError
			if got != nil || !errors.As(err, &unseal) {
				t.Fatalf("Get = %v, %v; want *UnsealError", got, err)
			}
			if unseal.UserID != "1122" || !strings.Contains(err.Error(), c.say) {
				t.Errorf("the error is of user %q and does not say %q: %v", unseal.UserID, c.say, err)
			}
			for how, text := range renderings(err) {
				for _, s := range []string{refreshToken, accessToken, secret} {
					if shows(text, []byte(s)) {
						t.Errorf("the error shows a secret in %s: %s", how, text)
					}
				}
			}
		})
	}
	t.Run("a field that this release does not know is no reason", func(t *testing.T) {
		t.Parallel()
		store := tokenstore.NewMemory()
		mustPut(t, newGrants(t, store), fullGrant("1122"))
		grants, err := tokenstore.NewGrants(store, rewriting{testRing(t, 1),
			strings.NewReplacer(`"v":1`, `"v":1,"new":{"a":[1]}`).Replace})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := grants.Get(t.Context(), "1122"); err != nil || got.RefreshToken != refreshToken {
			t.Errorf("Get = %v, %v", got, err)
		}
	})
}
