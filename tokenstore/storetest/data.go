package storetest

import (
	"bytes"
	"strings"

	"github.com/mailgrant/mailgrant/tokenstore"
)

func anyBytes(p probe) {
	var all strings.Builder
	for b := range 256 {
		all.WriteByte(byte(b))
	}
	for key, data := range map[string]string{
		"all":      all.String(),
		"zeros":    "\x00\x00\x00",
		"line end": "data\r\n",
		"invalid":  "\xff\xfe\xc3",
		"spaces":   "  data  ",
	} {
		p.holds(key, p.created(key, data))
	}
}

func emptyData(p probe) {
	r := p.created("user", "")
	p.holds("user", r)
	next := tokenstore.Record{Version: newRecord("").Version, Data: nil}
	p.swaps("user", r.Version, next)
	p.holds("user", next)
	p.conflicts("user", "", newRecord("data"))
}

func longData(p probe) {
	r := p.created("user", strings.Repeat("0123456789abcde\n", 1<<16)) // 1 MiB
	p.holds("user", r)
	short := newRecord("short")
	p.swaps("user", r.Version, short)
	p.holds("user", short)
}

func changedAfterSwap(p probe) {
	r := newRecord("data")
	given := tokenstore.Record{Version: r.Version, Data: bytes.Clone(r.Data)}
	p.swaps("user", "", given)
	if !bytes.Equal(given.Data, r.Data) {
		p.Error("Swap changed the data that it was given")
	}
	clear(given.Data)
	p.holds("user", r)
}

func changedAfterGet(p probe) {
	r := p.created("user", "data")
	got, err := p.store.Get(p.Context(), "user")
	if err != nil {
		p.Fatal(err)
	}
	again, err := p.store.Get(p.Context(), "user")
	if err != nil {
		p.Fatal(err)
	}
	clear(got.Data)
	if !bytes.Equal(again.Data, r.Data) {
		p.Error("two calls of Get share their data")
	}
	p.holds("user", r)
}
