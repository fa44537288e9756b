package storetest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// keptApart stores a record under each key, then reads, replaces and deletes every one of them.
func (p probe) keptApart(keys ...string) {
	p.Helper()
	records := make([]tokenstore.Record, len(keys))
	for i, key := range keys {
		records[i] = p.created(key, fmt.Sprint("data ", i))
	}
	for i, key := range keys {
		p.holds(key, records[i])
	}
	for i, key := range keys {
		next := newRecord(fmt.Sprint("replaced ", i))
		p.swaps(key, records[i].Version, next)
		records[i] = next
	}
	for i, key := range keys {
		p.holds(key, records[i])
		p.swaps(key, records[i].Version, tokenstore.Record{})
		p.lacks(key)
	}
}

func pathKeys(p probe) {
	p.keptApart("a/b", "a", "a/", "/a", "a//b", "a/./b", "b/../a", "..", ".", "../a", "/", "//", "../../etc/passwd",
		`a\b`, `..\a`, `C:\a`, "C:", "CON", "nul", "a.", ".a", "a:b", "a|b", "a*", "-rf", "~")
}

func caseKeys(p probe) {
	p.keptApart("user", "User", "USER", "straße", "STRASSE", "strasse", "ı", "i", "İ", "I", "ß", "ẞ", "ſ", "s", "K", "\u212a", "k")
}

func spaceKeys(p probe) {
	p.keptApart("a", " a", "a ", "a  ", " ", "  ", "\t", "\n", "a\n", "a\r\n", "\u00a0", "a\u00a0", "a\u200b", "\ufeffa")
}

func normalizationKeys(p probe) {
	p.keptApart("\u00e9", "e\u0301", "\u00e8", "e", "\u212b", "\u00c5", "A\u030a",
		"\ufb01", "fi", "２", "2", "\uac00", "\u1100\u1161")
}

func byteKeys(p probe) {
	p.keptApart("\x00", "\x00\x00", "a", "a\x00", "a\x00b", "\x00a", "\x01", "\x7f", "\xff", "\xfe", "\xff\xff", "\xc3", "\xc3\x28",
		"\xed\xa0\x80", "\xf4\x90\x80\x80", "\ufffd", "\U0010ffff", "😀", "\xf0\x9f\x98")
}

func wildcardKeys(p probe) {
	p.keptApart("a%", "a_", "ab", "%", "_", `\%`, `\_`, `\`, "*", "?", "[a-z]", "[ab]",
		"a", "{a}", "'", `"`, "''", "a'; --", "$1", ":a", "@a", "`")
}

// longest is a long key's length. It leaves room for the name of a namespace, which the limit includes.
const longest = tokenstore.MaxKeyBytes - 192

// longKeys include pairs that differ in their last or first byte only.
func longKeys(p probe) {
	var keys []string
	for _, long := range []string{
		strings.Repeat("k", 1000),
		strings.Repeat("😀", 1000),
		strings.Repeat("/", 1000),
		strings.Repeat("k", longest),
	} {
		keys = append(keys, long, long[:len(long)-1]+"x", "x"+long[1:])
	}
	p.keptApart(slices.Concat(keys, []string{strings.Repeat("k", 999), strings.Repeat("k", 255), strings.Repeat("k", 256)})...)
}

func badKeys(p probe) {
	for _, key := range []string{"", strings.Repeat("k", tokenstore.MaxKeyBytes+1)} {
		p.refuses(key, "", newRecord("data"))
		p.refuses(key, "", tokenstore.Record{})
		if r, err := p.store.Get(p.Context(), key); err == nil {
			p.Errorf("Get of a key of %d bytes: version %q, want an error", len(key), r.Version)
		}
	}
	p.lacks(strings.Repeat("k", tokenstore.MaxKeyBytes)) // not cut to the limit either
}

func oversizedVersion(p probe) {
	p.refuses("user", "", tokenstore.Record{Version: strings.Repeat("v", tokenstore.MaxVersionBytes+1), Data: []byte("data")})
	p.lacks("user")
}

func dataWithoutVersion(p probe) {
	p.refuses("user", "", tokenstore.Record{Data: []byte("data")})
	p.lacks("user")
	r := p.created("user", "data")
	p.refuses("user", r.Version, tokenstore.Record{Data: []byte("more")})
	p.holds("user", r)
}
