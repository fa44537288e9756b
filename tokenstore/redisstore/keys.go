package redisstore

import (
	"context"
	"iter"
	"strings"

	"github.com/redis/go-redis/v9"
)

// scanCount is how many keys of the database Redis looks at in one SCAN, which holds up
// other commands for well under a millisecond.
const scanCount = 1000

// globEscaper makes a MATCH pattern of text that matches only itself.
var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// Keys implements tokenstore.Lister. It reads the keys page by page with SCAN, in a cluster from one master after the other,
// and may yield a key more than once. It looks at every key of the database, whoever's it is.
//
// SCAN may miss keys when a server restarts, a replica takes over or slots of a cluster move in the course of the
// listing. Keys notices that and ends with an error, so that a listing without one is complete. List again, then.
func (s *Store) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	pattern := globEscaper.Replace(s.prefix+prefix) + "*"
	return func(yield func(string, error) bool) {
		t, err := s.topology(ctx)
		if err != nil {
			yield("", explain(ctx, "list keys", err))
			return
		}
		for _, n := range t.nodes {
			for redisKey, err := range scan(ctx, n.client, pattern) {
				if err != nil {
					yield("", explain(ctx, "list keys", err))
					return
				}
				key, ok := strings.CutPrefix(redisKey, s.prefix)
				if ok && strings.HasPrefix(key, prefix) && !yield(key, nil) {
					return
				}
			}
		}
		if err := t.unchanged(ctx); err != nil {
			yield("", explain(ctx, "list keys", err))
		}
	}
}

// scan yields the Redis keys of one server that match pattern. After an error it ends.
func scan(ctx context.Context, server redis.Cmdable, pattern string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for cursor := uint64(0); ; {
			keys, next, err := server.Scan(ctx, cursor, pattern, scanCount).Result()
			if err != nil {
				yield("", err)
				return
			}
			for _, key := range keys {
				if err := ctx.Err(); err != nil {
					yield("", err)
					return
				}
				if !yield(key, nil) {
					return
				}
			}
			if cursor = next; cursor == 0 {
				return
			}
		}
	}
}
