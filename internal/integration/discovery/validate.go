package discovery

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// Validate reports everything in a JSON text that the schema does not allow: unknown and repeated properties, wrong
// types, values that are not of their format or enumeration, nulls. The error names each place, such as
// "messages[2].payload.body.size"; errors.Join joins them. What is absent is no error: no schema
// of Gmail's says what an answer must have.
func (d *Document) Validate(s *Schema, body []byte) error {
	v := &validation{document: d, in: json.NewDecoder(bytes.NewReader(body))}
	v.in.UseNumber()
	if err := v.value(s, ""); err != nil {
		return errors.Join(append(v.problems, err)...)
	}
	if _, err := v.in.Token(); !errors.Is(err, io.EOF) {
		v.problem("", "more follows after the JSON value")
	}
	return errors.Join(v.problems...)
}

// validation reads one JSON text token by token, so that it sees repeated properties too.
type validation struct {
	document *Document
	in       *json.Decoder
	problems []error
}

func (v *validation) problem(path, format string, args ...any) {
	if path == "" {
		path = "the document"
	}
	v.problems = append(v.problems, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...)))
}

// value checks the next value. A nil schema allows anything: what stands under an unknown property was reported with it.
// The error is that of the JSON text.
func (v *validation) value(s *Schema, path string) error {
	for s != nil && s.Ref != "" {
		s = v.document.Schemas[s.Ref]
	}
	token, err := v.in.Token()
	if err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	switch token {
	case json.Delim('{'):
		if s != nil && s.Type != "object" {
			v.problem(path, "an object, want %s", s.Type)
			s = nil
		}
		return v.object(s, path)
	case json.Delim('['):
		if s != nil && s.Type != "array" {
			v.problem(path, "an array, want %s", s.Type)
			s = nil
		}
		return v.array(s, path)
	}
	if s == nil {
		return nil
	}
	check := scalars[scalar{s.Type, s.Format}]
	if check == nil {
		v.problem(path, "%s, want %s", show(token), s.Type)
		return nil
	}
	if err := check(token); err != nil {
		v.problem(path, "%v", err)
		return nil
	}
	if name, ok := token.(string); ok && len(s.Enum) > 0 && !slices.Contains(s.Enum, name) {
		v.problem(path, "%q is none of %q", name, s.Enum)
	}
	return nil
}

func (v *validation) object(s *Schema, path string) error {
	seen := make(map[string]bool)
	for v.in.More() {
		token, err := v.in.Token()
		if err != nil {
			return fmt.Errorf("not JSON: %w", err)
		}
		name, _ := token.(string)
		inner := name
		if path != "" {
			inner = path + "." + name
		}
		if seen[name] {
			v.problem(inner, "repeated")
		}
		seen[name] = true
		var property *Schema
		if s != nil {
			if property = s.Properties[name]; property == nil {
				v.problem(inner, "unknown property")
			}
		}
		if err := v.value(property, inner); err != nil {
			return err
		}
	}
	_, err := v.in.Token()
	return err
}

func (v *validation) array(s *Schema, path string) error {
	var items *Schema
	if s != nil {
		items = s.Items
	}
	for i := 0; v.in.More(); i++ {
		if err := v.value(items, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	_, err := v.in.Token()
	return err
}

// scalar is a type of JSON's with a format of Google's.
// https://developers.google.com/discovery/v1/type-format
type scalar struct{ typ, format string }

// scalars say what is wrong with a token that should be of a type and format.
var scalars = map[scalar]func(json.Token) error{
	{"boolean", ""}: func(t json.Token) error {
		if _, ok := t.(bool); !ok {
			return fmt.Errorf("%s, want a boolean", show(t))
		}
		return nil
	},
	{"integer", "int32"}: number(func(n string) error {
		_, err := strconv.ParseInt(n, 10, 32)
		return err
	}),
	{"integer", "uint32"}: number(func(n string) error {
		_, err := strconv.ParseUint(n, 10, 32)
		return err
	}),
	{"string", ""}: text(func(string) error { return nil }),
	{"string", "int64"}: text(func(s string) error {
		_, err := strconv.ParseInt(s, 10, 64)
		return canonical(s, err)
	}),
	{"string", "uint64"}: text(func(s string) error {
		_, err := strconv.ParseUint(s, 10, 64)
		return canonical(s, err)
	}),
	{"string", "byte"}: text(func(s string) error {
		_, err := base64.URLEncoding.Strict().DecodeString(s)
		return err
	}),
	{"string", "google-datetime"}: text(func(s string) error {
		_, err := time.Parse(time.RFC3339Nano, s)
		return err
	}),
}

func number(check func(string) error) func(json.Token) error {
	return func(t json.Token) error {
		n, ok := t.(json.Number)
		if !ok {
			return fmt.Errorf("%s, want a number", show(t))
		}
		return check(n.String())
	}
}

func text(check func(string) error) func(json.Token) error {
	return func(t json.Token) error {
		s, ok := t.(string)
		if !ok {
			return fmt.Errorf("%s, want a string", show(t))
		}
		return check(s)
	}
}

var wholeNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

// canonical adds to the error of parsing s that Google writes numbers without a plus and leading zeros.
func canonical(s string, err error) error {
	if err == nil && !wholeNumber.MatchString(s) {
		return fmt.Errorf("%q is not how a number is written", s)
	}
	return err
}

// show prints a token as it stands in JSON.
func show(t json.Token) string {
	b, err := json.Marshal(t)
	if err != nil {
		return fmt.Sprint(t)
	}
	return string(b)
}
