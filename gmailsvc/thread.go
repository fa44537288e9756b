package gmailsvc

import (
	"context"
	"fmt"
	"iter"

	"google.golang.org/api/gmail/v1"
)

// A Thread is a conversation with all its messages, oldest first, those in the trash included.
type Thread struct {
	ID        string
	HistoryID uint64 // of the last change of the thread; 0: not said
	Messages  []*Message
}

// ListThreads yields the IDs of the threads that have a message which matches q, the one with the newest such message first. In
// all else it is as ListMessages; a page costs twice as much.
func (s *Service) ListThreads(ctx context.Context, q Query) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if q.PageSize < 0 || q.PageSize > maxPageSize || q.Limit < 0 {
			yield("", fmt.Errorf("gmailsvc: list threads: PageSize %d must be within 0 and %d, and Limit %d not negative",
				q.PageSize, maxPageSize, q.Limit))
			return
		}
		left := q.Limit
		for page := ""; ; {
			res, err := s.threadsPage(ctx, q, page, left)
			if err != nil {
				yield("", fmt.Errorf("gmailsvc: list threads: %w", err))
				return
			}
			for _, t := range res.Threads {
				if !yield(t.Id, nil) {
					return
				}
				if left--; left == 0 {
					return
				}
			}
			if page = res.NextPageToken; page == "" {
				return
			}
		}
	}
}

func (s *Service) threadsPage(ctx context.Context, q Query, page string, left int) (*gmail.ListThreadsResponse, error) {
	size := q.PageSize
	if size == 0 {
		size = maxPageSize
	}
	if left > 0 {
		size = min(size, left)
	}
	call := s.Users.Threads.List("me").MaxResults(int64(size)).Fields("threads(id)", "nextPageToken").Context(ctx)
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

// FetchThreads yields the threads that ids name, in their order: a lazy ListThreads, or IDs of a slice. All else is as with
// FetchMessages; there is no FormatRaw.
//
// Errors: *FetchError where one thread can't be had; it comes beside the Thread where messages of it are damaged. Others are as
// of FetchMessages and end the iteration.
func (s *Service) FetchThreads(ctx context.Context, ids iter.Seq2[string, error], opts ...FetchOption) iter.Seq2[*Thread, error] {
	return func(yield func(*Thread, error) bool) {
		p, err := newPipeline(ctx, s, "fetch threads", opts)
		if err == nil && p.opts.format == FormatRaw {
			p.close()
			err = fmt.Errorf("gmailsvc: fetch threads: Gmail has no threads in the format %q; fetch their messages", FormatRaw)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		defer p.close()
		p.whole = true
		refs := func(yield func(MessageRef, error) bool) {
			for id, err := range ids {
				if !yield(MessageRef{ThreadID: id}, err) {
					return
				}
			}
		}
		p.run(refs, func(f fetched) bool { return yield(f.thread, f.err) })
	}
}

// IDs yields ids, for FetchThreads.
func IDs(ids ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
	}
}

// thread reads a thread, each message of it into each. Unless it was read to its end, d.in.err says why.
func (d *decoder) thread(each func(*Message, error)) (id string, historyID uint64) {
	if !d.in.enter('{') {
		return "", 0
	}
	for i := 0; d.in.next('}', i); i++ {
		switch string(d.in.key()) {
		case "id":
			id = string(d.in.text(nil))
		case "historyId":
			historyID = d.unsigned()
		case "messages":
			if !d.in.enter('[') {
				continue
			}
			for i := 0; d.in.next(']', i); i++ {
				if m, err := d.message(); d.in.err == nil {
					each(m, err)
				}
			}
		default:
			d.in.skip()
		}
	}
	return id, historyID
}
