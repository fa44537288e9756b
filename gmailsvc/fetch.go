package gmailsvc

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
)

// FetchMessages yields the messages that refs name, in their order: a lazy ListMessages, or Refs of a slice.
//
//	for m, err := range svc.FetchMessages(ctx, svc.ListMessages(ctx, gmailsvc.Query{Q: "is:unread"})) { ... }
//
// Messages travel in batches, as many at a time as Gmail bears for a user: 25 calls, or 5 where a server knows no batches, and
// fewer once it has refused some. A Config with a Limiter says otherwise. Where two or more wanted messages share a
// thread, which the refs have to say, one threads.get serves them. What fails for a passing reason is tried again, part
// by part, by the RetryPolicy.
//
// Some messages are fetched ahead of the loop: up to twice as many as fit into a batch, and no more once they take 32 MB. A loop
// that reads slowly so stops the fetching. refs is read in a goroutine of its own, a few hundred refs ahead of the
// loop. A loop that breaks ends everything, and waits for refs to be done with the page that it is listing.
//
// Errors: *FetchError where one message can't be had; it wraps *NotFoundError for one that was deleted meanwhile. It comes beside
// the Message where that is merely damaged: see MessageError. The iteration goes on. Any other error ends it: of refs, of
// ctx, of the credentials, *InsufficientScopeError, *UnauthorizedError, and *RateLimitError of a limit of the day.
func (s *Service) FetchMessages(
	ctx context.Context, refs iter.Seq2[MessageRef, error], opts ...FetchOption,
) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		p, err := newPipeline(ctx, s, "fetch messages", opts)
		if err != nil {
			yield(nil, err)
			return
		}
		defer p.close()
		p.run(refs, func(f fetched) bool { return yield(f.message, f.err) })
	}
}

// Refs yields refs, for FetchMessages. The ThreadID of a ref may be missing; with it, fetching can be cheaper.
func Refs(refs ...MessageRef) iter.Seq2[MessageRef, error] {
	return func(yield func(MessageRef, error) bool) {
		for _, ref := range refs {
			if !yield(ref, nil) {
				return
			}
		}
	}
}

// A FetchError says why one message or thread could not be fetched, or not whole.
type FetchError struct {
	ID, ThreadID string // as the ref had them; of a thread, ID is ""
	Err          error
}

func (e *FetchError) Error() string {
	if e.ID == "" && e.ThreadID != "" {
		return fmt.Sprintf("gmailsvc: fetch thread %.100q: %v", e.ThreadID, e.Err)
	}
	return fmt.Sprintf("gmailsvc: fetch message %.100q: %v", e.ID, e.Err)
}

// Unwrap returns the cause.
func (e *FetchError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *FetchError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("message_id", e.ID), slog.String("thread_id", e.ThreadID),
		slog.String("error", e.Err.Error()))
}
