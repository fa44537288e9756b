// Package discovery checks HTTP exchanges with a Google API against the API's discovery document: the
// machine-readable description of every method, parameter and answer that Google publishes and from which its
// client libraries are generated. It keeps gmailtest, which is written by hand, to the real shapes.
//
// The format is described at https://developers.google.com/discovery/v1/reference/apis.
package discovery

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
)

// A Document is a discovery document.
type Document struct {
	Revision   string                `json:"revision"`
	Parameters map[string]*Parameter `json:"parameters"` // of every method
	Schemas    map[string]*Schema    `json:"schemas"`
	resource
}

type resource struct {
	Methods   map[string]*Method   `json:"methods"`
	Resources map[string]*resource `json:"resources"`
}

// A Method is one operation of the API.
type Method struct {
	ID         string                `json:"id"`
	HTTPMethod string                `json:"httpMethod"`
	Path       string                `json:"path"`
	Parameters map[string]*Parameter `json:"parameters"`
	Request    *Schema               `json:"request"`  // nil: no body
	Response   *Schema               `json:"response"` // nil: an empty answer
	Scopes     []string              `json:"scopes"`   // any one of them permits the method

	// MediaUpload is there where the method is also under /upload, with a body that is not JSON alone.
	MediaUpload *struct {
		MaxSize string `json:"maxSize"`
	} `json:"mediaUpload"`
}

// A Parameter is a variable of a method's path or query.
type Parameter struct {
	Schema
	Location string `json:"location"` // "path" or "query"
	Repeated bool   `json:"repeated"`
	Required bool   `json:"required"`
}

// A Schema describes a JSON value.
type Schema struct {
	Ref        string             `json:"$ref"` // the name of the schema that stands here instead
	Type       string             `json:"type"`
	Format     string             `json:"format"`
	Enum       []string           `json:"enum"`
	Items      *Schema            `json:"items"`
	Properties map[string]*Schema `json:"properties"`
}

// Load reads the discovery document in file.
func Load(file string) (*Document, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	d := new(Document)
	if err := json.Unmarshal(data, d); err != nil {
		return nil, fmt.Errorf("discovery: %s: %w", file, err)
	}
	for name, s := range d.Schemas {
		if err := d.check(s); err != nil {
			return nil, fmt.Errorf("discovery: %s: schema %s: %w", file, name, err)
		}
	}
	return d, nil
}

// check refuses what Validate would not understand, lest it let everything pass there.
func (d *Document) check(s *Schema) error {
	switch {
	case s.Ref != "":
		if d.Schemas[s.Ref] == nil {
			return fmt.Errorf("$ref to %q, which does not exist", s.Ref)
		}
		return nil
	case s.Type == "array":
		if s.Items == nil {
			return fmt.Errorf("an array without items")
		}
		return d.check(s.Items)
	case s.Type == "object":
		for name, property := range s.Properties {
			if err := d.check(property); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	case scalars[scalar{s.Type, s.Format}] == nil:
		return fmt.Errorf("type %q with format %q is unknown", s.Type, s.Format)
	}
	return nil
}

// Methods yields every method of the API in the order of their IDs.
func (d *Document) Methods() iter.Seq[*Method] {
	methods := make(map[string]*Method)
	d.collect(methods)
	return func(yield func(*Method) bool) {
		for _, id := range slices.Sorted(maps.Keys(methods)) {
			if !yield(methods[id]) {
				return
			}
		}
	}
}

func (r *resource) collect(into map[string]*Method) {
	for _, m := range r.Methods {
		into[m.ID] = m
	}
	for _, sub := range r.Resources {
		sub.collect(into)
	}
}

// Find returns the method that a request with this HTTP method and (unescaped) path calls, or nil. Under /upload a
// method that takes uploads may go on with POST and PUT.
func (d *Document) Find(httpMethod, path string) *Method {
	path, upload := strings.CutPrefix(path, "/upload")
	var found *Method
	for m := range d.Methods() {
		goesOn := upload && (httpMethod == "POST" || httpMethod == "PUT")
		if m.HTTPMethod != httpMethod && !goesOn || upload && m.MediaUpload == nil || !m.matches(path) {
			continue
		}
		// A literal segment beats a variable: messages/send is no message's ID.
		if found == nil || strings.Count(m.Path, "{") < strings.Count(found.Path, "{") {
			found = m
		}
	}
	return found
}

func (m *Method) matches(path string) bool {
	want, got := strings.Split(m.Path, "/"), strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(want) != len(got) {
		return false
	}
	for i, segment := range want {
		if rest, isVariable := strings.CutPrefix(segment, "{"); isVariable {
			_, verb, _ := strings.Cut(rest, "}") // as in {keyPairId}:disable
			if got[i] == "" || !strings.HasSuffix(got[i], verb) {
				return false
			}
		} else if segment != got[i] {
			return false
		}
	}
	return true
}

// Expand returns the method's path with its variables filled in.
func (m *Method) Expand(variables map[string]string) string {
	path := m.Path
	for name, value := range variables {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	return path
}
