package gmailtest_test

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

const (
	tokensRevoked = "https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked"
	tokenRevoked  = "https://schemas.openid.net/secevent/oauth/event-type/token-revoked"
	disabled      = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
	verification  = "https://schemas.openid.net/secevent/risc/event-type/verification"
)

// getJSON reads what is at url, whichever way the server is reached.
func getJSON(t *testing.T, s *gmailtest.Server, url string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s is answered %s: %v", url, res.Status, err)
	}
}

// opened returns the claims of a token that verifies with what the server publishes.
func opened(t *testing.T, s *gmailtest.Server, token string) (claims map[string]any) {
	t.Helper()
	var risc struct {
		Issuer  string `json:"issuer"`
		JWKSURL string `json:"jwks_uri"`
	}
	getJSON(t, s, s.RISCConfigurationURL(), &risc)
	var keys jose.JSONWebKeySet
	getJSON(t, s, risc.JWKSURL, &keys)
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	if typ := signed.Signatures[0].Protected.ExtraHeaders[jose.HeaderType]; typ != "secevent+jwt" {
		t.Errorf("the token is of type %v (RFC 8417, section 2.3)", typ)
	}
	payload, err := signed.Verify(&keys)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	if claims["iss"] != risc.Issuer {
		t.Errorf("the issuer is %v, the configuration says %s", claims["iss"], risc.Issuer)
	}
	return claims
}

func TestASecurityEventSaysWhatGooglesDo(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_795_000_000, 0)
	const token = "1//0-a-refresh-token-of-Ada's"
	once := sha512.Sum512([]byte(token))
	twice := sha512.Sum512(once[:])
	about := func(sub string) string {
		return `{"iss":"https://accounts.google.com/","sub":"` + sub + `","subject_type":"iss-sub"}`
	}
	for name, c := range map[string]struct {
		event gmailtest.SecurityEvent
		says  string // of its events
	}{
		"a user by address": {
			gmailtest.SecurityEvent{Type: tokensRevoked, User: ada}, `{"` + tokensRevoked + `":{"subject":` + about("7") + `}}`,
		},
		"a user by sub": {
			gmailtest.SecurityEvent{Type: tokensRevoked, User: "7"}, `{"` + tokensRevoked + `":{"subject":` + about("7") + `}}`,
		},
		"a user of nobody's": {
			gmailtest.SecurityEvent{Type: disabled, User: "8", Reason: "hijacking"},
			`{"` + disabled + `":{"reason":"hijacking","subject":` + about("8") + `}}`,
		},
		"a verification": {
			gmailtest.SecurityEvent{Type: verification, State: "hello"}, `{"` + verification + `":{"state":"hello"}}`,
		},
		"a token by its beginning": {
			gmailtest.SecurityEvent{Type: tokenRevoked, RefreshToken: token},
			`{"` + tokenRevoked + `":{"subject":{"subject_type":"oauth_token","token":"1//0-a-refresh-t","token_identifier_alg":"prefix",` +
				`"token_type":"refresh_token"}}}`,
		},
		"a token by its hash": {
			gmailtest.SecurityEvent{Type: tokenRevoked, RefreshToken: token, Hashed: true},
			`{"` + tokenRevoked + `":{"subject":{"subject_type":"oauth_token","token":"` + base64.StdEncoding.EncodeToString(twice[:]) +
				`","token_identifier_alg":"hash_base64_sha512_sha512","token_type":"refresh_token"}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, gmailtest.Config{Now: func() time.Time { return now }})
			s.AddUser(gmailtest.User{Email: ada, Sub: "7"})
			set, err := s.SecurityEventToken(c.event)
			if err != nil {
				t.Fatal(err)
			}
			claims := opened(t, s, set)
			if claims["aud"] != gmailtest.DefaultClient().ID || claims["iat"] != float64(now.Unix()) || claims["jti"] == "" || claims["exp"] != nil {
				t.Errorf("claims %v", claims)
			}
			if says, err := json.Marshal(claims["events"]); err != nil || string(says) != c.says {
				t.Errorf("the event is\n%s, want\n%s", says, c.says)
			}
		})
	}
}

func TestASecurityEventIsForTheAudienceAndOfTheTimeThatTheTestGives(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	e := gmailtest.SecurityEvent{Type: verification, ClientID: "another", ID: "1", IssuedAt: time.Unix(7, 0)}
	set, err := s.SecurityEventToken(e)
	if err != nil {
		t.Fatal(err)
	}
	if claims := opened(t, s, set); claims["aud"] != "another" || claims["jti"] != "1" || claims["iat"] != 7.0 {
		t.Errorf("claims %v", claims)
	}
}

func TestSecurityEventsArePostedAsGooglePostsThem(t *testing.T) {
	t.Parallel()
	for name, s := range reached(t, gmailtest.Config{}) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			posted := make(chan map[string]any, 1)
			receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/secevent+jwt" {
					t.Errorf("%s of %s: %v", r.Method, r.Header.Get("Content-Type"), err)
				}
				posted <- opened(t, s, string(body))
				w.WriteHeader(http.StatusAccepted)
			}))
			defer receiver.Close()
			e := gmailtest.SecurityEvent{Type: verification, ID: "the event", State: "hello"}
			if err := s.PostSecurityEvent(t.Context(), receiver.Client(), receiver.URL, e); err != nil {
				t.Fatal(err)
			}
			if claims := <-posted; claims["jti"] != "the event" {
				t.Errorf("posted %v", claims)
			}
			if s.Count("risc") != 1 || s.Count("certs") != 1 {
				t.Errorf("the configuration was asked for %d times, the keys %d times", s.Count("risc"), s.Count("certs"))
			}
		})
	}
}

func TestAReceiverThatRefusesASecurityEventIsAnError(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"err":"invalid_audience"}`, http.StatusBadRequest)
	}))
	defer receiver.Close()
	err := s.PostSecurityEvent(t.Context(), nil, receiver.URL, gmailtest.SecurityEvent{Type: verification})
	if err == nil || !strings.Contains(err.Error(), "400 Bad Request") || !strings.Contains(err.Error(), "invalid_audience") {
		t.Errorf("%v", err)
	}
}

func TestSecurityEventsFollowTheRotationOfKeys(t *testing.T) {
	t.Parallel()
	s := newServer(t, gmailtest.Config{})
	before, err := s.SecurityEventToken(gmailtest.SecurityEvent{Type: verification})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RotateSigningKey(); err != nil {
		t.Fatal(err)
	}
	after, err := s.SecurityEventToken(gmailtest.SecurityEvent{Type: verification})
	if err != nil {
		t.Fatal(err)
	}
	opened(t, s, before) // its key stays published
	opened(t, s, after)
	if strings.Split(before, ".")[0] == strings.Split(after, ".")[0] {
		t.Error("both name the same key")
	}
}
