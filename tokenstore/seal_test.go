package tokenstore_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
)

func TestTheStoreSeesNothingReadable(t *testing.T) {
	t.Parallel()
	store := tokenstore.NewMemory()
	grant := fullGrant("1122")
	mustPut(t, newGrants(t, store), grant)
	all := records(t, store)
	if keys := slices.Collect(maps.Keys(all)); !slices.Equal(keys, []string{"grant/1122"}) {
		t.Fatalf("the keys are %q", keys)
	}
	for _, rec := range all {
		for _, word := range append(grant.Scopes, refreshToken, accessToken, grant.Email, grant.ID, grant.ClientID, grant.LastError,
			grant.Lease.Holder, string(grant.Status.Reason), "1122", "2026-", `"rt"`, `"sub"`) {
			if bytes.Contains(rec.Data, []byte(word)) {
				t.Errorf("the stored bytes show %q", word)
			}
		}
		if shows(string(rec.Data), []byte(refreshToken)) || shows(string(rec.Data), testKey(1)) {
			t.Error("the stored bytes show a secret")
		}
	}
}

// releasedRecord is fullGrant("1122") as Grants of the first test key stored it in the
// format that is released: it must be readable for ever.
var releasedRecord = tokenstore.Record{Version: "R4SCVWNK64Q3GFJCBV43KG3AXA", Data: releasedData}

// A decoder of base64 passes over line ends.
var releasedData, _ = base64.StdEncoding.DecodeString(`
AbS/eWh5WVLsIe/tfmwOGCdjASpfZmmwAvVKmG1nUvAUuWr8iW2KezXbO1EQSbsHlDxALdW002ToTwPRB2qAPQRK1jyFmgrCgm0VHGreS0IE
6uvcTb04BMdDGBOCxw6HIGwnpuX9p2BhZb1UM2NHWGSUzkpV/sNbElh8oM4oN4ypK4wMLnqCeU3uHdB0APpG8UExzO8QiENk2wegVMzO0xIS
FGTFk8xoLo7QMp74BEv98zWvFxOL/6BTK3crU2uwhhMJSznVIxVulzcMAPxWHUXGwN5KxGEpNpL7QyE+R0r1hMuNwHI8qAZX7pqGd6I35OzL
14XVkbsuWzYaEckVIFaQul0A1ScKCBK2qYE9vLJfN4+g8c6zjqgd9cCpwfp1xzEBv5/GYTv57bCQpUF0qjJyjQJ5CBwQmkldLqIx+hAQCF6o
Nqx73UaQZ5I3NpoTqW6AsM4NO2DKMMGg97E5FRq2BPNueGyEHrD4NBKZpU5ay4zdcz+CI83Qf4+6BsluOkv4enQ9aUUkO50iSV4Pn+SmuIGc
hitAt13hJjN5ZfdaygAY1jHBplbYiysyAeBZVQd2aCWfUiwaYTLIxSLu2IFtymwBaKlrvE+imbHkVeKTdpDOW1yHdyppqc1ctBujxp0yvbFF
zqT74QXrYt+QiKNsSvBV65gJ9JzhPg8guig/17CIiA79VwrpAwzZzZ2wWZ3T+MfrWnQh3rRpOnaP4KflOGXqk6+3CWXvYhZapdz493qTw0Fe
7z3rVLL4RiClQBIpTsaKV2IYdLl1HwoG3xuuO5nbndt5X3JsTEYgOzYHA7z8QIdaDusAIf4SX4TPhyvd9aD3zYqYKyd+LQCBS0quGu/evK7W
UbNgSOr1R9gPjKjJW/x0oPebW4KSUFWrhuTYx4Cg8Wg7JTa58uoPz+Wf1ambVowBkQPvDMJiy+1xkw0R1Jd0qGU34a94c2VhRDTMOT742nfR
P+zy/g==`)

// oneRecord is a store in which every key holds the same record.
type oneRecord struct {
	tokenstore.TokenStore
	tokenstore.Record
}

func (s oneRecord) Get(context.Context, string) (tokenstore.Record, error) { return s.Record, nil }

func TestGrantsReadWhatAReleaseStored(t *testing.T) {
	t.Parallel()
	got := mustGet(t, newGrants(t, oneRecord{Record: releasedRecord}), "1122")
	if got.Version() != releasedRecord.Version || fmt.Sprintf("%+v", got.Scopes) != fmt.Sprintf("%+v", fullGrant("1122").Scopes) ||
		got.RefreshToken != refreshToken || got.AccessToken != accessToken {
		t.Errorf("Get = %+v", got)
	}
}

// A forgery is what an attacker, or a broken backup, has to put in the place of current.
type forgery struct {
	current, older, otherUser, otherNamespace tokenstore.Record

	ofTheKeyring, ofAnotherKeyring []byte // sealed for no grant at all
}

func newForgery(t *testing.T, store tokenstore.TokenStore) forgery {
	t.Helper()
	grants, grant := newGrants(t, store), fullGrant("1122")
	mustPut(t, grants, grant)
	older := records(t, store)["grant/1122"]
	mustPut(t, grants, grant)
	mustPut(t, grants, fullGrant("3344"))
	other := tokenstore.NewMemory()
	mustPut(t, newGrants(t, tokenstore.Namespace(other, "tenant")), fullGrant("1122"))
	return forgery{
		current: records(t, store)["grant/1122"], older: older, otherUser: records(t, store)["grant/3344"],
		otherNamespace:   records(t, other)["ns:tenant/grant/1122"],
		ofTheKeyring:     mustEncrypt(t, testRing(t, 1), `{"v":1,"sub":"1122"}`, ""),
		ofAnotherKeyring: mustEncrypt(t, testRing(t, 2), `{"v":1,"sub":"1122"}`, ""),
	}
}

