package authflow

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// A TokenHint names a refresh token without showing it, as Google's security events do. One of its fields is set.
// See https://developers.google.com/identity/protocols/risc#token_identifiers.
type TokenHint struct {
	Prefix       string // its first 16 characters
	DoubleSHA512 string // base64, of any alphabet, of SHA-512(SHA-512(token))
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

// names reports whether h names that refresh token. How long it takes tells nothing about the token.
func (h TokenHint) names(refreshToken string) bool {
	same := 0
	for _, own := range hints(refreshToken) {
		same |= subtle.ConstantTimeCompare([]byte(h.text()), []byte(own.text()))
	}
	return same == 1 && refreshToken != ""
}

// standardBase64 turns the alphabet of URLs into the other one (RFC 4648 §5).
var standardBase64 = strings.NewReplacer("-", "+", "_", "/")

func (h TokenHint) text() string {
	return h.Prefix + "\x00" + strings.TrimRight(standardBase64.Replace(h.DoubleSHA512), "=")
}

// TokenOwner returns whose stored refresh token hint names. It needs Config.IndexRefreshTokens.
//
// Errors: tokenstore.ErrNotFound, wrapped, if no stored grant has such a token; what the store answers otherwise.
func (f *Flow) TokenOwner(ctx context.Context, hint TokenHint) (userID string, err error) {
	userID, err = f.firstNamed(ctx, hint, func(userID string) error {
		grant, err := f.grants.Get(ctx, userID)
		if err == nil && !hint.names(grant.RefreshToken) {
			return errSuperseded
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("authflow: find the owner of a token: %w", err)
	}
	return userID, nil
}

// MarkTokenRevoked is MarkRevoked for the grant whose stored refresh token hint names, and returns whose it is. It needs
// Config.IndexRefreshTokens.
//
// Errors: tokenstore.ErrNotFound, wrapped, if no stored grant has such a token; what the store answers otherwise.
func (f *Flow) MarkTokenRevoked(ctx context.Context, hint TokenHint, reason tokenstore.Reason) (userID string, err error) {
	userID, err = f.firstNamed(ctx, hint, func(userID string) error {
		_, err := f.markRevoked(ctx, userID, reason, func(_ context.Context, grant *tokenstore.Grant) error {
			if !hint.names(grant.RefreshToken) {
				return errSuperseded
			}
			return nil
		})
		return err
	})
	if err != nil {
		return "", fmt.Errorf("authflow: mark the grant of a token revoked: %w", err)
	}
	return userID, nil
}

// firstNamed returns the first user with whom try succeeds, of those whose refresh token hint may name. Where the index is
// behind, or another of several tokens that begin alike is meant, try says errSuperseded.
func (f *Flow) firstNamed(ctx context.Context, hint TokenHint, try func(userID string) error) (string, error) {
	if !f.cfg.IndexRefreshTokens {
		return "", tokenstore.ErrNotFound
	}
	entry, err := f.readIndex(ctx, f.indexKey(hint))
	if err != nil {
		return "", err
	}
	failed := tokenstore.ErrNotFound
	for _, userID := range entry.Scopes {
		err := try(userID)
		if err == nil {
			return userID, nil
		}
		if !superseded(err) {
			failed = err // of the others, one may still be meant
		}
	}
	return "", failed
}

// eventSkew is by how much the clock of whoever tells of an event may differ, and how much a time in whole seconds leaves open.
const eventSkew = 5 * time.Second

// MarkRevokedBefore is MarkRevoked for what was told to have happened at that time: a consent that is newer by more than 5 s,
// which clocks may differ, is left alone. It reports whether the grant that was told of has ended, now or before.
//
// Errors: as MarkRevoked.
func (f *Flow) MarkRevokedBefore(ctx context.Context, userID string, reason tokenstore.Reason, at time.Time) (bool, error) {
	_, err := f.markRevoked(ctx, userID, reason, func(_ context.Context, grant *tokenstore.Grant) error {
		if grant.CreatedAt.After(at.Add(eventSkew)) {
			return errSuperseded
		}
		return nil
	})
	if errors.Is(err, errSuperseded) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("authflow: mark the grant revoked: %w", err)
	}
	return true, nil
}

// tokenIndex is the namespace, in the Flow's own store, of the index: which users' refresh tokens may be named by a hint. A key
// is a keyed hash of the hint, so that the store learns nothing of a token, and an entry is sealed as a grant is, with
// the user IDs for its scopes: that way tokenstore.Reencrypt finds it. What is found is compared with the stored grant before it
// counts: an entry that is stale does no harm.
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

// reindex notes that userID has the refresh token next in place of old. Either may be empty. Where they are the same it sees to
// it that the index has the token: the index may have been down then, or off. Trouble is told, and does not matter more: the next
// refresh comes here again.
func (f *Flow) reindex(ctx context.Context, userID, old, next string) {
	if !f.cfg.IndexRefreshTokens || old == "" && next == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	var err error
	if old == next {
		err = f.enterIndex(ctx, userID, next)
	} else {
		err = errors.Join(f.changeIndex(ctx, userID, next, "", true), f.changeIndex(ctx, userID, old, next, false))
	}
	if err != nil {
		f.observe(Event{Kind: StoreTrouble, UserID: userID, Err: fmt.Errorf("the index of refresh tokens: %w", err)})
	}
}

// ReindexTokens enters the refresh tokens of all stored grants in the index: once, after Config.IndexRefreshTokens was switched
// on or SessionKey was changed. Otherwise each is entered at its next refresh. Grants that can't be read are passed over.
//
// Errors: errors.ErrUnsupported, wrapped, if the store can't list; what the store answers otherwise.
func (f *Flow) ReindexTokens(ctx context.Context) error {
	if !f.cfg.IndexRefreshTokens {
		return nil
	}
	for grant, err := range f.grants.All(ctx) {
		if _, unreadable := errors.AsType[*tokenstore.UnsealError](err); unreadable {
			continue
		}
		if err == nil {
			err = f.enterIndex(ctx, grant.UserID, grant.RefreshToken)
		}
		if err != nil {
			return fmt.Errorf("authflow: index refresh tokens: %w", err)
		}
	}
	return nil
}

// enterIndex adds a refresh token to the index if it is not there.
func (f *Flow) enterIndex(ctx context.Context, userID, token string) error {
	if token == "" {
		return nil
	}
	last, err := f.readIndex(ctx, f.indexKey(hints(token)[0])) // see changeIndex
	if err != nil || slices.Contains(last.Scopes, userID) {
		return err
	}
	return f.changeIndex(ctx, userID, token, "", true)
}

// changeIndex adds userID to all entries of a token, or removes it from them, but for those of keep, which may begin alike. The
// hash is added last: who finds it finds all.
func (f *Flow) changeIndex(ctx context.Context, userID, token, keep string, add bool) error {
	if token == "" {
		return nil
	}
	var failed []error
	for _, h := range slices.Backward(hints(token)) {
		if keep != "" && h.names(keep) {
			continue
		}
		failed = append(failed, f.changeEntry(ctx, f.indexKey(h), userID, add))
	}
	return errors.Join(failed...)
}

func (f *Flow) changeEntry(ctx context.Context, key, userID string, add bool) error {
	for tries := 1; ; tries++ {
		entry, err := f.readIndex(ctx, key)
		if err != nil {
			return err
		}
		i := slices.Index(entry.Scopes, userID)
		switch {
		case add == (i >= 0):
			return nil
		case add:
			entry.Scopes = append(entry.Scopes, userID)
			entry.Scopes = entry.Scopes[max(len(entry.Scopes)-maxIndexed, 0):]
		default:
			entry.Scopes = slices.Delete(entry.Scopes, i, i+1)
		}
		entry.UpdatedAt = f.now()
		if len(entry.Scopes) > 0 {
			err = f.index.Put(ctx, entry)
		} else {
			err = f.index.Remove(ctx, entry)
		}
		if err == nil || !errors.Is(err, tokenstore.ErrConflict) || tries == attempts || polling.wait(ctx, tries-1) != nil {
			return err
		}
	}
}

// readIndex returns an entry, which may be empty. One that can't be read is as good as empty, and can be replaced.
func (f *Flow) readIndex(ctx context.Context, key string) (*tokenstore.Grant, error) {
	entry, err := f.index.Get(ctx, key)
	if unreadable, ok := errors.AsType[*tokenstore.UnsealError](err); ok {
		return unreadable.Replacement(), nil
	}
	if errors.Is(err, tokenstore.ErrNotFound) {
		return &tokenstore.Grant{UserID: key}, nil
	}
	return entry, err
}
