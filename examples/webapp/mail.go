package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"net/mail"
	"slices"
	"strings"

	"github.com/mailgrant/mailgrant/gmailsvc"
)

// mailOf returns the Gmail of an account.
func (a *app) mailOf(ctx context.Context, acct account) (*gmailsvc.Service, error) {
	creds, err := a.flow.GetStoredCredentials(ctx, acct.UserID)
	if err != nil {
		return nil, err
	}
	return a.gmail.BuildService(ctx, creds, gmailsvc.ReadOnly(), gmailsvc.Interactive())
}

// fetch returns a message with its texts. Damage to it is no reason not to show the rest.
func fetch(ctx context.Context, svc *gmailsvc.Service, id string) (*gmailsvc.Message, error) {
	for m, err := range svc.FetchMessages(ctx, gmailsvc.Refs(gmailsvc.MessageRef{ID: id})) {
		if m == nil {
			return nil, err
		}
		if err := svc.LoadText(ctx, m); err != nil && !errors.As(err, new(*gmailsvc.MessageError)) {
			return nil, err
		}
		return m, nil
	}
	return nil, fmt.Errorf("fetch message %q: %w", id, errNoPage)
}

const (
	plainText = "text/plain"
	htmlText  = "text/html"
)

// bodies returns the parts of a message that are to be read, in their order: of alternatives the richest, or with plain the
// plainest.
func bodies(m *gmailsvc.Message, plain bool) []*gmailsvc.Part {
	attached := m.Attachments()
	var of func(p *gmailsvc.Part) []*gmailsvc.Part
	of = func(p *gmailsvc.Part) []*gmailsvc.Part {
		if len(p.Parts) == 0 && (p.Type == plainText || p.Type == htmlText) && !slices.Contains(attached, p) {
			return []*gmailsvc.Part{p}
		}
		if !strings.HasPrefix(p.Type, "multipart/") {
			return nil
		}
		// Of alternatives the plainest comes first (RFC 2046 §5.1.4).
		children := slices.Clone(p.Parts)
		either := p.Type == "multipart/alternative"
		if either && !plain {
			slices.Reverse(children)
		}
		var all []*gmailsvc.Part
		for _, child := range children {
			all = append(all, of(child)...)
			if either && len(all) > 0 {
				break
			}
		}
		return all
	}
	return of(&m.Root)
}

// hasHTML reports whether one of parts is HTML.
func hasHTML(parts []*gmailsvc.Part) bool {
	return slices.ContainsFunc(parts, func(p *gmailsvc.Part) bool { return p.Type == htmlText })
}

// addresses returns the addresses of a field, or what it says in the place of any.
func addresses(h gmailsvc.Header, name string) []*mail.Address {
	all, err := h.Addresses(name)
	if text := strings.TrimSpace(h.Get(name)); err != nil && text != "" {
		return []*mail.Address{{Name: text}}
	}
	return all
}

// sender returns who a list says that a message is from.
func sender(m *gmailsvc.Message) string {
	from := addresses(m.Header(), "From")
	if len(from) == 0 {
		return "(no sender)"
	}
	return cmp.Or(from[0].Name, from[0].Address)
}

func subject(m *gmailsvc.Message) string {
	return cmp.Or(strings.TrimSpace(m.Header().Get("Subject")), "(no subject)")
}

// snippet returns the beginning of the text. Gmail escapes it as HTML.
func snippet(m *gmailsvc.Message) string { return html.UnescapeString(m.Snippet) }
