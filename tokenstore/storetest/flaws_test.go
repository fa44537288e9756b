package storetest_test

import (
	"bytes"
	"strings"

	"github.com/mailgrant/mailgrant/tokenstore"
)

type store = tokenstore.TokenStore

// flaws are stores broken on purpose, each in one way, and a sound one that cannot list its keys.
var flaws = []struct {
	name     string
	open     func() store
	unlisted bool
	fails    []string // in the order of the suite
}{
	{
		name:     "is sound, wraps its errors and cannot list",
		open:     func() store { return unlisted{tokenstore.NewMemory()} },
		unlisted: true,
	},
	{
		name: "ignores the old version",
		open: func() store { return lostUpdate{tokenstore.NewMemory()} },
		fails: []string{
			"a create where a record is stored is a conflict",
			"a replace with a stale version is a conflict",
			"a replace where nothing is stored is a conflict",
			"a delete with a stale version is a conflict",
			"a delete where nothing is stored is a conflict",
			"the version of a deleted record never matches again",
			"versions are compared byte by byte",
			"different keys are independent",
			"data may be empty",
			"a Swap that is sent again conflicts with the first",
			"of simultaneous creates exactly one wins",
			"of a simultaneous replace and delete exactly one wins",
			"simultaneous writers lose no update",
		},
	},
	{
		name: "checks before it locks",
		open: func() store { return racy{tokenstore.NewMemory()} },
		fails: []string{
			"of simultaneous creates exactly one wins",
			"of a simultaneous replace and delete exactly one wins",
			"simultaneous writers lose no update",
		},
	},
	{
		name: "remembers the version of a deleted record",
		open: func() store { return &resurrecting{Memory: tokenstore.NewMemory(), graves: map[string]string{}} },
		fails: []string{
			"the version of a deleted record never matches again",
			"a Swap that is sent again conflicts with the first",
			"of a simultaneous replace and delete exactly one wins",
		},
	},
	{
		name: "deletes whatever the version",
		open: func() store { return carelessDelete{tokenstore.NewMemory()} },
		fails: []string{
			"a delete with a stale version is a conflict",
			"a delete where nothing is stored is a conflict",
			"the version of a deleted record never matches again",
			"a Swap that is sent again conflicts with the first",
			"of a simultaneous replace and delete exactly one wins",
		},
	},
	{
		name:  "tears a write that is canceled",
		open:  func() store { return &tearing{Memory: tokenstore.NewMemory()} },
		fails: []string{"a Swap canceled under way takes effect whole or not at all"},
	},
	{
		name: "ignores a delete",
		open: func() store { return undeleting{tokenstore.NewMemory()} },
		fails: []string{
			"a delete with the stored version takes effect",
			"the version of a deleted record never matches again",
			"a deleted record can be created anew",
			"different keys are independent",
			"keys that look like paths are kept apart",
			"keys that differ only in case are kept apart",
			"keys that differ only in spaces are kept apart",
			"keys that differ only in Unicode normalization are kept apart",
			"keys of bytes that are no text are kept apart",
			"keys with the wildcards of query languages are kept apart",
			"long keys are kept apart",
			"a Swap that is sent again conflicts with the first",
			"of a simultaneous replace and delete exactly one wins",
			"a deleted key is not listed",
		},
	},
	{
		name:  "refuses a needless delete",
		open:  func() store { return needlessDelete{tokenstore.NewMemory()} },
		fails: []string{"the zero record where nothing is expected or stored is no error"},
	},
	{
		name: "answers a missing key with nothing",
		open: func() store { return silent{tokenstore.NewMemory()} },
		fails: []string{
			"a missing key is ErrNotFound",
			"a replace where nothing is stored is a conflict",
			"a delete with the stored version takes effect",
			"a delete where nothing is stored is a conflict",
			"the zero record where nothing is expected or stored is no error",
			"the version of a deleted record never matches again",
			"different keys are independent",
			"keys that look like paths are kept apart",
			"keys that differ only in case are kept apart",
			"keys that differ only in spaces are kept apart",
			"keys that differ only in Unicode normalization are kept apart",
			"keys of bytes that are no text are kept apart",
			"keys with the wildcards of query languages are kept apart",
			"long keys are kept apart",
			"an empty or oversized key is refused",
			"an oversized version is refused",
			"data without a version is refused",
			"a canceled Swap returns context.Canceled and writes nothing",
			"a Swap past its deadline returns context.DeadlineExceeded and writes nothing",
			"a Swap that is sent again conflicts with the first",
			"of a simultaneous replace and delete exactly one wins",
		},
	},
	{
		name:  "folds the case of versions",
		open:  func() store { return foldedVersions{tokenstore.NewMemory()} },
		fails: []string{"versions are compared byte by byte"},
	},
	{
		name:  "keeps the data of Swap",
		open:  func() store { return &aliasing{Memory: tokenstore.NewMemory(), swap: true} },
		fails: []string{"a change to the data after Swap is not seen"},
	},
	{
		name:  "shares the data of Get",
		open:  func() store { return &aliasing{Memory: tokenstore.NewMemory(), get: true} },
		fails: []string{"a change to the data after Get is not seen"},
	},
	{
		name:  "cuts long data",
		open:  func() store { return rewritten{tokenstore.NewMemory(), cutLong} },
		fails: []string{"data may be long"},
	},
	{
		name:  "ends data at a NUL",
		open:  func() store { return rewritten{tokenstore.NewMemory(), cutAtNUL} },
		fails: []string{"data of any bytes is kept"},
	},
	{
		name:  "takes empty data for none",
		open:  func() store { return emptyIsNone{tokenstore.NewMemory()} },
		fails: []string{"data may be empty"},
	},
	{
		name: "folds the case of keys",
		open: keyed(strings.ToLower),
		fails: []string{
			"keys that differ only in case are kept apart",
			"keys that differ only in Unicode normalization are kept apart",
			"keys of bytes that are no text are kept apart",
			"keys of any bytes are listed as they are",
			"exactly the keys with the prefix are listed",
		},
	},
	{
		name: "trims keys",
		open: keyed(strings.TrimSpace),
		fails: []string{
			"keys that differ only in spaces are kept apart",
			"keys of any bytes are listed as they are",
			"exactly the keys with the prefix are listed",
		},
	},
	{
		name: "repairs keys",
		open: keyed(func(key string) string { return strings.ToValidUTF8(key, "\ufffd") }),
		fails: []string{
			"keys of bytes that are no text are kept apart",
			"keys of any bytes are listed as they are",
			"exactly the keys with the prefix are listed",
		},
	},
	{
		name: "composes keys",
		open: keyed(func(key string) string { return strings.ReplaceAll(key, "e\u0301", "\u00e9") }),
		fails: []string{
			"keys that differ only in Unicode normalization are kept apart",
			"keys of any bytes are listed as they are",
			"exactly the keys with the prefix are listed",
		},
	},
	{
		name:  "cleans keys",
		open:  keyed(func(key string) string { return strings.TrimSuffix(key, "/") }),
		fails: []string{"keys that look like paths are kept apart"},
	},
	{
		name: "compares keys as patterns",
		open: keyed(func(key string) string { return strings.ReplaceAll(key, "a_", "ab") }),
		fails: []string{
			"keys with the wildcards of query languages are kept apart",
			"exactly the keys with the prefix are listed",
		},
	},
	{
		name: "cuts long keys",
		open: keyed(func(key string) string { return key[:min(len(key), 1000)] }),
		fails: []string{
			"long keys are kept apart",
			"keys of any bytes are listed as they are",
		},
	},
	{
		name:     "takes any arguments",
		open:     func() store { return &unchecked{records: map[string]tokenstore.Record{}} },
		unlisted: true,
		fails: []string{
			"an empty or oversized key is refused",
			"an oversized version is refused",
			"data without a version is refused",
		},
	},
	{
		name: "ignores the context",
		open: func() store { return endless{tokenstore.NewMemory()} },
		fails: []string{
			"a canceled Get returns context.Canceled",
			"a canceled Swap returns context.Canceled and writes nothing",
			"a Swap past its deadline returns context.DeadlineExceeded and writes nothing",
		},
	},
	{
		name: "writes before it looks at the context",
		open: func() store { return lateContext{tokenstore.NewMemory()} },
		fails: []string{
			"a canceled Swap returns context.Canceled and writes nothing",
			"a Swap past its deadline returns context.DeadlineExceeded and writes nothing",
		},
	},
	{
		name: "writes version and data one after the other",
		open: func() store { return &torn{Memory: tokenstore.NewMemory()} },
		fails: []string{
			"simultaneous writers lose no update",
			"a reader never sees half a write",
		},
	},
	{
		name:  "ignores the prefix",
		open:  func() store { return unprefixed{tokenstore.NewMemory()} },
		fails: []string{"exactly the keys with the prefix are listed"},
	},
	{
		name:  "takes the prefix for a pattern",
		open:  func() store { return filtered{tokenstore.NewMemory(), like} },
		fails: []string{"exactly the keys with the prefix are listed"},
	},
	{
		name:  "folds the case of the prefix",
		open:  func() store { return filtered{tokenstore.NewMemory(), foldedPrefix} },
		fails: []string{"exactly the keys with the prefix are listed"},
	},
	{
		name: "lists one page",
		open: func() store { return onePage{tokenstore.NewMemory()} },
		fails: []string{
			"every one of ten thousand keys is listed",
			"a store can be written to while it is listed",
		},
	},
	{
		name:  "pages by position",
		open:  func() store { return positional{tokenstore.NewMemory()} },
		fails: []string{"a store can be written to while it is listed"},
	},
	{
		name:  "lists only what has not changed",
		open:  func() store { return unchanged{tokenstore.NewMemory()} },
		fails: []string{"a store can be written to while it is listed"},
	},
	{
		name:  "lists deleted keys",
		open:  func() store { return &hoarding{Memory: tokenstore.NewMemory()} },
		fails: []string{"a deleted key is not listed"},
	},
	{
		name:  "is locked while it is listed",
		open:  func() store { return &locking{Memory: tokenstore.NewMemory()} },
		fails: []string{"a store can be written to while it is listed"},
	},
	{
		name:  "stays locked after a listing that ended early",
		open:  func() store { return &leaking{locking{Memory: tokenstore.NewMemory()}} },
		fails: []string{"a listing can end early"},
	},
	{
		name:  "swallows the end of a listing's context",
		open:  func() store { return quiet{tokenstore.NewMemory()} },
		fails: []string{"a canceled listing ends with context.Canceled"},
	},
	{
		name:  "goes on listing after an error",
		open:  func() store { return talkative{tokenstore.NewMemory()} },
		fails: []string{"a canceled listing ends with context.Canceled"},
	},
}

func keyed(key func(string) string) func() store {
	return func() store { return mapped{tokenstore.NewMemory(), key} }
}

func cutLong(data []byte) []byte { return data[:min(len(data), 1<<16-1)] }

func cutAtNUL(data []byte) []byte {
	before, _, _ := bytes.Cut(data, []byte{0})
	return before
}
