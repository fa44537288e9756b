package authflow_test

import (
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// note returns under what key a revocation is noted, and the record.
func (x *fixture) note(t *testing.T) (key string, rec tokenstore.Record) {
	t.Helper()
	for k, err := range tokenstore.List(t.Context(), x.store, "ns:") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(k, "/grant/"+adaID) {
			key = k
		}
	}
	rec, err := x.store.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("no revocation is noted: %v", err)
	}
	return key, rec
}

// damageNote makes what is noted of a revocation unreadable, and returns what mends it.
func (x *fixture) damageNote(t *testing.T) (mend func()) {
	t.Helper()
	key, rec := x.note(t)
	swap := func(old string, next tokenstore.Record) {
		if err := x.store.TokenStore.Swap(t.Context(), key, old, next); err != nil {
			t.Error(err)
		}
	}
	swap(rec.Version, tokenstore.Record{Version: "damaged", Data: rec.Data[:len(rec.Data)-1]})
	return func() { swap("damaged", rec) }
}

// crashInRevoke leaves a revocation that is noted, of a grant that is not marked.
func (x *fixture) crashInRevoke(t *testing.T) {
	t.Helper()
	store := &ambiguousStore{TokenStore: x.store}
	store.lose.Store(2) // the first notes, the second marks
	flow := x.flow(t, func(cfg *authflow.Config) { cfg.Store = store })
	if err := flow.Revoke(t.Context(), adaID); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("Revoke: %v", err)
	}
}

func TestADamagedRevocationIsMadeAnewFromTheGrant(t *testing.T) {
	t.Parallel()
	retry := func(t *testing.T, x *fixture) {
		t.Helper()
		if told, err := x.retry(t); told != 1 || err != nil {
			t.Errorf("RetryRevocations told %d: %v", told, err)
		}
	}
	refuse := func(t *testing.T, x *fixture, creds *authflow.Credentials) {
		t.Helper()
		x.google.Revoke(ada)
		pass(time.Hour)
		_, err := creds.Token()
		ended(t, err, tokenstore.ReasonInvalidGrant)
	}
	for name, c := range map[string]struct {
		before func(t *testing.T, x *fixture, creds *authflow.Credentials)
		by     func(t *testing.T, x *fixture)
		intact bool // the note, for once
		reason tokenstore.Reason
	}{
		"by RetryRevocations": {by: retry, reason: tokenstore.ReasonApplication},
		"by Revoke": {by: func(t *testing.T, x *fixture) {
			t.Helper()
			if err := x.flow(t).Revoke(t.Context(), adaID); err != nil {
				t.Errorf("Revoke: %v", err)
			}
		}, reason: tokenstore.ReasonApplication},
		"though that has ended":                             {before: refuse, by: retry, reason: tokenstore.ReasonInvalidGrant},
		"as one that is intact, of a grant that has ended,": {before: refuse, by: retry, intact: true, reason: tokenstore.ReasonInvalidGrant},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gmailtest.Config{}, func(t *testing.T, x *fixture) {
				creds := x.connect(t, x.flow(t))
				secret := x.stored(t).RefreshToken
				if c.before != nil {
					c.before(t, x, creds)
				}
				x.crashInRevoke(t)
				if !c.intact {
					x.damageNote(t)
				}
				c.by(t, x)
				if x.works(t, secret) || x.google.Count("revoke") != 1 {
					t.Errorf("the provider was told %d times", x.google.Count("revoke"))
				}
				if after := x.stored(t); !after.Status.Revoked || after.RefreshToken != "" || after.Status.Reason != c.reason {
					t.Errorf("stored %+v, with a token: %v", after, after.RefreshToken != "")
				}
				x.noRevocationLeft(t)
			})
		})
	}
}

func TestARevocationThatNobodyCanTellIsReportedOnce(t *testing.T) {
	t.Parallel()
	for name, forgotten := range map[string]bool{"of a grant that has ended": false, "of a grant that is forgotten": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			flow := x.flow(t)
			x.connect(t, flow)
			x.google.Inject(gmailtest.Fault{Op: "revoke", Status: 503, Times: 1})
			pending(t, flow.Revoke(t.Context(), adaID))
			x.damageNote(t)
			if forgotten {
				if err := flow.Forget(t.Context(), adaID); err != nil {
					t.Fatal(err)
				}
			} else {
				pending(t, flow.Revoke(t.Context(), adaID))
			}
			told, err := x.retry(t)
			lost, ok := errors.AsType[*authflow.RevocationLostError](err)
			if !ok || told != 0 || lost.UserID != adaID || !errors.As(err, new(*tokenstore.UnsealError)) || errors.As(err, new(*authflow.RevocationPendingError)) {
				t.Errorf("RetryRevocations told %d: %v", told, err)
			}
			if text := lost.LogValue().String(); !strings.Contains(text, adaID) {
				t.Errorf("logged as %s", text)
			}
			x.noRevocationLeft(t)
			if err := x.flow(t).Revoke(t.Context(), adaID); forgotten != errors.Is(err, tokenstore.ErrNotFound) || !forgotten && err != nil {
				t.Errorf("Revoke: %v", err)
			}
		})
	}
}

