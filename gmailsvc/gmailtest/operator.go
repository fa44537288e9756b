package gmailtest

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// pacific is the zone in which Gmail reads the dates of a query, whatever the user's.
// https://developers.google.com/workspace/gmail/api/guides/filtering
var pacific = time.FixedZone("PST", -8*60*60)

// operators make predicates of their values, which are not blank; "" is for bare words. A nil predicate
// restricts nothing.
var operators = map[string]func(value string) predicate{
	"":             bareWords,
	"from":         address("From"),
	"to":           address("To", "Cc", "Bcc"),
	"cc":           address("Cc"),
	"bcc":          address("Bcc"),
	"subject":      inHeader("Subject"),
	"list":         inHeader("List-Id"),
	"deliveredto":  inHeader("Delivered-To"),
	"in":           inFolder,
	"is":           inState,
	"label":        hasLabel,
	"category":     func(v string) predicate { return labeled("CATEGORY_" + strings.ToUpper(v)) },
	"has":          has,
	"filename":     hasFile,
	"rfc822msgid":  hasMessageID,
	"after":        dated(func(date, limit int64) bool { return date >= limit }),
	"newer":        dated(func(date, limit int64) bool { return date >= limit }),
	"before":       dated(func(date, limit int64) bool { return date < limit }),
	"older":        dated(func(date, limit int64) bool { return date < limit }),
	"newer_than":   aged(func(date, limit int64) bool { return date >= limit }),
	"older_than":   aged(func(date, limit int64) bool { return date < limit }),
	"larger":       sized(func(size, limit int64) bool { return size > limit }),
	"larger_than":  sized(func(size, limit int64) bool { return size > limit }),
	"size":         sized(func(size, limit int64) bool { return size >= limit }),
	"smaller":      sized(func(size, limit int64) bool { return size < limit }),
	"smaller_than": sized(func(size, limit int64) bool { return size < limit }),
}

func never(*message, *Mailbox) bool { return false }

func always(*message, *Mailbox) bool { return true }

// asksForHidden reports whether an operator looks into spam or trash.
func asksForHidden(operator, value string) bool {
	return (operator == "in" || operator == "label" || operator == "is") &&
		slices.Contains([]string{"anywhere", "spam", "trash"}, strings.ToLower(value))
}

// normalize makes text comparable word by word: lower case, each word after one space. Han, Hiragana and Katakana
// have no spaces between words: each character counts as one.
func normalize(text string) string {
	var b strings.Builder
	inWord := false
	for _, r := range text {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
			b.WriteByte(' ')
			b.WriteRune(r)
			inWord = false
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			if !inWord {
				b.WriteByte(' ')
			}
			b.WriteRune(unicode.ToLower(r))
			inWord = true
		default:
			inWord = false
		}
	}
	b.WriteByte(' ')
	return b.String()
}

const wordless = " " // what normalize makes of text without a word

// holds reports whether words has those of phrase one after the other. Both are normalized.
func holds(words, phrase string) bool { return phrase != wordless && strings.Contains(words, phrase) }

func bareWords(value string) predicate {
	phrase := normalize(value)
	if phrase == wordless {
		return nil
	}
	return func(m *message, _ *Mailbox) bool { return holds(m.words(), phrase) }
}

func inHeader(names ...string) func(string) predicate {
	return func(value string) predicate {
		phrase := normalize(value)
		if phrase == wordless {
			return nil
		}
		return func(m *message, _ *Mailbox) bool {
			return slices.ContainsFunc(names, func(n string) bool { return holds(normalize(m.root.headers.text(n)), phrase) })
		}
	}
}

// address looks for names and addresses, of which "me" is the user's own.
func address(names ...string) func(string) predicate {
	anyone := inHeader(names...)
	return func(value string) predicate {
		if !strings.EqualFold(value, "me") {
			return anyone(value)
		}
		return func(m *message, box *Mailbox) bool { return anyone(box.user.Email)(m, box) }
	}
}

func labeled(id string) predicate {
	return func(m *message, _ *Mailbox) bool { return slices.Contains(m.labels, id) }
}

