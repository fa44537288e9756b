package gmailsvc

import (
	"fmt"
	"log/slog"
	"strings"
)

// A MessageError says what could not be read of a message. It comes beside the Message, which has all the rest.
type MessageError struct {
	MessageID string // Gmail's; "" for what is not from Gmail
	Parts     []*PartError
}

// A PartError says what could not be read of a part.
type PartError struct {
	PartID string // as Part.ID
	Err    error  // "unknown charset", say; it quotes nothing of the message but names of charsets and encodings
}

func (e *MessageError) Error() string {
	var b strings.Builder
	b.WriteString("gmailsvc: message")
	if e.MessageID != "" {
		fmt.Fprintf(&b, " %.100q", e.MessageID)
	}
	b.WriteString(" is damaged, the rest of it can be read: ")
	for i, p := range e.Parts {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(p.Error())
	}
	return b.String()
}

// Unwrap returns the errors of the parts.
func (e *MessageError) Unwrap() []error {
	errs := make([]error, len(e.Parts))
	for i, p := range e.Parts {
		errs[i] = p
	}
	return errs
}

// LogValue implements slog.LogValuer.
func (e *MessageError) LogValue() slog.Value {
	parts := make([]string, len(e.Parts))
	for i, p := range e.Parts {
		parts[i] = p.Error()
	}
	return slog.GroupValue(slog.String("message_id", e.MessageID), slog.Any("parts", parts))
}

func (e *PartError) Error() string {
	if e.PartID == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("part %.100s: %v", e.PartID, e.Err)
}

// Unwrap returns the cause.
func (e *PartError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *PartError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("part_id", e.PartID), slog.String("error", e.Err.Error()))
}
