package main

import (
	"fmt"
	"html"
	"io"
	"mime"
	"net/mail"
	"strings"
	"time"
	"unicode"

	"github.com/mattn/go-runewidth"
	"golang.org/x/net/html/charset"
	"google.golang.org/api/gmail/v1"
)

// columns are the table's headings, and their widths in terminal cells.
var columns = []struct {
	heading string
	width   int
}{{"From", 24}, {"Subject", 38}, {"Date", 16}, {"Snippet", 60}}

// printPage prints messages as an aligned table: wide characters take two cells, so spaces are counted in cells.
func printPage(out io.Writer, number int, messages []*gmail.Message) {
	fmt.Fprintf(out, "\nPage %d\n", number)
	var headings, rule []string
	for _, c := range columns {
		headings = append(headings, c.heading)
		rule = append(rule, strings.Repeat("─", c.width))
	}
	printRow(out, headings)
	printRow(out, rule)
	for _, m := range messages {
		printRow(out, []string{sender(m), subject(m), date(m), html.UnescapeString(m.Snippet)})
	}
}

func printRow(out io.Writer, cells []string) {
	var line strings.Builder
	for i, c := range columns {
		cell := runewidth.Truncate(printable(cells[i]), c.width, "…")
		line.WriteString(runewidth.FillRight(cell, c.width) + "  ")
	}
	fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
}

// printable keeps control characters of a stranger's mail out of the terminal, those that turn the writing around included.
func printable(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
	}), " ")
}

var words = mime.WordDecoder{CharsetReader: charset.NewReaderLabel}

func header(m *gmail.Message, name string) string {
	for _, h := range m.Payload.Headers {
		if strings.EqualFold(h.Name, name) {
			if text, err := words.DecodeHeader(h.Value); err == nil {
				return text
			}
			return h.Value
		}
	}
	return ""
}

// sender returns the display name of the From header, or its address.
func sender(m *gmail.Message) string {
	from := header(m, "From")
	addr, err := mail.ParseAddress(from)
	switch {
	case err != nil:
		return from
	case addr.Name != "":
		return addr.Name
	}
	return addr.Address
}

func subject(m *gmail.Message) string {
	if s := header(m, "Subject"); s != "" {
		return s
	}
	return "(no subject)"
}

func date(m *gmail.Message) string {
	return time.UnixMilli(m.InternalDate).UTC().Format("2006-01-02 15:04")
}
