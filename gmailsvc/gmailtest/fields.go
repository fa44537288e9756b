package gmailtest

import (
	"bytes"
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
)

// A selection is a parsed fields parameter: the wanted members, each with the selection of its own
// members; nil wants all.
// https://developers.google.com/workspace/gmail/api/guides/performance#partial
type selection map[string]selection

// encodeFields marshals what the fields parameter wants of v.
func encodeFields(v any, query url.Values) ([]byte, *apiError) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, &apiError{code: 500, reason: "backendError", message: err.Error()}
	}
	fields := query.Get("fields")
	if fields == "" {
		return body, nil
	}
	p := fieldsParser{rest: fields}
	wanted, ok := p.list(0)
	if !ok || p.rest != "" {
		return nil, badRequest("Request contains an invalid argument: invalid field selection " + fields)
	}
	if unknown := wanted.unknown(reflect.TypeOf(v)); unknown != "" {
		return nil, badRequest("Invalid field selection " + unknown)
	}
	var tree any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err = dec.Decode(&tree); err == nil {
		body, err = json.Marshal(wanted.of(tree))
	}
	if err != nil {
		return nil, &apiError{code: 500, reason: "backendError", message: err.Error()}
	}
	return body, nil
}

// of returns the part of a JSON value that s wants.
func (s selection) of(v any) any {
	if s == nil {
		return v
	}
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = s.of(v[i])
		}
		return v
	case map[string]any:
		part := make(map[string]any)
		for name, value := range v {
			if inner, ok := s[name]; ok {
				part[name] = inner.of(value)
			} else if inner, ok := s["*"]; ok {
				part[name] = inner.of(value)
			}
		}
		return part
	}
	return v
}

// unknown returns the first name that a resource of type t cannot have, or "".
func (s selection) unknown(t reflect.Type) string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	for name, inner := range s {
		if name == "*" {
			continue
		}
		if t.Kind() != reflect.Struct {
			return name
		}
		field, ok := memberType(t, name)
		if !ok {
			return name
		}
		if bad := inner.unknown(field); bad != "" {
			return name + "/" + bad
		}
	}
	return ""
}

// memberType returns the type of the member that JSON calls name.
func memberType(t reflect.Type, name string) (reflect.Type, bool) {
	for _, f := range reflect.VisibleFields(t) {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name {
			return f.Type, true
		}
	}
	return nil, false
}

// A fieldsParser reads list = item *("," item); item = name *("/" name) ["(" list ")"].
type fieldsParser struct{ rest string }

func (p *fieldsParser) list(depth int) (selection, bool) {
	s := make(selection)
	for {
		if depth > maxDepth || !p.item(s, depth) {
			return nil, false
		}
		if !p.take(',') {
			return s, true
		}
	}
}

func (p *fieldsParser) item(into selection, depth int) bool {
	end := strings.IndexAny(p.rest, ",/()")
	if end < 0 {
		end = len(p.rest)
	}
	name := p.rest[:end]
	if name == "" {
		return false
	}
	p.rest = p.rest[end:]
	inner := make(selection)
	switch {
	case p.take('/'):
		if depth > maxDepth || !p.item(inner, depth+1) {
			return false
		}
	case p.take('('):
		list, ok := p.list(depth + 1)
		if !ok || !p.take(')') {
			return false
		}
		inner = list
	default:
		inner = nil
	}
	into.add(name, inner)
	return true
}

// add merges a member in. What is wanted whole stays wanted whole.
func (s selection) add(name string, inner selection) {
	have, ok := s[name]
	if !ok || have != nil && inner == nil {
		s[name] = inner
		return
	}
	if have != nil {
		for n, i := range inner {
			have.add(n, i)
		}
	}
}

func (p *fieldsParser) take(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}
