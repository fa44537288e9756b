package tokenstore_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// testKey returns the n-th key of the tests: looks random, never changes.
func testKey(n int) []byte {
	sum := sha256.Sum256(fmt.Append(nil, "test key ", n))
	return sum[:]
}

// testRing returns a keyring of the numbered test keys, the primary first.
func testRing(t testing.TB, primary int, older ...int) *tokenstore.Keyring {
	t.Helper()
	var rest [][]byte
	for _, n := range older {
		rest = append(rest, testKey(n))
	}
	ring, err := tokenstore.NewKeyring(testKey(primary), rest...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func mustEncrypt(t testing.TB, ring *tokenstore.Keyring, plaintext, associated string) []byte {
	t.Helper()
	sealed, err := ring.Encrypt([]byte(plaintext), []byte(associated))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// releasedCiphertext is "a message" with the associated data "its place", sealed with the first test key in the
// format that is released: it must open for ever.
var releasedCiphertext, _ = base64.StdEncoding.DecodeString("AbS/eWh5WVLsbgqLMdrZPpvWbP/uiHpiTaAiPRx2CCtesBZP6cgxIjXq95B0TCT27q86eN947Qo46SQDyDw=")

func TestKeyringOpensWhatWasSealed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ plaintext, associated string }{
		"a short text":                 {"a refresh token", "its place"},
		"nothing":                      {"", "its place"},
		"without associated data":      {"a refresh token", ""},
		"nothing at all":               {"", ""},
		"every byte value":             {string(everyByte()), string(everyByte())},
		"a megabyte":                   {strings.Repeat("0123456789abcdef", 1<<16), "its place"},
		"long associated data":         {"a refresh token", strings.Repeat("0123456789abcdef", 1<<12)},
		"what looks like sealed bytes": {string(releasedCiphertext), string(releasedCiphertext)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ring := testRing(t, 1)
			sealed := mustEncrypt(t, ring, c.plaintext, c.associated)
			if n := len(c.plaintext); n > 8 && bytes.Contains(sealed, []byte(c.plaintext[n-8:])) {
				t.Error("the sealed bytes show the plaintext")
			}
			before := bytes.Clone(sealed)
			opened, err := ring.Decrypt(sealed, []byte(c.associated))
			if err != nil || string(opened) != c.plaintext {
				t.Errorf("Decrypt = %d bytes, %v; want the %d that were sealed", len(opened), err, len(c.plaintext))
			}
			if !bytes.Equal(sealed, before) {
				t.Error("Decrypt changed its argument")
			}
		})
	}
}

func everyByte() []byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return all
}

func TestKeyringOpensWhatAReleaseSealed(t *testing.T) {
	t.Parallel()
	opened, err := testRing(t, 1).Decrypt(releasedCiphertext, []byte("its place"))
	if err != nil || string(opened) != "a message" {
		t.Errorf("Decrypt = %q, %v", opened, err)
	}
}

func TestKeyringNeverSealsTheSameWayTwice(t *testing.T) {
	t.Parallel()
	ring := testRing(t, 1)
	seen := make(map[string]bool)
	for range 100 {
		sealed := mustEncrypt(t, ring, "the same text", "the same place")
		// The last bytes are ciphertext and tag: they must differ, not only salt and nonce.
		seen[string(sealed[len(sealed)-len("the same text")-16:])] = true
	}
	if len(seen) != 100 {
		t.Errorf("100 seals made %d different ciphertexts", len(seen))
	}
}

func TestKeyringRotation(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sealer, opener *tokenstore.Keyring
		unknown        *tokenstore.Keyring // names the key that opener lacks
	}{
		"the new key is known before it seals": {testRing(t, 1), testRing(t, 1, 2), nil},
		"the old key opens":                    {testRing(t, 1), testRing(t, 2, 1), nil},
		"a very old key opens":                 {testRing(t, 1), testRing(t, 4, 3, 2, 1), nil},
		"who knows the new key can follow":     {testRing(t, 2, 1), testRing(t, 1, 2), nil},
		"only the primary key seals":           {testRing(t, 2, 1), testRing(t, 2), nil},
		"who lacks the new key cannot open":    {testRing(t, 2, 1), testRing(t, 1), testRing(t, 2)},
		"who dropped the old key cannot open":  {testRing(t, 1), testRing(t, 2), testRing(t, 1)},
		"a zero keyring opens nothing":         {testRing(t, 1), new(tokenstore.Keyring), testRing(t, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opened, err := c.opener.Decrypt(mustEncrypt(t, c.sealer, "a message", "its place"), []byte("its place"))
			if c.unknown == nil {
				if err != nil || string(opened) != "a message" {
					t.Errorf("Decrypt = %q, %v", opened, err)
				}
				return
			}
			var unknown *tokenstore.UnknownKeyError
			if !errors.As(err, &unknown) {
				t.Fatalf("Decrypt = %q, %v; want *UnknownKeyError", opened, err)
			}
			if got, want := fmt.Sprintf("tokenstore.Keyring[%s]", unknown.KeyID), fmt.Sprint(c.unknown); got != want {
				t.Errorf("the missing key is named %s, the ring that has it is printed as %s", got, want)
			}
			if !strings.Contains(err.Error(), unknown.KeyID) {
				t.Errorf("%q does not name the key %s", err, unknown.KeyID)
			}
		})
	}
}