func TestWhatIsNotTheStoredGrantIsRefused(t *testing.T) {
	t.Parallel()
	type record = tokenstore.Record
	withData := func(edit func(f forgery, data []byte) []byte) func(forgery) record {
		return func(f forgery) record { return record{Version: f.current.Version, Data: edit(f, f.current.Data)} }
	}
	for name, forge := range map[string]func(forgery) record{
		"the record of another user":          func(f forgery) record { return f.otherUser },
		"the same user in another namespace":  func(f forgery) record { return f.otherNamespace },
		"newer data under the older version":  func(f forgery) record { return record{f.older.Version, f.current.Data} },
		"the same data under another version": func(f forgery) record { return record{f.current.Version + "x", f.current.Data} },
		"a version in other letters":          func(f forgery) record { return record{strings.ToLower(f.current.Version), f.current.Data} },
		"older data under the newer version":  withData(func(f forgery, _ []byte) []byte { return f.older.Data }),
		"no data":                             withData(func(forgery, []byte) []byte { return nil }),
		"a truncated record":                  withData(func(_ forgery, d []byte) []byte { return d[:len(d)-1] }),
		"half a record":                       withData(func(_ forgery, d []byte) []byte { return d[:len(d)/2] }),
		"a record with something appended":    withData(func(_ forgery, d []byte) []byte { return append(d, 0) }),
		"a record with its first byte gone":   withData(func(_ forgery, d []byte) []byte { return d[1:] }),
		"a changed byte": withData(func(_ forgery, d []byte) []byte {
			d[len(d)/2] ^= 1
			return d
		}),
		"bytes of another program":                   withData(func(forgery, []byte) []byte { return []byte("\x80\x04}q\x00.") }),
		"what the keyring sealed for something else": withData(func(f forgery, _ []byte) []byte { return f.ofTheKeyring }),
		"what a key that is gone sealed":             withData(func(f forgery, _ []byte) []byte { return f.ofAnotherKeyring }),
		"a grant in plain text": withData(func(forgery, []byte) []byte {
			return []byte(`{"v":1,"sub":"1122","rt":"` + refreshToken + `"}`)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := tokenstore.NewMemory()
			grants := newGrants(t, store)
			f := newForgery(t, store)
			forged := forge(f)
			if err := store.Swap(t.Context(), "grant/1122", f.current.Version, forged); err != nil {
				t.Fatal(err)
			}
			got, err := grants.Get(t.Context(), "1122")
			var unseal *tokenstore.UnsealError
			if got != nil || !errors.As(err, &unseal) {
				t.Fatalf("Get = %v, %v; want *UnsealError", got, err)
			}
			if unseal.UserID != "1122" || !strings.Contains(err.Error(), `"1122"`) {
				t.Errorf("the error does not name the user: %v", err)
			}
			var unknown *tokenstore.UnknownKeyError
			if missing := bytes.Equal(forged.Data, f.ofAnotherKeyring); errors.As(err, &unknown) != missing {
				t.Errorf("a key is missing: %t; the error says: %v", missing, err)
			}
			for how, text := range renderings(err) {
				if shows(text, []byte(refreshToken)) || shows(text, []byte(accessToken)) || shows(text, testKey(1)) {
					t.Errorf("the error shows a secret in %s: %s", how, text)
				}
			}
			if err := grants.Put(t.Context(), fullGrant("1122")); !errors.Is(err, tokenstore.ErrConflict) {
				t.Errorf("a new grant over the unreadable one: %v; want ErrConflict", err)
			}
			if now := records(t, store)["grant/1122"]; now.Version != forged.Version || !bytes.Equal(now.Data, forged.Data) {
				t.Error("the unreadable record was changed")
			}
		})
	}
}

// opened is an AEAD that opens everything: what it is given is the plaintext.
type opened struct{ *tokenstore.Keyring }

func (opened) Decrypt(ciphertext, _ []byte) ([]byte, error) { return ciphertext, nil }

func FuzzUnseal(f *testing.F) {
	ring := testRing(f, 1, 2)
	f.Add(releasedRecord.Version, releasedRecord.Data, "1122")
	f.Add(releasedRecord.Version, releasedRecord.Data, "3344")
	f.Add("", releasedRecord.Data, "1122")
	f.Add(releasedRecord.Version, releasedRecord.Data[:100], "1122")
	f.Add("v", []byte(`{"v":1,"sub":"1122","scopes":["a"],"lease":{"duration":1},"exp":"2026-03-01T12:00:00Z"}`), "1122")
	f.Add("v", []byte(`{"v":2,"sub":"1122"}`), "1122")
	f.Fuzz(func(t *testing.T, version string, data []byte, userID string) {
		rec := tokenstore.Record{Version: version, Data: data}
		for _, aead := range []tokenstore.AEAD{ring, opened{ring}} {
			grants, err := tokenstore.NewGrants(oneRecord{Record: rec}, aead)
			if err != nil {
				t.Fatal(err)
			}
			grant, err := grants.Get(t.Context(), userID)
			var unseal *tokenstore.UnsealError
			switch {
			case err != nil && (grant != nil || !errors.As(err, &unseal) || unseal.UserID != userID):
				t.Errorf("Get = %v, %v; want *UnsealError of user %q", grant, err, userID)
			case err == nil && (grant.UserID != userID || grant.Version() != version):
				t.Errorf("Get = the grant of %q at %q", grant.UserID, grant.Version())
			case err == nil && aead == ring && (version != releasedRecord.Version || !bytes.Equal(data, releasedRecord.Data)):
				t.Errorf("a record that was never sealed opens as %v", grant)
			}
		}
	})
}
