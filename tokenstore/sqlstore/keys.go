package sqlstore

import (
	"context"
	"iter"
	"strings"
)

// pageSize is how many keys a listing reads at a time.
const pageSize = 500

// Keys implements tokenstore.Lister. It yields the keys page by page, in the order of the primary key; between
// two pages it holds neither a connection nor a transaction. So a listing of a million
// keys blocks no writer, and its loop may write through a pool of one connection.
func (s *Store) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		from, to := span(prefix)
		for {
			var p page
			err := s.retry(ctx, func() (err error) {
				p, err = s.page(ctx, from, to)
				return err
			})
			if err != nil {
				yield("", s.explain(ctx, "list", prefix, err))
				return
			}
			for _, key := range p.keys {
				if err := ctx.Err(); err != nil {
					yield("", s.explain(ctx, "list", prefix, err))
					return
				}
				if strings.HasPrefix(key, prefix) && !yield(key, nil) {
					return
				}
			}
			if len(p.keys) < pageSize {
				return
			}
			from = append(p.last, 0) // the least name after the last
		}
	}
}

// A page is a run of keys and the name of the last.
type page struct {
	keys []string
	last []byte
}

func (s *Store) page(ctx context.Context, from, to []byte) (p page, err error) {
	rows, err := s.list.query(ctx, from, to, pageSize)
	if err != nil {
		return p, err
	}
	defer rows.Close()
	for rows.Next() {
		var rest []byte
		if err := rows.Scan(&p.last, &rest); err != nil {
			return p, err
		}
		p.keys = append(p.keys, keyOf(p.last, rest))
	}
	return p, rows.Err()
}
