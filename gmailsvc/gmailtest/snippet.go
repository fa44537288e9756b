package gmailtest

import (
	"html"
	"slices"
	"strings"
	"unicode/utf8"
)

const maxSnippet = 200 // characters, as they are sent

// snippetOf returns the beginning of a message's text, escaped for HTML as Gmail sends it.
func snippetOf(root *part) string {
	text := readableText(root)
	var b strings.Builder
	length := 0
	for word := range strings.FieldsSeq(text) {
		if length > 0 {
			word = " " + word
		}
		for _, r := range word {
			escaped := strings.ReplaceAll(html.EscapeString(string(r)), "&#34;", "&quot;")
			if length += utf8.RuneCountInString(escaped); length > maxSnippet {
				return strings.TrimRight(b.String(), " ")
			}
			b.WriteString(escaped)
		}
	}
	return b.String()
}

// readableText returns the first plain text of a message, or its first HTML without the markup. Text in a charset
// that could not be decoded is none.
func readableText(root *part) string {
	plain, markup := textPart(root, "text/plain"), textPart(root, "text/html")
	switch {
	case plain != nil && !plain.foreign:
		return strings.ToValidUTF8(string(plain.body), "\uFFFD")
	case plain == nil && markup != nil && !markup.foreign:
		return stripTags(strings.ToValidUTF8(string(markup.body), "\uFFFD"))
	}
	return ""
}

// textPart finds the first part of that type that belongs to the message itself, not to one attached to it.
func textPart(p *part, mimeType string) *part {
	if p.mimeType == mimeType && p.filename == "" {
		return p
	}
	if !strings.HasPrefix(p.mimeType, "multipart/") {
		return nil
	}
	for _, child := range p.parts {
		if found := textPart(child, mimeType); found != nil {
			return found
		}
	}
	return nil
}

var (
	unreadElements = []string{"head", "script", "style", "title"} // nobody sees their text
	inlineElements = []string{
		"a", "abbr", "b", "code", "em", "font", "i", "mark", "small", "span", "strong", "sub", "sup", "u", "wbr",
	}
)

// stripTags returns the text of an HTML document, near enough for a snippet and for searching.
func stripTags(doc string) string {
	var b strings.Builder
	for {
		text, after, found := strings.Cut(doc, "<")
		b.WriteString(html.UnescapeString(text))
		if !found {
			return b.String()
		}
		if comment, ok := strings.CutPrefix(after, "!--"); ok {
			_, doc, _ = strings.Cut(comment, "-->")
			continue
		}
		tag, rest, _ := strings.Cut(after, ">")
		doc = rest
		name := strings.ToLower(strings.TrimPrefix(tag, "/"))
		if i := strings.IndexFunc(name, func(r rune) bool { return r == '/' || r <= ' ' }); i >= 0 {
			name = name[:i]
		}
		if slices.Contains(unreadElements, name) && !strings.HasPrefix(tag, "/") {
			doc = afterElement(doc, name)
		}
		if !slices.Contains(inlineElements, name) {
			b.WriteByte(' ')
		}
	}
}

// afterElement returns what follows the end tag of name.
func afterElement(doc, name string) string {
	for {
		_, after, found := strings.Cut(doc, "</")
		if !found {
			return ""
		}
		if len(after) >= len(name) && strings.EqualFold(after[:len(name)], name) {
			_, rest, _ := strings.Cut(after, ">")
			return rest
		}
		doc = after
	}
}
