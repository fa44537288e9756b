package filestore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"strings"
)

// Keys implements tokenstore.Lister. It holds the file names of one shard at a time, a 256th of all,
// and reads nothing of the records but their headers.
//
// A record that cannot be read doesn't hide the others: they all come first, then one error that says
// how many could not be read and wraps the first of their errors, such as a *CorruptError.
func (s *Store) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var unreadable int
		var first error
		for i := range s.shards {
			names, err := s.names(ctx, i)
			if err != nil {
				yield("", s.explain("list keys", err))
				return
			}
			for _, name := range names {
				if err := ctx.Err(); err != nil {
					yield("", err)
					return
				}
				key, err := s.readKey(name)
				switch {
				case errors.Is(err, fs.ErrNotExist): // deleted meanwhile
				case errors.Is(err, fs.ErrClosed):
					yield("", s.explain("list keys", err))
					return
				case err != nil:
					unreadable++
					if first == nil {
						first = err
					}
				case strings.HasPrefix(key, prefix):
					if !yield(key, nil) {
						return
					}
				}
			}
		}
		if first != nil {
			yield("", fmt.Errorf("filestore: list %s: %d records cannot be read, the first: %w",
				s.root.Name(), unreadable, first))
		}
	}
}

// names returns the names of the records in a shard. It locks out writers, because POSIX leaves open
// whether a directory that is being read shows a name whose file is replaced meanwhile.
func (s *Store) names(ctx context.Context, i int) ([]string, error) {
	if _, err := s.root.Lstat(s.shards[i].name); errors.Is(err, fs.ErrNotExist) {
		return nil, ctx.Err()
	}
	lock, err := s.lock(ctx, i)
	if err != nil {
		return nil, err
	}
	defer lock.release()
	entries, err := lock.dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	names := entries[:0]
	for _, entry := range entries {
		if len(entry) == len("00")*32 && strings.HasPrefix(entry, lock.shard.name) {
			names = append(names, filepath.Join(lock.shard.name, entry))
		}
	}
	return names, nil
}

// readKey returns the key of the named record.
func (s *Store) readKey(name string) (string, error) {
	f, size, err := s.openRecord(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h, err := readHeader(bufio.NewReaderSize(f, 512), size)
	if err == nil && fileName(h.key) != name {
		err = damage("it holds another key")
	}
	if d, ok := errors.AsType[damage](err); ok {
		return "", &CorruptError{Path: s.path(name), Reason: string(d)}
	}
	return h.key, err
}
