package gmailsvc

import (
	"strconv"
	"strings"
)

// A mediaType is the value of a Content-Type or Content-Disposition field, taken apart as far as it makes sense:
// mail has names in it without quotes, twice, and worse.
type mediaType struct {
	value  string // in lower case
	params []param
}

type param struct {
	name  string // in lower case
	value string
}

// maxParams bounds the parameters of one field.
const maxParams = 64

// parseMediaType reads a field (RFC 2045, section 5.1).
func parseMediaType(field string) mediaType {
	value, rest, _ := strings.Cut(field, ";")
	t := mediaType{value: strings.ToLower(strings.TrimSpace(value))}
	for rest != "" && len(t.params) < maxParams {
		var p param
		p, rest = nextParam(rest)
		if p.name != "" {
			t.params = append(t.params, p)
		}
	}
	return t
}

// nextParam reads up to the next semicolon that is not within quotes.
func nextParam(field string) (p param, rest string) {
	name, after, found := strings.Cut(field, "=")
	if !found || strings.Contains(name, ";") {
		_, rest, _ = strings.Cut(field, ";")
		return param{}, rest
	}
	p.name = strings.ToLower(strings.TrimSpace(name))
	after = strings.TrimLeft(after, " \t")
	if !strings.HasPrefix(after, `"`) {
		p.value, rest, _ = strings.Cut(after, ";")
		p.value = strings.TrimSpace(p.value)
		return p, rest
	}
	var value strings.Builder
	i := 1
	for ; i < len(after) && after[i] != '"'; i++ {
		// Windows writes paths without escaping their backslashes.
		if after[i] == '\\' && i+1 < len(after) && (after[i+1] == '"' || after[i+1] == '\\') {
			i++
		}
		value.WriteByte(after[i])
	}
	p.value = value.String()
	_, rest, _ = strings.Cut(after[min(i+1, len(after)):], ";")
	return p, rest
}

// get returns the first parameter of that name as it was sent, or "".
func (t mediaType) get(name string) string {
	for _, p := range t.params {
		if p.name == name {
			return p.value
		}
	}
	return ""
}

// text returns the parameter of that name, put together and decoded (RFC 2231; RFC 2047 too, which is not allowed
// there but common). On an error it is as it was.
func (t mediaType) text(name string) (string, error) {
	if value := t.get(name + "*"); value != "" {
		return decodeExtended(value)
	}
	var plain, coded strings.Builder
	extended := false
	for i := range maxParams {
		piece := name + "*" + strconv.Itoa(i)
		p, c := t.get(piece), t.get(piece+"*")
		if p == "" && c == "" {
			break
		}
		plain.WriteString(p)
		if c == "" {
			c = strings.ReplaceAll(p, "%", "%25") // stands for itself
		} else {
			extended = true
		}
		coded.WriteString(c)
	}
	if extended {
		return decodeExtended(coded.String())
	}
	if plain.Len() > 0 {
		return decodeWords(plain.String())
	}
	return decodeWords(t.get(name))
}

// decodeExtended decodes charset'language'text, where a percent sign and two digits are a byte.
func decodeExtended(value string) (string, error) {
	charset, rest, found := strings.Cut(value, "'")
	_, text, found2 := strings.Cut(rest, "'")
	if !found || !found2 {
		charset, text = "", value
	}
	var raw []byte
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) && fromHex(text[i+1]) >= 0 && fromHex(text[i+2]) >= 0 {
			raw = append(raw, byte(fromHex(text[i+1])<<4|fromHex(text[i+2])))
			i += 2
			continue
		}
		raw = append(raw, text[i])
	}
	decoded, err := appendUTF8(nil, charset, raw, false)
	if len(decoded) == 0 {
		name, _ := decodeWords(value)
		return name, err
	}
	return string(decoded), err
}