func TestKeyringKeepsCopiesOfItsKeys(t *testing.T) {
	t.Parallel()
	primary, older := testKey(1), testKey(2)
	ring, err := tokenstore.NewKeyring(primary, older)
	if err != nil {
		t.Fatal(err)
	}
	sealed := mustEncrypt(t, ring, "a message", "")
	clear(primary)
	clear(older)
	if _, err := ring.Decrypt(sealed, nil); err != nil {
		t.Error("the caller's wiped key was wiped in the keyring as well:", err)
	}
	if _, err := ring.Decrypt(mustEncrypt(t, testRing(t, 2), "a message", ""), nil); err != nil {
		t.Error("the caller's wiped older key was wiped in the keyring as well:", err)
	}
}

func TestKeyringRefusesWhatItDidNotSeal(t *testing.T) {
	t.Parallel()
	ring := testRing(t, 1, 2)
	sealed := mustEncrypt(t, ring, "a message", "its place")
	refused := func(t *testing.T, ciphertext []byte, associated string) {
		t.Helper()
		if opened, err := ring.Decrypt(ciphertext, []byte(associated)); err == nil {
			t.Errorf("opened as %q: %x, associated data %q", opened, ciphertext, associated)
		} else if opened != nil {
			t.Errorf("an error came with data: %q", opened)
		}
	}
	t.Run("any bit flipped", func(t *testing.T) {
		t.Parallel()
		for i := range len(sealed) * 8 {
			changed := bytes.Clone(sealed)
			changed[i/8] ^= 1 << (i % 8)
			refused(t, changed, "its place")
		}
	})
	t.Run("cut anywhere", func(t *testing.T) {
		t.Parallel()
		for i := range sealed {
			refused(t, sealed[:i], "its place")
			refused(t, sealed[i+1:], "its place")
		}
		refused(t, nil, "its place")
	})
	t.Run("lengthened", func(t *testing.T) {
		t.Parallel()
		refused(t, append(bytes.Clone(sealed), 0), "its place")
		refused(t, append([]byte{sealed[0]}, sealed...), "its place")
		refused(t, append(bytes.Clone(sealed), sealed...), "its place")
	})
	t.Run("the halves of two seals", func(t *testing.T) {
		t.Parallel()
		other := mustEncrypt(t, ring, "a message", "its place")
		for i := range sealed {
			if spliced := append(bytes.Clone(sealed[:i]), other[i:]...); !bytes.Equal(spliced, other) {
				refused(t, spliced, "its place")
			}
		}
	})
	t.Run("any other associated data", func(t *testing.T) {
		t.Parallel()
		for _, associated := range []string{
			"", "its plac", "its place ", "its place\x00", "\x00its place", "Its place", "another place",
		} {
			refused(t, sealed, associated)
		}
	})
}