func TestADamagedRevocationThatANewConsentSupersedesIsDropped(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	x.connect(t, flow)
	x.google.Inject(gmailtest.Fault{Op: "revoke", Status: 503, Times: 1})
	pending(t, flow.Revoke(t.Context(), adaID))
	x.damageNote(t)
	x.connect(t, flow)
	before := x.stored(t)
	x.noRevocationLeft(t)
	x.unchanged(t, before)
	for key, err := range tokenstore.List(t.Context(), x.store, "ns:") {
		if err != nil || strings.Contains(key, adaID) {
			t.Errorf("%s is left, %v", key, err)
		}
	}
	if !x.works(t, before.RefreshToken) {
		t.Error("the new grant has ended")
	}
}

func TestARevocationThatIsNotedAnewMeanwhileIsNotDropped(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	x.connect(t, flow)
	secret := x.stored(t).RefreshToken
	x.google.Inject(gmailtest.Fault{Op: "revoke", Status: 503, Times: 1})
	pending(t, flow.Revoke(t.Context(), adaID))
	x.store.interrupt(x.damageNote(t)) // before the damaged one is removed
	_, err := x.retry(t)
	pending(t, err)
	if told, err := x.retry(t); told != 1 || err != nil || x.works(t, secret) {
		t.Errorf("RetryRevocations told %d: %v", told, err)
	}
}

func TestARevocationOfAGrantThatCannotBeReadWaits(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	x.connect(t, flow)
	secret := x.stored(t).RefreshToken
	x.google.Inject(gmailtest.Fault{Op: "revoke", Status: 503, Times: 1})
	pending(t, flow.Revoke(t.Context(), adaID))
	x.damage(t) // it may be a new consent that the revocation would end
	for range 2 {
		_, err := x.retry(t)
		pending(t, err)
	}
	if err := flow.Forget(t.Context(), adaID); err != nil {
		t.Fatal(err)
	}
	if told, err := x.retry(t); told != 1 || err != nil || x.works(t, secret) {
		t.Errorf("RetryRevocations told %d: %v", told, err)
	}
}

// A service is a key management service that may be down.
type service struct {
	tokenstore.AEAD
	down atomic.Bool
}

func (s *service) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	if s.down.Load() {
		return nil, errors.New("the key management service is down")
	}
	return s.AEAD.Decrypt(ciphertext, associatedData)
}

func TestARevocationThatCannotBeReadForNowIsToldLater(t *testing.T) {
	t.Parallel()
	for name, setup := range map[string]func(t *testing.T, x *fixture) (keys tokenstore.AEAD, lose, restore func(cfg *authflow.Config)){
		"since its key is missing": func(t *testing.T, x *fixture) (tokenstore.AEAD, func(*authflow.Config), func(*authflow.Config)) {
			t.Helper()
			other := newKeyring(t)
			return x.keys, func(cfg *authflow.Config) { cfg.Keys = other }, func(cfg *authflow.Config) { cfg.Keys = x.keys }
		},
		"since a key management service is down": func(t *testing.T, x *fixture) (tokenstore.AEAD, func(*authflow.Config), func(*authflow.Config)) {
			t.Helper()
			kms := &service{AEAD: x.keys}
			use := func(down bool) func(*authflow.Config) {
				return func(cfg *authflow.Config) { kms.down.Store(down); cfg.Keys = kms }
			}
			return kms, use(true), use(false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t, gmailtest.Config{})
			keys, lose, restore := setup(t, x)
			flow := x.flow(t, func(cfg *authflow.Config) { cfg.Keys = keys })
			x.connect(t, flow)
			secret := x.stored(t).RefreshToken
			x.google.Inject(gmailtest.Fault{Op: "revoke", Status: 503, Times: 1})
			pending(t, flow.Revoke(t.Context(), adaID))
			if err := flow.Forget(t.Context(), adaID); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				_, err := x.flow(t, lose).RetryRevocations(t.Context())
				pending(t, err)
			}
			if told, err := x.flow(t, restore).RetryRevocations(t.Context()); told != 1 || err != nil || x.works(t, secret) {
				t.Errorf("RetryRevocations told %d: %v", told, err)
			}
		})
	}
}

func TestARevocationWhoseKeyIsLostCanBeGivenUp(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	flow := x.flow(t)
	x.connect(t, flow)
	x.google.Inject(gmailtest.Fault{Op: "revoke", Status: 503, Times: 1})
	pending(t, flow.Revoke(t.Context(), adaID))
	if err := flow.Forget(t.Context(), adaID); err != nil {
		t.Fatal(err)
	}
	x.keys = newKeyring(t)
	_, err := x.retry(t)
	unreadable, ok := errors.AsType[*tokenstore.UnsealError](err)
	if !ok {
		t.Fatalf("RetryRevocations: %v", err)
	}
	notes, err := tokenstore.NewGrants(tokenstore.Namespace(x.store, "mailgrant revocations"), x.keys)
	if err != nil {
		t.Fatal(err)
	}
	if err := notes.Delete(t.Context(), unreadable.UserID); err != nil {
		t.Fatal(err)
	}
	x.noRevocationLeft(t)
}
