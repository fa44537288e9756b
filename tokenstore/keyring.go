package tokenstore

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// AEAD seals and opens bytes: authenticated encryption with associated data (RFC 5116). It has the
// method set of Tink's tink.AEAD, so that a key management service that Tink supports plugs in.
// Implementations must be safe for concurrent use, and Decrypt must fail unless ciphertext and associated data
// are exactly those of one Encrypt.
type AEAD interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

// KeyBytes is the length of a Keyring's keys: AES-256.
const KeyBytes = 32

// A Keyring is an AEAD of one primary key, which seals, and any number of older keys, which only open.
// To rotate, add the new key as an older one everywhere, then make it the primary, seal
// everything anew, and drop the old key.
//
// Each message is sealed by AES-256-GCM under a key of its own, derived from the keyring's with HKDF (RFC 5869)
// and a random salt. So the 2³² messages after which random nonces wear a GCM key out (NIST SP 800-38D §8.3) are
// no limit here.
//
// A Keyring is immutable and safe for concurrent use. Formatting one shows the IDs of its keys, never a key.
type Keyring struct {
	keys []key // the primary first
}

// A key hides its secret in a function: fmt prints all that it reaches by reflection, except what functions hold.
type key struct {
	id     [keyIDBytes]byte
	secret func() []byte
}

// A sealed message is a format byte, the ID of its key, the salt of its own key, and what GCM made: a nonce, the
// ciphertext and the tag. All before the nonce is authenticated as associated data.
const (
	sealFormat  = 1
	keyIDBytes  = 8
	saltBytes   = 16
	headerBytes = 1 + keyIDBytes + saltBytes
)

// NewKeyring returns a keyring that seals with primary and opens with primary and the older keys. Keys are
// KeyBytes long and random, as GenerateKey makes them. The keyring keeps copies.
//
// Errors: *KeyError.
func NewKeyring(primary []byte, older ...[]byte) (*Keyring, error) {
	ring := new(Keyring)
	for i, secret := range append([][]byte{primary}, older...) {
		if len(secret) != KeyBytes {
			return nil, &KeyError{Index: i, Reason: fmt.Sprintf("has %d bytes instead of %d; GenerateKey makes one",
				len(secret), KeyBytes)}
		}
		if bytes.Count(secret, secret[:1]) == len(secret) {
			return nil, &KeyError{Index: i, Reason: "is one byte repeated, not a random key; GenerateKey makes one"}
		}
		id, err := hkdf.Expand(sha256.New, secret, "mailgrant key id", keyIDBytes)
		if err != nil {
			return nil, &KeyError{Index: i, Reason: err.Error()}
		}
		own := bytes.Clone(secret)
		k := key{id: [keyIDBytes]byte(id), secret: func() []byte { return own }}
		if slices.ContainsFunc(ring.keys, func(other key) bool { return other.id == k.id }) {
			return nil, &KeyError{Index: i, Reason: "is in the keyring twice"}
		}
		ring.keys = append(ring.keys, k)
	}
	return ring, nil
}

// ParseKeyring reads a keyring from text, say of an environment variable or a mounted secret: keys as GenerateKey
// prints them, separated by white space or commas, the primary first.
//
// Errors: *KeyError.
func ParseKeyring(text string) (*Keyring, error) {
	var keys [][]byte
	for field := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) }) {
		secret, err := base64.StdEncoding.DecodeString(field)
		if err != nil {
			// The decoder's error tells only a position, but the field is a secret all the same.
			return nil, &KeyError{Index: len(keys), Reason: "is not standard base64; GenerateKey prints keys as they should be"}
		}
		keys = append(keys, secret)
	}
	if len(keys) == 0 {
		return nil, &KeyError{Index: -1, Reason: "the text holds no key; GenerateKey makes one"}
	}
	return NewKeyring(keys[0], keys[1:]...)
}

