package gmailsvc

import (
	"context"
	"fmt"
	"iter"

	"google.golang.org/api/gmail/v1"
)

// A Query says which messages to list. The zero Query lists all but spam and trash.
type Query struct {
	Q                string   // as in Gmail's search box, say "is:unread from:ada@example.com"
	LabelIDs         []string // messages must have all of them: IDs such as "INBOX", not names
	IncludeSpamTrash bool
	PageSize         int // messages a call; 0: 500, the most that Gmail gives. A page costs the same whatever its size
	Limit            int // messages in all; 0: no limit
}

// maxPageSize is Gmail's: https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages/list.
const maxPageSize = 500

// A MessageRef names a message and its thread, as the API lists them.
type MessageRef struct {
	ID, ThreadID string
}

// ListMessages yields the messages that match q, newest first: the guide's ListMessages. A page is fetched when the first
// message of it is asked for, so that a loop that breaks has cost no more than it read. After yielding an error, which may be
// *googleapi.Error or whatever the credentials answer, the iteration ends.
func (s *Service) ListMessages(ctx context.Context, q Query) iter.Seq2[MessageRef, error] {
	return func(yield func(MessageRef, error) bool) {
		if q.PageSize < 0 || q.PageSize > maxPageSize || q.Limit < 0 {
			yield(MessageRef{}, fmt.Errorf("gmailsvc: list messages: PageSize %d must be within 0 and %d, and Limit %d not negative",
				q.PageSize, maxPageSize, q.Limit))
			return
		}
		left := q.Limit
		for page := ""; ; {
			res, err := s.listPage(ctx, q, page, left)
			if err != nil {
				yield(MessageRef{}, fmt.Errorf("gmailsvc: list messages: %w", err))
				return
			}
			for _, m := range res.Messages {
				if !yield(MessageRef{ID: m.Id, ThreadID: m.ThreadId}, nil) {
					return
				}
				if left--; left == 0 {
					return
				}
			}
			// A page may be empty and yet not the last.
			if page = res.NextPageToken; page == "" {
				return
			}
		}
	}
}

func (s *Service) listPage(ctx context.Context, q Query, page string, left int) (*gmail.ListMessagesResponse, error) {
	size := q.PageSize
	if size == 0 {
		size = maxPageSize
	}
	if left > 0 {
		size = min(size, left)
	}
	call := s.Users.Messages.List("me").MaxResults(int64(size)).Fields("messages(id,threadId)", "nextPageToken").Context(ctx)
	if q.Q != "" {
		call.Q(q.Q)
	}
	if len(q.LabelIDs) > 0 {
		call.LabelIds(q.LabelIDs...)
	}
	if q.IncludeSpamTrash {
		call.IncludeSpamTrash(true)
	}
	if page != "" {
		call.PageToken(page)
	}
	return call.Do()
}
