package redisstore

import (
	"fmt"
	"log/slog"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// A record is stored as one byte with the length of its version, the version and the data. A single string takes
// less of Redis's memory than a hash, and the version's place at its beginning lets the script compare without
// reading the data.

// head returns what the stored value of a record with the given version begins with: "" where there is none.
func head(version string) string {
	if version == "" {
		return ""
	}
	return string([]byte{byte(len(version))}) + version
}

// encode returns the value to store for r, which tokenstore.CheckSwap has passed: nothing for the zero Record.
func encode(r tokenstore.Record) []byte {
	if r.Version == "" {
		return nil
	}
	b := make([]byte, 0, 1+len(r.Version)+len(r.Data))
	b = append(b, byte(len(r.Version)))
	b = append(b, r.Version...)
	return append(b, r.Data...)
}

// decode returns the record stored as value, whose memory becomes the record's. It reports false where value is none.
func decode(value []byte) (tokenstore.Record, bool) {
	if len(value) == 0 {
		return tokenstore.Record{}, false
	}
	n := int(value[0])
	if n < 1 || n > tokenstore.MaxVersionBytes || len(value) < 1+n {
		return tokenstore.Record{}, false
	}
	return tokenstore.Record{Version: string(value[1 : 1+n]), Data: value[1+n:]}, true
}

// A CorruptError says that what Redis has under a key of the store is no record: another program
// uses the same prefix, or the value was damaged. The store leaves it as it is.
type CorruptError struct {
	Key      string // of the record
	RedisKey string // where its value is: Config.Prefix and Key
}

// Error names the Redis key and the way out.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("redisstore: what Redis has under %.200q is no record; delete it, or set another Config.Prefix", e.RedisKey)
}

// LogValue implements slog.LogValuer.
func (e *CorruptError) LogValue() slog.Value { return slog.StringValue(e.Error()) }