// GenerateKey returns a new random key in standard base64, as ParseKeyring reads it. Keep it where secrets
// are kept: who loses it loses every grant that it sealed.
func GenerateKey() string {
	secret := make([]byte, KeyBytes)
	rand.Read(secret) // never fails
	return base64.StdEncoding.EncodeToString(secret)
}

// Encrypt implements AEAD with the primary key.
func (r *Keyring) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	if len(r.keys) == 0 {
		return nil, errNoKeys
	}
	k := r.keys[0]
	header := make([]byte, headerBytes, headerBytes+len(plaintext)+28)
	header[0] = sealFormat
	copy(header[1:], k.id[:])
	rand.Read(header[1+keyIDBytes:]) // never fails
	gcm, err := k.messageAEAD(header[1+keyIDBytes:])
	if err != nil {
		return nil, err
	}
	return gcm.Seal(header, nil, plaintext, slices.Concat(header, associatedData)), nil
}

// Decrypt implements AEAD with whichever key of the ring sealed ciphertext.
//
// Errors: *UnknownKeyError if that key is not in the ring.
func (r *Keyring) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	if len(ciphertext) < headerBytes || ciphertext[0] != sealFormat {
		return nil, errors.New("tokenstore: not a sealed record, or a truncated one")
	}
	header, sealed := ciphertext[:headerBytes], ciphertext[headerBytes:]
	id := [keyIDBytes]byte(header[1:])
	i := slices.IndexFunc(r.keys, func(k key) bool { return k.id == id })
	if i < 0 {
		return nil, &UnknownKeyError{KeyID: hex.EncodeToString(id[:])}
	}
	gcm, err := r.keys[i].messageAEAD(header[1+keyIDBytes:])
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, nil, sealed, slices.Concat(header, associatedData))
	if err != nil {
		return nil, errors.New("tokenstore: the record was changed, truncated or moved from another place since it was sealed")
	}
	return plain, nil
}

// sealedByPrimary reports whether it is the primary key that sealed ciphertext.
func (r *Keyring) sealedByPrimary(ciphertext []byte) bool {
	return len(ciphertext) >= headerBytes && ciphertext[0] == sealFormat && [keyIDBytes]byte(ciphertext[1:]) == r.keys[0].id
}

var errNoKeys = &KeyError{Index: -1, Reason: "it has no keys; make it with NewKeyring or ParseKeyring"}

// messageAEAD returns the AEAD of the one message that has salt.
func (k key) messageAEAD(salt []byte) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, k.secret(), salt, "mailgrant message key", KeyBytes)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Format implements fmt.Formatter: it shows the key IDs, the primary's first.
func (r Keyring) Format(f fmt.State, _ rune) {
	ids := make([]string, len(r.keys))
	for i, k := range r.keys {
		ids[i] = hex.EncodeToString(k.id[:])
	}
	_, _ = io.WriteString(f, "tokenstore.Keyring["+strings.Join(ids, " ")+"]")
}

// MarshalJSON implements json.Marshaler and always fails: a keyring is not for files and logs.
func (r Keyring) MarshalJSON() ([]byte, error) {
	return nil, errors.New("tokenstore: a Keyring does not marshal")
}

// A KeyError says what is wrong with the keys for a keyring.
type KeyError struct {
	Index  int // of the key: 0 for the primary, -1 for the keyring as a whole
	Reason string
}

func (e *KeyError) Error() string {
	switch e.Index {
	case -1:
		return "tokenstore: keyring: " + e.Reason
	case 0:
		return "tokenstore: keyring: the primary key " + e.Reason
	}
	return fmt.Sprintf("tokenstore: keyring: older key %d %s", e.Index, e.Reason)
}

// An UnknownKeyError says that a record was sealed with a key that is not in the keyring.
type UnknownKeyError struct {
	KeyID string // hexadecimal, as formatting a Keyring shows it
}

func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("tokenstore: sealed with key %s, which is not in the keyring", e.KeyID)
}
