package gmailsvc

import (
	"iter"
	"strings"
)

// A Header is the fields of a message or part in their order. Names are compared without regard to case.
type Header []Field

// A Field is one field of a header.
type Field struct {
	Name string // as it was sent

	// Value is for people: its RFC 2047 words are decoded. Where words decode to commas and angle brackets, an
	// address can't be told from a name any more: use Header.Addresses for addresses. It may hold any character,
	// line breaks included.
	Value string

	// Raw is the value as it came: unfolded, not decoded. The API decodes by itself, and gives no other.
	Raw string
}

// Get returns the value of the first field of that name, or "".
func (h Header) Get(name string) string {
	for i := range h {
		if strings.EqualFold(h[i].Name, name) {
			return h[i].Value
		}
	}
	return ""
}

// Values yields the values of all fields of that name.
func (h Header) Values(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range h {
			if strings.EqualFold(h[i].Name, name) && !yield(h[i].Value) {
				return
			}
		}
	}
}

// raw returns the first field of that name as it came, or "".
func (h Header) raw(name string) string {
	for i := range h {
		if strings.EqualFold(h[i].Name, name) {
			return h[i].Raw
		}
	}
	return ""
}
