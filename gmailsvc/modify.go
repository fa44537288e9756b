package gmailsvc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"google.golang.org/api/gmail/v1"
)

// maxModified is how many messages Gmail changes in one call:
// https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages/batchModify.
const maxModified = 1000

// ModifyMessages adds labels to messages and removes others, all by their IDs, 1,000 messages a call. Gmail passes over messages
// that are not there, and a label that is there already does no harm, so that all of it can be done again.
//
// Errors: *ModifyError, which says what had been done.
func (s *Service) ModifyMessages(ctx context.Context, ids, add, remove []string) error {
	if len(ids) == 0 {
		return nil
	}
	if len(add)+len(remove) == 0 {
		return &ModifyError{Err: errors.New("no label to add or remove; give one")}
	}
	done := 0
	for chunk := range slices.Chunk(ids, maxModified) {
		change := &gmail.BatchModifyMessagesRequest{Ids: chunk, AddLabelIds: add, RemoveLabelIds: remove}
		if err := s.Users.Messages.BatchModify("me", change).Context(ctx).Do(); err != nil {
			return &ModifyError{Done: done, Unsure: len(chunk), Err: err}
		}
		done += len(chunk)
	}
	return nil
}

// A ModifyError says how far ModifyMessages came.
type ModifyError struct {
	Done   int // the first so many of the messages were changed
	Unsure int // the next so many were in the call that failed, which may have changed them if it was not refused
	Err    error
}

func (e *ModifyError) Error() string {
	return fmt.Sprintf("gmailsvc: modify messages: %v; the first %d were changed, begin again after them", e.Err, e.Done)
}

// Unwrap returns the cause.
func (e *ModifyError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *ModifyError) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("done", e.Done), slog.Int("unsure", e.Unsure), slog.String("error", e.Err.Error()))
}
