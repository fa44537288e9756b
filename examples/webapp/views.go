package main

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"
	"unicode"
)

//go:embed pages/*.html
var pageFiles embed.FS

//go:embed static/*
var staticFiles embed.FS

// views are the pages' templates, by name: each is pages/layout.html around what pages/<name>.html defines.
type views map[string]*template.Template

func parseViews() (views, error) {
	layout, err := template.New("layout.html").Funcs(template.FuncMap{
		"age":    age,
		"asset":  asset,
		"bytes":  byteSize,
		"day":    day,
		"hue":    hue,
		"letter": initial,
		"moment": func(t time.Time) string { return t.Local().Format("Monday, 2 January 2006, 15:04") },
	}).ParseFS(pageFiles, "pages/layout.html")
	if err != nil {
		return nil, err
	}
	all := views{}
	for _, name := range []string{"welcome", "accounts", "inbox", "message", "problem"} {
		page, err := layout.Clone()
		if err == nil {
			page, err = page.ParseFS(pageFiles, "pages/"+name+".html")
		}
		if err != nil {
			return nil, err
		}
		all[name] = page
	}
	return all, nil
}

// A view is what pages/layout.html shows around a page.
type view struct {
	Title    string
	Notice   string
	MadeUp   bool
	SignedIn bool
	Accounts []account
	Here     string // the UserID of the account that the page is about
	Main     any
}

// show answers with a page.
func (a *app) show(w http.ResponseWriter, r *http.Request, status int, name string, v view) error {
	ctx := r.Context()
	person := a.person(r)
	v.MadeUp, v.SignedIn = a.madeUp != nil, person != ""
	if v.SignedIn {
		var err error
		if v.Accounts, err = a.accounts.of(ctx, person); err != nil {
			return err
		}
	}
	v.Notice = a.sessions.PopString(ctx, sessionNotice)
	var body bytes.Buffer
	if err := a.views[name].Execute(&body, v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w)
	return nil
}

// asset returns the URL of a static file. It names the content, so that browsers can keep it for good.
func asset(file string) (string, error) {
	content, err := staticFiles.ReadFile("static/" + file)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	return "/static/" + file + "?" + hex.EncodeToString(sum[:6]), nil
}

func static(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeFileFS(w, r, staticFiles, "static/"+r.PathValue("file")) //nolint:gosec // nothing else is embedded
}

// day is a short date: the time for today, the year for other years.
func day(t time.Time) string {
	t, now := t.Local(), time.Now()
	switch {
	case t.Format(time.DateOnly) == now.Format(time.DateOnly):
		return t.Format("15:04")
	case t.Year() == now.Year():
		return t.Format("2 Jan")
	}
	return t.Format("2 Jan 2006")
}

// age says how long ago something was.
func age(t time.Time) string {
	some := func(n int, unit string) string {
		if n == 1 {
			return "1 " + unit + " ago"
		}
		return fmt.Sprintf("%d %ss ago", n, unit)
	}
	switch d := time.Since(t); {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return some(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return some(int(d/time.Hour), "hour")
	default:
		return some(int(d/(24*time.Hour)), "day")
	}
}

func byteSize(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1000_000:
		return fmt.Sprintf("%d KB", (n+500)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// initial is the letter on an account's disc, and hue which of six it has, by the account's place in the list.
func initial(name string) string {
	for _, r := range name {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return strings.ToUpper(string(r))
		}
	}
	return "?"
}

func hue(place int) int { return place % 6 }
