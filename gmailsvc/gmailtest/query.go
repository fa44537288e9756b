package gmailtest

import (
	"slices"
	"strings"
	"unicode"
)

// A query is a parsed q parameter. Nothing in it is an error: what cannot be understood is looked for as words.
// https://support.google.com/mail/answer/7190
type query struct {
	where     predicate // nil: everything
	spamTrash bool      // it asks for what listings leave out
}

// A predicate says whether a message is meant. The mailbox is locked for reading.
type predicate func(*message, *Mailbox) bool

func (q *query) matches(msg *message, box *Mailbox) bool {
	return q.where == nil || q.where(msg, box)
}

func parseQuery(q string) *query {
	p := queryParser{rest: q}
	where := p.all("", 0, 0)
	for p.rest != "" { // after a bracket that closes nothing
		p.rest = p.rest[1:]
		where = and(where, p.all("", 0, 0))
	}
	return &query{where: where, spamTrash: p.spamTrash}
}

// A queryParser reads
//
//	all    = *(choice ["AND"])          all of them
//	choice = term *(("OR" / "|") term)  any of them; binds tighter, as in Gmail
//	term   = *"-" ("(" all ")" / "{" terms "}" / operator ":" value / words)
type queryParser struct {
	rest      string
	spamTrash bool
}

// all reads until the bracket that closes the group, or the end. operator is the one in front of the
// group, as in subject:(a b).
func (p *queryParser) all(operator string, closing byte, depth int) predicate {
	var where predicate
	for {
		choice, more := p.choice(operator, closing, depth)
		where = and(where, choice)
		if !more {
			return where
		}
	}
}

// any reads the terms of a group in braces.
func (p *queryParser) any(operator string, depth int) predicate {
	var where predicate
	for {
		choice, more := p.choice(operator, '}', depth)
		where = or(where, choice)
		if !more {
			return where
		}
	}
}

func (p *queryParser) choice(operator string, closing byte, depth int) (predicate, bool) {
	var where predicate
	for {
		p.space()
		if p.rest == "" || strings.IndexByte(")}", p.rest[0]) >= 0 {
			if closing != 0 && p.rest != "" && p.rest[0] == closing {
				p.rest = p.rest[1:]
				return where, false
			}
			if p.rest != "" && closing != 0 {
				p.rest = p.rest[1:] // a bracket of the wrong kind
				continue
			}
			return where, false
		}
		if p.word("AND") || p.word("OR") || p.word("|") {
			continue // at the beginning, or twice: joins nothing
		}
		where = or(where, p.term(operator, depth))
		p.space()
		if !p.word("OR") && !p.word("|") {
			return where, true
		}
	}
}

func (p *queryParser) term(operator string, depth int) predicate {
	asked, negated := p.spamTrash, false
	for strings.HasPrefix(p.rest, "-") {
		p.rest = p.rest[1:]
		negated = !negated
	}
	where := p.positive(operator, depth)
	if negated {
		p.spamTrash = asked // -in:trash does not ask for trash
		return not(where)
	}
	return where
}

// positive reads a term without its minus.
func (p *queryParser) positive(operator string, depth int) predicate {
	if group, ok := p.group(operator, depth); ok {
		return group
	}
	token, quoted := p.token()
	name, value, ok := strings.Cut(token, ":")
	if quoted || !ok || operators[strings.ToLower(name)] == nil {
		return p.apply(operator, token)
	}
	name = strings.ToLower(name)
	if value == "" {
		if group, ok := p.group(name, depth); ok {
			return group
		}
		if strings.HasPrefix(p.rest, `"`) {
			value, _ = p.token()
		}
	}
	return p.apply(name, value)
}

// group reads a bracketed group, where one begins here. Beyond a certain depth brackets are skipped.
func (p *queryParser) group(operator string, depth int) (predicate, bool) {
	if p.rest == "" || p.rest[0] != '(' && p.rest[0] != '{' {
		return nil, false
	}
	open := p.rest[0]
	p.rest = p.rest[1:]
	switch {
	case depth >= maxDepth:
		return nil, true
	case open == '{':
		return p.any(operator, depth+1), true
	}
	return p.all(operator, ')', depth+1), true
}

// token reads a quoted phrase or what goes to the next space or bracket.
func (p *queryParser) token() (text string, quoted bool) {
	if after, ok := strings.CutPrefix(p.rest, `"`); ok {
		text, p.rest, _ = strings.Cut(after, `"`)
		return text, true
	}
	end := strings.IndexFunc(p.rest, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`(){}"`, r) })
	if end < 0 {
		end = len(p.rest)
	}
	text, p.rest = p.rest[:end], p.rest[end:]
	return text, false
}

// apply makes the predicate of one value. Values that say nothing, such as from: alone, restrict nothing.
func (p *queryParser) apply(operator, value string) predicate {
	if strings.TrimSpace(value) == "" {
		return nil
	}
	p.spamTrash = p.spamTrash || asksForHidden(operator, value)
	return operators[operator](value)
}

func (p *queryParser) space() {
	p.rest = strings.TrimLeftFunc(p.rest, unicode.IsSpace)
}

// word takes w off where it stands alone.
func (p *queryParser) word(w string) bool {
	after, ok := strings.CutPrefix(p.rest, w)
	if !ok || after != "" && !unicode.IsSpace(rune(after[0])) && !slices.Contains([]byte("(){}"), after[0]) {
		return false
	}
	p.rest = after
	return true
}

func and(a, b predicate) predicate {
	if a == nil || b == nil {
		return either(a, b)
	}
	return func(m *message, box *Mailbox) bool { return a(m, box) && b(m, box) }
}

func or(a, b predicate) predicate {
	if a == nil || b == nil {
		return either(a, b)
	}
	return func(m *message, box *Mailbox) bool { return a(m, box) || b(m, box) }
}

func not(a predicate) predicate {
	if a == nil {
		return nil
	}
	return func(m *message, box *Mailbox) bool { return !a(m, box) }
}

// either returns the one that is there.
func either(a, b predicate) predicate {
	if a == nil {
		return b
	}
	return a
}