func TestKeyringRefusesBadKeys(t *testing.T) {
	t.Parallel()
	good, secret := testKey(1), testKey(9)
	encode := base64.StdEncoding.EncodeToString
	fromKeys := func(keys ...[]byte) func() (*tokenstore.Keyring, error) {
		return func() (*tokenstore.Keyring, error) { return tokenstore.NewKeyring(keys[0], keys[1:]...) }
	}
	fromText := func(text string) func() (*tokenstore.Keyring, error) {
		return func() (*tokenstore.Keyring, error) { return tokenstore.ParseKeyring(text) }
	}
	for name, c := range map[string]struct {
		make  func() (*tokenstore.Keyring, error)
		index int
		say   string
	}{
		"no primary key":             {fromKeys(nil), 0, "0 bytes"},
		"an empty older key":         {fromKeys(good, nil), 1, "0 bytes"},
		"a key one byte short":       {fromKeys(secret[:31]), 0, "31 bytes instead of 32"},
		"a key one byte long":        {fromKeys(append(bytes.Clone(secret), 1)), 0, "33 bytes instead of 32"},
		"a short older key":          {fromKeys(good, testKey(2), secret[:16]), 2, "16 bytes"},
		"a key of zeros":             {fromKeys(make([]byte, 32)), 0, "one byte repeated"},
		"a key of one letter":        {fromKeys(good, bytes.Repeat([]byte("k"), 32)), 1, "one byte repeated"},
		"the primary key again":      {fromKeys(secret, secret), 1, "twice"},
		"an older key again":         {fromKeys(good, secret, testKey(2), secret), 3, "twice"},
		"an empty text":              {fromText(""), -1, "no key"},
		"a text of separators":       {fromText(" ,\t\r\n, "), -1, "no key"},
		"no base64":                  {fromText("not*base64*" + encode(secret)), 0, "base64"},
		"base64 without its padding": {fromText(strings.TrimRight(encode(secret), "=")), 0, "base64"},
		"base64 for URLs":            {fromText(base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xfb, 0xef}, 16))), 0, "base64"},
		"hexadecimal":                {fromText(hex.EncodeToString(secret)), 0, "48 bytes"},
		"bad base64 in second place": {fromText(encode(good) + "," + encode(secret) + "!"), 1, "base64"},
		"a short key in a text":      {fromText(encode(good) + "\n" + encode(secret[:24])), 1, "24 bytes"},
		"a key twice in a text":      {fromText(encode(secret) + " " + encode(secret)), 1, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ring, err := c.make()
			var keyErr *tokenstore.KeyError
			if ring != nil || !errors.As(err, &keyErr) {
				t.Fatalf("got %v, %v; want *KeyError", ring, err)
			}
			if keyErr.Index != c.index || !strings.Contains(keyErr.Reason, c.say) {
				t.Errorf("got index %d, %q; want index %d and %q", keyErr.Index, keyErr.Reason, c.index, c.say)
			}
			for how, text := range renderings(err) {
				if shows(text, secret) {
					t.Errorf("the error shows key bytes in %s: %s", how, text)
				}
			}
		})
	}
}

func TestParseKeyringReadsWhatGenerateKeyPrints(t *testing.T) {
	t.Parallel()
	newKey, oldKey := tokenstore.GenerateKey(), tokenstore.GenerateKey()
	if newKey == oldKey {
		t.Fatal("GenerateKey made the same key twice")
	}
	old, err := tokenstore.ParseKeyring(oldKey)
	if err != nil {
		t.Fatal(err)
	}
	sealed := mustEncrypt(t, old, "a message", "")
	for _, separator := range []string{",", ", ", "\n", "\r\n", "\t", " , \r\n"} {
		ring, err := tokenstore.ParseKeyring(separator + newKey + separator + oldKey + separator)
		if err != nil {
			t.Fatalf("separated by %q: %v", separator, err)
		}
		if opened, err := ring.Decrypt(sealed, nil); err != nil || string(opened) != "a message" {
			t.Errorf("separated by %q: the old key opens %q, %v", separator, opened, err)
		}
		if _, err := old.Decrypt(mustEncrypt(t, ring, "a message", ""), nil); err == nil {
			t.Errorf("separated by %q: the first key is not the one that seals", separator)
		}
	}
}

func TestAZeroKeyringSealsNothing(t *testing.T) {
	t.Parallel()
	sealed, err := new(tokenstore.Keyring).Encrypt([]byte("a message"), nil)
	var keyErr *tokenstore.KeyError
	if sealed != nil || !errors.As(err, &keyErr) {
		t.Errorf("Encrypt = %x, %v; want *KeyError", sealed, err)
	}
}

func TestKeyringIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	ring := testRing(t, 2, 1)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 50 {
				text, place := fmt.Sprint("message ", i), fmt.Append(nil, "place ", i)
				sealed, err := ring.Encrypt([]byte(text), place)
				if err != nil {
					t.Error(err)
					return
				}
				if opened, err := ring.Decrypt(sealed, place); err != nil || string(opened) != text {
					t.Errorf("Decrypt = %q, %v", opened, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzKeyringDecrypt(f *testing.F) {
	ring := testRing(f, 1, 2)
	f.Add(releasedCiphertext, []byte("its place"))
	f.Add(releasedCiphertext, []byte("another place"))
	f.Add(releasedCiphertext[:len(releasedCiphertext)-1], []byte("its place"))
	f.Add(releasedCiphertext[:25], []byte{})
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, ciphertext, associated []byte) {
		opened, err := ring.Decrypt(ciphertext, associated)
		genuine := bytes.Equal(ciphertext, releasedCiphertext) && string(associated) == "its place"
		if genuine != (err == nil) {
			t.Errorf("Decrypt = %q, %v", opened, err)
		}
		if err != nil && (opened != nil || shows(err.Error(), testKey(1)) || shows(err.Error(), testKey(2))) {
			t.Errorf("Decrypt = %q, %q", opened, err)
		}
	})
}
