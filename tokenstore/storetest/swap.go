package storetest

import (
	"strings"

	"github.com/mailgrant/mailgrant/tokenstore"
)

func missingKey(p probe) {
	p.lacks("user")
	p.created("user", "data")
	p.lacks("use")
	p.lacks("user2")
}

func create(p probe) {
	r := p.created("user", "data")
	p.holds("user", r)
	p.holds("user", r)
}

func createConflict(p probe) {
	r := p.created("user", "first")
	p.conflicts("user", "", newRecord("second"))
	p.holds("user", r)
}

func replace(p probe) {
	r := p.created("user", "first")
	for _, data := range []string{"a second, longer one", "3rd"} {
		next := newRecord(data)
		p.swaps("user", r.Version, next)
		p.holds("user", next)
		r = next
	}
}

func staleReplace(p probe) {
	first := p.created("user", "first")
	second := newRecord("second")
	p.swaps("user", first.Version, second)
	p.conflicts("user", first.Version, newRecord("third"))
	p.conflicts("user", "never stored", newRecord("third"))
	p.holds("user", second)
}

func replaceNothing(p probe) {
	p.conflicts("user", "never stored", newRecord("data"))
	p.lacks("user")
}

func remove(p probe) {
	r := p.created("user", "data")
	p.swaps("user", r.Version, tokenstore.Record{})
	p.lacks("user")
}

func staleRemove(p probe) {
	first := p.created("user", "first")
	second := newRecord("second")
	p.swaps("user", first.Version, second)
	for _, version := range []string{first.Version, "never stored", ""} {
		p.conflicts("user", version, tokenstore.Record{})
	}
	p.holds("user", second)
}

func removeNothing(p probe) {
	p.conflicts("user", "never stored", tokenstore.Record{})
	p.lacks("user")
}

func zeroOnNothing(p probe) {
	p.swaps("user", "", tokenstore.Record{})
	p.lacks("user")
}

// A late writer that has read the record before it was deleted must neither bring it back nor, once
// a new one is there, overwrite that.
func deletedVersion(p probe) {
	old := p.created("user", "old")
	p.swaps("user", old.Version, tokenstore.Record{})
	p.conflicts("user", old.Version, newRecord("late"))
	p.conflicts("user", old.Version, tokenstore.Record{})
	p.lacks("user")
	again := p.created("user", "new consent")
	p.conflicts("user", old.Version, newRecord("late"))
	p.conflicts("user", old.Version, tokenstore.Record{})
	p.holds("user", again)
}

func createAfterRemove(p probe) {
	old := p.created("user", "old")
	p.swaps("user", old.Version, tokenstore.Record{})
	p.holds("user", p.created("user", "new"))
}

func similarVersions(p probe) {
	r := tokenstore.Record{Version: "Version %_1", Data: []byte("data")}
	p.swaps("user", "", r)
	for _, version := range []string{
		"version %_1", "VERSION %_1", "Version %_1 ", " Version %_1", "Version %_", "Version %_11", "Version xx1", "%", " ",
	} {
		p.conflicts("user", version, newRecord("late"))
	}
	p.holds("user", r)
	longest := tokenstore.Record{Version: strings.Repeat("v", tokenstore.MaxVersionBytes), Data: []byte("data")}
	p.swaps("user", r.Version, longest)
	p.holds("user", longest)
	p.conflicts("user", longest.Version[1:], newRecord("late"))
}

func independentKeys(p probe) {
	a, b := p.created("a", "of a"), p.created("b", "of b")
	p.conflicts("a", b.Version, newRecord("late"))
	p.swaps("a", a.Version, tokenstore.Record{})
	p.lacks("a")
	p.holds("b", b)
}
