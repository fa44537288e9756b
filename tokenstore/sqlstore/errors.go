package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// A ConfigError says what is wrong with the arguments of New.
type ConfigError struct {
	Field   string // "db", "Dialect" or "Table"
	Problem string
}

// Error names the field, what is wrong with it and the fix.
func (e *ConfigError) Error() string { return "sqlstore: config: " + e.Field + " " + e.Problem }

// LogValue implements slog.LogValuer.
func (e *ConfigError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// A NewerSchemaError says that a newer release has migrated the tables, and that this one doesn't know
// what they look like now. Nothing was changed.
type NewerSchemaError struct {
	Table string
	Found int // the version of the tables
	Known int // the newest that this release knows
}

// Error names the table, both versions and the fix.
func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("sqlstore: table %s is at version %d of its schema, and this release of mailgrant knows"+
		" only %d; use the release that migrated it, or a newer one", e.Table, e.Found, e.Known)
}

// LogValue implements slog.LogValuer.
func (e *NewerSchemaError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// explain says what failed and for which key.
func (s *Store) explain(ctx context.Context, doing, key string, err error) error {
	if errors.Is(err, tokenstore.ErrConflict) || errors.Is(err, tokenstore.ErrNotFound) {
		return err
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = fmt.Errorf("%w: %w", ended, err) // some drivers report what the end of the context did to them
	}
	if s.dialect.missingTable(err) {
		err = fmt.Errorf("%w; has Migrate been called?", err)
	}
	return fmt.Errorf("sqlstore: %s %.100q in table %s: %w", doing, key, s.table, err)
}
