package sqlstore

import "crypto/sha256"

// A row is found by its name, which any database can index whole: the key itself where that is short, else the
// head of the key and the SHA-256 of all of it. As keys of maxName bytes are long ones, no name stands
// for two keys. Names sort as their keys do by the first headBytes bytes, which is what a listing goes by.
const (
	headBytes = 224
	maxName   = headBytes + sha256.Size
)

// nameOf returns the name of key's row.
func nameOf(key string) []byte {
	if len(key) < maxName {
		return []byte(key)
	}
	sum := sha256.Sum256([]byte(key))
	return append([]byte(key[:headBytes]), sum[:]...)
}

// restOf returns what follows the head of a long key, so that the row has the whole of it.
func restOf(key string) []byte {
	if len(key) < maxName {
		return []byte{}
	}
	return []byte(key[headBytes:])
}

// keyOf returns the key of a row.
func keyOf(name, rest []byte) string {
	if len(name) < maxName {
		return string(name)
	}
	return string(name[:headBytes]) + string(rest)
}

// span returns the range of names, from <= name < to, that holds all keys with the prefix and few others.
func span(prefix string) (from, to []byte) {
	from = []byte(prefix[:min(len(prefix), headBytes)])
	to = append(to, from...)
	for len(to) > 0 && to[len(to)-1] == 0xff {
		to = to[:len(to)-1]
	}
	if len(to) > 0 {
		to[len(to)-1]++
		return from, to
	}
	for range maxName + 1 {
		to = append(to, 0xff) // beyond every name
	}
	return from, to
}