func inFolder(value string) predicate {
	switch v := strings.ToLower(value); v {
	case "anywhere", "all":
		return always
	case "draft", "drafts":
		return labeled("DRAFT")
	case "archive":
		return func(m *message, _ *Mailbox) bool {
			return !slices.ContainsFunc([]string{"INBOX", "SENT", "DRAFT", "SPAM", "TRASH"},
				func(l string) bool { return slices.Contains(m.labels, l) })
		}
	}
	return hasLabel(value)
}

func inState(value string) predicate {
	if strings.EqualFold(value, "read") {
		return not(labeled("UNREAD"))
	}
	return hasLabel(value)
}

// hasLabel looks for a label by ID or name, in which hyphens stand for spaces and slashes as in Gmail's
// own searches.
func hasLabel(value string) predicate {
	plain := func(s string) string { return strings.NewReplacer(" ", "-", "/", "-").Replace(strings.ToLower(s)) }
	wanted := plain(value)
	return func(m *message, box *Mailbox) bool {
		return slices.ContainsFunc(m.labels, func(id string) bool {
			l := box.label(id)
			return l != nil && (plain(l.name) == wanted || plain(l.id) == wanted)
		})
	}
}

func has(value string) predicate {
	switch strings.ToLower(value) {
	case "attachment":
		return func(m *message, _ *Mailbox) bool { return m.attached }
	case "userlabels":
		return hasUserLabel
	case "nouserlabels":
		return not(hasUserLabel)
	}
	return never
}

func hasUserLabel(m *message, box *Mailbox) bool {
	return slices.ContainsFunc(m.labels, func(id string) bool { l := box.label(id); return l != nil && !l.system })
}

// hasFile looks for an attachment by its extension or by words of its name.
func hasFile(value string) predicate {
	extension := "." + strings.TrimPrefix(strings.ToLower(value), ".")
	phrase := normalize(value)
	return func(m *message, _ *Mailbox) bool {
		found := false
		m.root.walk(func(p *part) bool {
			name := strings.ToLower(p.filename)
			found = name != "" && (path.Ext(name) == extension || holds(normalize(name), phrase))
			return !found
		})
		return found
	}
}

func hasMessageID(value string) predicate {
	id := strings.Trim(value, "<>")
	return func(m *message, _ *Mailbox) bool {
		own, _ := m.messageIDs()
		return own != "" && own == id
	}
}

// dated compares with a day, as 2026/11/23 or 2026-11-23, or with Unix seconds. The first instant of the
// day counts as after it began.
func dated(compare func(date, limit int64) bool) func(string) predicate {
	return func(value string) predicate {
		var limit int64
		if day, err := time.ParseInLocation("2006/1/2", strings.ReplaceAll(value, "-", "/"), pacific); err == nil {
			limit = day.UnixMilli()
		} else if seconds, err := strconv.ParseInt(value, 10, 64); err == nil && seconds >= 0 && seconds < 1<<40 {
			limit = seconds * 1000
		} else {
			return never
		}
		return func(m *message, _ *Mailbox) bool { return compare(m.date, limit) }
	}
}

// aged compares with days, months or years ago: 3d, 2m, 1y.
func aged(compare func(date, limit int64) bool) func(string) predicate {
	return func(value string) predicate {
		n, err := strconv.ParseUint(value[:len(value)-1], 10, 12)
		if err != nil {
			return never
		}
		count := -int(n)
		var years, months, days int
		switch value[len(value)-1] {
		case 'd', 'D':
			days = count
		case 'm', 'M':
			months = count
		case 'y', 'Y':
			years = count
		default:
			return never
		}
		return func(m *message, box *Mailbox) bool {
			return compare(m.date, box.now().AddDate(years, months, days).UnixMilli())
		}
	}
}

// sized compares with bytes; K and M stand for 1,024 and its square.
func sized(compare func(size, limit int64) bool) func(string) predicate {
	return func(value string) predicate {
		digits := strings.ToLower(value)
		unit := int64(1)
		if short, ok := strings.CutSuffix(digits, "k"); ok {
			digits, unit = short, 1<<10
		} else if short, ok := strings.CutSuffix(digits, "m"); ok {
			digits, unit = short, 1<<20
		}
		n, err := strconv.ParseUint(digits, 10, 40)
		if err != nil {
			return never
		}
		return func(m *message, _ *Mailbox) bool { return compare(int64(len(m.raw)), int64(n)*unit) }
	}
}
