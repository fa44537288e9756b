package gmailsvc

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// fetched is what a loop over FetchMessages or FetchThreads is given.
type fetched struct {
	message *Message
	thread  *Thread
	err     error
	size    int // bytes of memory, about
}

// A part is one call of those that a pipeline has to make: for a message, for the wanted messages of a thread, or for a
// whole thread. It belongs to the pipeline, and while it is under way to its flight.
type part struct {
	group quota.Group[wanted]
	whole bool

	attempts int
	due      time.Time // when it is to be tried again
	renewed  bool      // its token was refused, and replaced

	state  partState
	answer answer // where it was refused
	err    error  // where it made no sense
	got    []fetched
	one    [1]fetched // what got is made of, for a message
}

type partState int

const (
	unanswered partState = iota
	refused
	senseless // an answer that another attempt would not better
	taken
)

// method returns the ID of what the part calls.
func (p *part) method() string {
	if p.group.Thread != "" {
		return "gmail.users.threads.get"
	}
	return "gmail.users.messages.get"
}

// begin prepares for another attempt.
func (p *part) begin() {
	p.attempts++
	p.state, p.answer, p.err, p.got = unanswered, answer{}, nil, nil
}

// read reads the answer to the part. What breaks off leaves it unanswered.
func (p *part) read(status int, header func() http.Header, r io.Reader, d *decoder) {
	if status < 200 || status >= 300 {
		p.state, p.answer = refused, answer{status: status, header: header()}
		p.answer.refusal, _ = io.ReadAll(io.LimitReader(r, maxErrorBytes))
		p.answer.rejected = quota.OutcomeOf(status, p.answer.header, p.answer.refusal)
		return
	}
	d.in.reset(r, maxJSONBytes)
	switch {
	case p.whole:
		p.readThread(d)
	case p.group.Thread != "":
		p.readWanted(d)
	default:
		p.readMessage(d)
	}
	d.in.end()
	switch err := d.in.err; {
	case err == nil && p.empty():
		p.state, p.err = senseless, errors.New("the answer is empty")
	case err == nil:
		p.state = taken
	case errors.Is(err, io.ErrUnexpectedEOF):
		p.err = err
	default:
		p.state, p.err = senseless, fmt.Errorf("the answer can't be read: %w", err)
	}
}

func (p *part) readMessage(d *decoder) {
	m, err := d.message()
	if m == nil || d.in.err != nil {
		return
	}
	p.one[0] = fetched{message: m, err: err, size: memoryOf(m)}
	p.got = p.one[:]
}

// empty reports whether the answer was good JSON and nothing else.
func (p *part) empty() bool {
	first := p.got[0]
	return first.thread != nil && first.thread.ID == "" || p.group.Thread == "" && first.message.ID == ""
}

// readWanted reads the wanted messages of a thread, and leaves out those that aren't there.
func (p *part) readWanted(d *decoder) {
	p.got = make([]fetched, len(p.group.Refs))
	d.thread(func(m *Message, err error) {
		size := memoryOf(m)
		for i, ref := range p.group.Refs {
			if ref.ID == m.ID {
				p.got[i] = fetched{message: m, err: err, size: size}
			}
		}
	})
}

func (p *part) readThread(d *decoder) {
	var t Thread
	var damage []error
	size := 0
	t.ID, t.HistoryID = d.thread(func(m *Message, err error) {
		t.Messages = append(t.Messages, m)
		size += memoryOf(m)
		if err != nil {
			damage = append(damage, err)
		}
	})
	t.Messages = slices.Clip(t.Messages)
	p.one[0] = fetched{thread: &t, err: errors.Join(damage...), size: size}
	p.got = p.one[:]
}

// memoryOf returns how many bytes a message takes, about.
func memoryOf(m *Message) int { return 512 + len(m.Snippet) + m.Root.memory() }

func (p *Part) memory() int {
	n := 256 + 128*len(p.Header) + len(p.Text) + len(p.Data)
	for _, child := range p.Parts {
		n += child.memory()
	}
	return n
}
