package authflow

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// A TokenHint names a refresh token without showing it, as Google's security events do. One of its fields is set.
// See https://developers.google.com/identity/protocols/risc#token_identifiers.
type TokenHint struct {
	Prefix       string // its first 16 characters
	DoubleSHA512 string // base64 of SHA-512(SHA-512(token))
}

const hintPrefix = 16 // characters

// hints returns all that a refresh token can be named by.
func hints(refreshToken string) []TokenHint {
	all := []TokenHint{{DoubleSHA512: doubleSHA512(refreshToken)}}
	if len(refreshToken) > hintPrefix {
		all = append(all, TokenHint{Prefix: refreshToken[:hintPrefix]})
	}
	return all
}

func doubleSHA512(token string) string {
	once := sha512.Sum512([]byte(token))
	twice := sha512.Sum512(once[:])
	return base64.StdEncoding.EncodeToString(twice[:])
}

// names reports whether h names that refresh token.
func (h TokenHint) names(refreshToken string) bool {
	return slices.ContainsFunc(hints(refreshToken), func(own TokenHint) bool {
		return subtle.ConstantTimeCompare([]byte(h.text()), []byte(own.text())) == 1
	})
}

func (h TokenHint) text() string { return h.Prefix + "\x00" + h.DoubleSHA512 }

// MarkTokenRevoked is MarkRevoked for the grant whose stored refresh token hint names, and returns whose it is. It needs
// Config.IndexRefreshTokens.
//
// Errors: tokenstore.ErrNotFound, wrapped, if no stored grant has such a token; what the store answers otherwise.
func (f *Flow) MarkTokenRevoked(ctx context.Context, hint TokenHint, reason tokenstore.Reason) (userID string, err error) {
	_, entry, err := f.readIndex(ctx, f.indexKey(hint))
	if err != nil {
		return "", fmt.Errorf("authflow: mark the grant of a token revoked: %w", err)
	}
	for _, userID := range entry {
		_, err := f.markRevoked(ctx, userID, reason, func(_ context.Context, grant *tokenstore.Grant) error {
			if !hint.names(grant.RefreshToken) {
				return errSuperseded // the index is behind, or of several tokens that begin alike another is meant
			}
			return nil
		})
		if err == nil {
			return userID, nil
		}
		if !superseded(err) {
			return "", fmt.Errorf("authflow: mark the grant of a token revoked: %w", err)
		}
	}
	return "", fmt.Errorf("authflow: mark the grant of a token revoked: %w", tokenstore.ErrNotFound)
}

// MarkRevokedBefore is MarkRevoked for what was told to have happened at that time: a consent that is newer is left alone. It
// reports whether the grant had not been marked before.
//
// Errors: as MarkRevoked.
func (f *Flow) MarkRevokedBefore(ctx context.Context, userID string, reason tokenstore.Reason, at time.Time) (bool, error) {
	marked := false
	_, err := f.markRevoked(ctx, userID, reason, func(_ context.Context, grant *tokenstore.Grant) error {
		if grant.CreatedAt.After(at) {
			return errSuperseded
		}
		marked = !grant.Status.Revoked
		return nil
	})
	if errors.Is(err, errSuperseded) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("authflow: mark the grant revoked: %w", err)
	}
	return marked, nil
}

// tokenIndex is the namespace, in the Flow's own store, of the index: which users' refresh tokens may be named by a hint. A key
// is a keyed hash of the hint, so that the store learns nothing of a token. What is found is compared with the stored
// grant before it counts: an entry that is stale, or was tampered with, does no harm.
const tokenIndex = "mailgrant token index"

const maxIndexed = 16 // users for one hint: of prefixes, two are hardly ever alike

// newIndexKey returns the key of the index's hashes.
func newIndexKey(sessionKey []byte) ([]byte, error) {
	return hkdf.Key(sha256.New, sessionKey, nil, "mailgrant token index", sha256.Size)
}

func (f *Flow) indexKey(h TokenHint) string {
	mac := hmac.New(sha256.New, f.tokenIndexKey())
	mac.Write([]byte(h.text()))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// reindex notes that userID has the refresh token next in place of old. Either may be empty. Trouble is told, and does not matter
// more: without its entry a token is found dead at its next refresh.
func (f *Flow) reindex(ctx context.Context, userID, old, next string) {
	if !f.cfg.IndexRefreshTokens || old == next {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	var failed []error
	change := func(token string, add bool) {
		if token == "" {
			return
		}
		for _, h := range hints(token) {
			failed = append(failed, f.changeIndex(ctx, f.indexKey(h), userID, add))
		}
	}
	change(next, true)
	change(old, false)
	if err := errors.Join(failed...); err != nil {
		f.observe(Event{Kind: StoreTrouble, UserID: userID, Err: fmt.Errorf("the index of refresh tokens: %w", err)})
	}
}

// ReindexTokens enters the refresh tokens of all stored grants in the index: once, after Config.IndexRefreshTokens was switched
// on or SessionKey was changed. Grants that can't be read are passed over.
//
// Errors: errors.ErrUnsupported, wrapped, if the store can't list; what the store answers otherwise.
func (f *Flow) ReindexTokens(ctx context.Context) error {
	for grant, err := range f.grants.All(ctx) {
		if _, unreadable := errors.AsType[*tokenstore.UnsealError](err); unreadable {
			continue
		}
		if err != nil {
			return fmt.Errorf("authflow: index refresh tokens: %w", err)
		}
		f.reindex(ctx, grant.UserID, "", grant.RefreshToken)
	}
	return nil
}

// changeIndex adds userID to an entry, or removes it.
func (f *Flow) changeIndex(ctx context.Context, key, userID string, add bool) error {
	for tries := 1; ; tries++ {
		version, entry, err := f.readIndex(ctx, key)
		if err != nil {
			return err
		}
		i := slices.Index(entry, userID)
		switch {
		case add == (i >= 0):
			return nil
		case add:
			entry = append(entry, userID)
			entry = entry[max(len(entry)-maxIndexed, 0):]
		default:
			entry = slices.Delete(entry, i, i+1)
		}
		var next tokenstore.Record
		if len(entry) > 0 {
			next.Version = rand.Text()
			if next.Data, err = json.Marshal(entry); err != nil {
				return err
			}
		}
		err = f.index.Swap(ctx, key, version, next)
		if err == nil || !errors.Is(err, tokenstore.ErrConflict) || tries == attempts || polling.wait(ctx, tries-1) != nil {
			return err
		}
	}
}

// readIndex returns an entry, which may be empty, and its version.
func (f *Flow) readIndex(ctx context.Context, key string) (string, []string, error) {
	rec, err := f.index.Get(ctx, key)
	if errors.Is(err, tokenstore.ErrNotFound) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	var entry []string
	if json.Unmarshal(rec.Data, &entry) != nil {
		entry = nil
	}
	return rec.Version, entry, nil
}
