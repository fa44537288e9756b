package risc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// What taking an event may last, the application's Handle included, and for how long another delivery of it waits until the one
// before is given up.
const (
	takeTime      = 30 * time.Second
	noteTime      = 5 * time.Second
	abandoned     = 2 * takeTime
	maxDeliveries = 100 // of one token
)

// A delivery is one of the times that a token comes. Each is claimed before anything is done, over all processes, and leaves a
// note of how it ended: one that failed or was cut short is no reason to take the next for a replay.
type delivery struct {
	id   string
	note note
}

// A note is what a delivery leaves. Neither Done nor Failed, it is under way, or was cut short.
type note struct {
	Done   bool   `json:"done,omitempty"`
	Failed bool   `json:"failed,omitempty"`
	Owner  string `json:"owner,omitempty"` // whose refresh token TokenRevoked is about: once marked, no grant has it any more
}

var errUnderWay = errors.New("the same event is being taken right now")

// claim returns the delivery that is the caller's to do, or nil if an earlier one was done.
func (r *Receiver) claim(ctx context.Context, id string, until time.Time) (*delivery, error) {
	var d delivery
	for n := range maxDeliveries {
		d.id = strconv.Itoa(n) + " " + id
		earlier, err := r.seen.Claim(ctx, d.id, until)
		if err != nil || earlier == nil {
			return &d, err
		}
		var left note
		if earlier.Note != nil && json.Unmarshal(earlier.Note, &left) != nil {
			return nil, errors.New("the note of an earlier delivery can't be read")
		}
		if left.Owner != "" {
			d.note.Owner = left.Owner
		}
		switch {
		case left.Done:
			return nil, nil //nolint:nilnil // nothing is left to do
		case !left.Failed && r.cfg.Now().Sub(earlier.At) < abandoned:
			return nil, errUnderWay
		}
	}
	return nil, fmt.Errorf("it was delivered %d times, and never taken", maxDeliveries)
}

// take marks grants and tells the application, unless that was done before.
func (r *Receiver) take(ctx context.Context, id string, notices []notice) error {
	ctx, cancel := context.WithTimeout(ctx, takeTime)
	defer cancel()
	d, err := r.claim(ctx, id, notices[0].At.Add(oldest+clockSkew))
	if err != nil || d == nil {
		return err
	}
	err = r.do(ctx, d, notices)
	d.note.Done, d.note.Failed = err == nil, err != nil
	// What can't be noted is done again, if it comes again.
	if nerr := r.settle(ctx, d); nerr != nil {
		r.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "risc: what became of a security event was not noted", slog.Any("error", nerr))
	}
	return err
}

func (r *Receiver) settle(ctx context.Context, d *delivery) error {
	text, err := json.Marshal(d.note)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	return r.seen.Settle(ctx, d.id, text)
}

// do marks all grants first: what is dead is dead, whatever the application says to it. A grant that can't be marked is no
// reason to keep a hijacking from the application.
func (r *Receiver) do(ctx context.Context, d *delivery, notices []notice) error {
	var failed []error
	for i := range notices {
		if err := r.mark(ctx, d, &notices[i]); err != nil {
			failed = append(failed, fmt.Errorf("risc: %w", err))
		}
	}
	if r.cfg.Handle != nil {
		for _, n := range notices {
			if err := r.cfg.Handle(ctx, n.Event); err != nil {
				failed = append(failed, fmt.Errorf("risc: handle: %w", err))
			}
		}
	}
	return errors.Join(failed...)
}

// mark ends the grant that n is about, if it ends one. A consent that is newer than n stays. A user, or a token, of another
// service of the project is none of ours.
func (r *Receiver) mark(ctx context.Context, d *delivery, n *notice) (err error) {
	switch {
	case n.hint != authflow.TokenHint{}:
		return r.markOwner(ctx, d, n)
	case n.UserID != "" && n.Type.endsGrant():
		n.Marked, err = r.flow.MarkRevokedBefore(ctx, n.UserID, tokenstore.ReasonSecurity, n.At)
	}
	if errors.Is(err, tokenstore.ErrNotFound) {
		return nil
	}
	return err
}

func (r *Receiver) markOwner(ctx context.Context, d *delivery, n *notice) error {
	owner, err := r.flow.TokenOwner(ctx, n.hint)
	if err == nil && owner != d.note.Owner {
		d.note.Owner = owner
		err = r.settle(ctx, d)
	}
	if err == nil {
		_, err = r.flow.MarkTokenRevoked(ctx, n.hint, tokenstore.ReasonSecurity)
	}
	if err != nil && !errors.Is(err, tokenstore.ErrNotFound) {
		return err
	}
	n.UserID, n.Marked = d.note.Owner, d.note.Owner != ""
	return nil
}
