package gmailsvc

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"unicode/utf8"
)

// Addresses returns the addresses in all fields of that name, their names decoded. Groups are taken apart.
//
// Errors: where some can't be read, beside those that can.
func (h Header) Addresses(name string) ([]*mail.Address, error) {
	var all []*mail.Address
	var errs []error
	for i := range h {
		if !strings.EqualFold(h[i].Name, name) {
			continue
		}
		found, err := parseAddresses(h[i])
		all = append(all, found...)
		if err != nil {
			errs = append(errs, fmt.Errorf("gmailsvc: header field %.40q: %w", name, err))
		}
	}
	return all, errors.Join(errs...)
}

func parseAddresses(f Field) ([]*mail.Address, error) {
	list := f.Raw
	if !utf8.ValidString(list) {
		list = f.Value
	}
	var failed error // the name stays as it is
	parser := mail.AddressParser{WordDecoder: wordDecoder(&failed)}
	if all, err := parser.ParseList(list); err == nil {
		return all, nil
	}
	// One that is broken should not take the others with it.
	var all []*mail.Address
	broken := 0
	for _, one := range splitAddresses(list) {
		if a, err := parser.Parse(one); err == nil {
			all = append(all, a)
		} else if strings.TrimSpace(one) != "" {
			broken++
		}
	}
	if broken > 0 || len(all) == 0 {
		return all, fmt.Errorf("%d addresses can't be read", max(broken, 1))
	}
	return all, nil
}

// splitAddresses parts a list at its commas, but for those within quotes and brackets.
func splitAddresses(list string) []string {
	var parts []string
	start, quoted, depth := 0, false, 0
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<' || c == '(':
			depth++
		case c == '>' || c == ')':
			depth = max(0, depth-1)
		case c == ',' && depth == 0:
			parts = append(parts, list[start:i])
			start = i + 1
		}
	}
	return append(parts, list[start:])
}

// messageIDs returns what stands in angle brackets in the first field of that name (RFC 5322, section 3.6.4), as
// far as it is fit to be sent.
func (h Header) messageIDs(name string) []string {
	var ids []string
	rest := h.raw(name)
	for {
		_, after, ok := strings.Cut(rest, "<")
		if !ok {
			return ids
		}
		id, left, ok := strings.Cut(after, ">")
		if !ok {
			return ids
		}
		if checkID(id) == nil {
			ids = append(ids, id)
		}
		rest = left
	}
}
