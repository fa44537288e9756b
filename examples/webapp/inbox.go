package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/gmail/v1"

	"github.com/mailgrant/mailgrant/gmailsvc"
)

const (
	rowsPerPage = 20
	maxTrail    = 100 // pages that one can go back
)

// A list is a page of an inbox, or of what a search found.
type list struct {
	Account      account
	Query        string
	Rows         []row
	Number       int    // of the page, from 1
	Newer, Older string // where the pages beside it are; empty: there is none
}

// A row is one message of a list.
type row struct {
	ID                     string
	From, Subject, Snippet string
	Date                   time.Time
	Unread, Starred        bool
}

// inbox shows a page of the inbox, or of all mail that matches q.
func (a *app) inbox(w http.ResponseWriter, r *http.Request, acct account) error {
	svc, err := a.mailOf(r.Context(), acct)
	if err != nil {
		return err
	}
	query := strings.TrimSpace(r.FormValue("q"))
	trail := pageTrail(r)
	found, err := findMessages(r.Context(), svc, query, trail)
	if err != nil {
		return err
	}
	l := list{Account: acct, Query: query, Number: len(trail) + 1}
	if l.Rows, err = fetchRows(r.Context(), svc, found.Messages); err != nil {
		return err
	}
	if len(trail) > 0 {
		l.Newer = listURL(acct, query, trail[:len(trail)-1])
	}
	if found.NextPageToken != "" && len(trail) < maxTrail {
		l.Older = listURL(acct, query, append(slices.Clone(trail), found.NextPageToken))
	}
	title := "Inbox of " + acct.Email
	if query != "" {
		title = "“" + query + "” in " + acct.Email
	}
	return a.show(w, r, http.StatusOK, "inbox", view{Title: title, Here: acct.UserID, Main: l})
}

// findMessages lists a page: the last that the trail names, or the first. Gmail only has tokens of the page after, so a
// page's address carries those of all pages before it.
func findMessages(ctx context.Context, svc *gmailsvc.Service, query string, trail []string) (*gmail.ListMessagesResponse, error) {
	call := svc.Users.Messages.List("me").MaxResults(rowsPerPage).Fields("messages(id,threadId)", "nextPageToken").Context(ctx)
	if query == "" {
		call.LabelIds("INBOX")
	} else {
		call.Q(query)
	}
	if len(trail) > 0 {
		call.PageToken(trail[len(trail)-1])
	}
	found, err := call.Do()
	// A page may be empty and yet not the last.
	for err == nil && len(found.Messages) == 0 && found.NextPageToken != "" {
		found, err = call.PageToken(found.NextPageToken).Do()
	}
	return found, err
}

func pageTrail(r *http.Request) []string {
	trail := r.URL.Query()["page"]
	return trail[:min(len(trail), maxTrail)]
}

func listURL(acct account, query string, trail []string) string {
	values := url.Values{}
	if query != "" {
		values.Set("q", query)
	}
	if len(trail) > 0 {
		values["page"] = trail
	}
	if len(values) == 0 {
		return acct.Path()
	}
	return acct.Path() + "?" + values.Encode()
}

// fetchRows fetches what a list shows of messages. One that was deleted since it was listed has no row, and one that Gmail can't
// give does not keep the others from being read.
func fetchRows(ctx context.Context, svc *gmailsvc.Service, found []*gmail.Message) ([]row, error) {
	refs := make([]gmailsvc.MessageRef, len(found))
	for i, m := range found {
		refs[i] = gmailsvc.MessageRef{ID: m.Id, ThreadID: m.ThreadId}
	}
	var rows []row
	for m, err := range svc.FetchMessages(ctx, gmailsvc.Refs(refs...), gmailsvc.HeadersOnly("From", "Subject")) {
		failed, single := errors.AsType[*gmailsvc.FetchError](err)
		switch {
		case m != nil:
			rows = append(rows, rowOf(m))
		case errors.As(err, new(*gmailsvc.NotFoundError)):
		case !single || errors.As(err, new(*gmailsvc.RateLimitError)):
			return nil, err
		default:
			rows = append(rows, row{ID: failed.ID, From: "Unknown", Subject: "(Gmail does not give this message for now)"})
		}
	}
	return rows, nil
}

func rowOf(m *gmailsvc.Message) row {
	return row{
		ID:      m.ID,
		From:    sender(m),
		Subject: subject(m),
		Snippet: snippet(m),
		Date:    m.InternalDate,
		Unread:  slices.Contains(m.LabelIDs, "UNREAD"),
		Starred: slices.Contains(m.LabelIDs, "STARRED"),
	}
}
