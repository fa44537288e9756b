package quota

import (
	"cmp"
	"iter"
)

// A Planner finds where one threads.get costs no more than the messages.get that it replaces. The zero Planner
// is ready for use.
//
// A threads.get answers with the whole thread, whatever was asked for of it: with messages too that no query
// matched, that were sent, or that lie in the trash, and all of them in the chosen format, which raw can't be.
// Where the wanted messages are few and threads long, AtLeast keeps the rest from being downloaded.
type Planner struct {
	// Prices is what the methods cost. Nil: Since2026.
	Prices Prices
	// Window is how many messages are looked at together. 0: 500, a page of a listing. What of a thread lies
	// further apart is not brought together.
	Window int
	// AtLeast is of how many wanted messages a thread is got as a whole, if that is not dearer. 0: two.
	AtLeast int
}

const defaultPlannerWindow = 500

// A Group is what one call gets: a thread, if Thread is set, else the single message that Refs names.
type Group[R any] struct {
	Thread    string
	Refs      []R   // the wanted messages, in their order
	Positions []int // of Refs among all, counted from 0
	Units     int   // the price of the call
}

// Plan divides refs, which thread gives the thread ID of, or "", into groups. They come in the order of their
// first messages, and each ref is in one of them: who holds back what comes early delivers in the order of
// refs, and never has to hold messages of more than Window positions, although threads.get may bring others
// along. Plan reads at most Window refs ahead. An error of refs comes after the groups of all refs before it.
func Plan[R any](p Planner, refs iter.Seq2[R, error], thread func(R) string) iter.Seq2[Group[R], error] {
	if p.Prices == nil {
		p.Prices = Since2026()
	}
	message, whole := p.Prices.Units("gmail.users.messages.get"), p.Prices.Units("gmail.users.threads.get")
	return func(yield func(Group[R], error) bool) {
		w := window[R]{threads: make(map[string][]int), message: message, whole: whole, atLeast: max(p.AtLeast, 2)}
		size := max(cmp.Or(p.Window, defaultPlannerWindow), 1)
		for ref, err := range refs {
			if err != nil {
				if w.flush(yield) {
					yield(Group[R]{}, err)
				}
				return
			}
			w.push(ref, thread(ref))
			if len(w.ahead) == size && !w.shift(yield) {
				return
			}
		}
		w.flush(yield)
	}
}

// A window is the refs that a plan looks at.
type window[R any] struct {
	ahead   []wanted[R]      // from the first position that is not planned
	first   int              // that position
	threads map[string][]int // positions of the refs in ahead that are not planned, by thread

	message, whole, atLeast int
}

type wanted[R any] struct {
	ref     R
	thread  string
	planned bool
}

func (w *window[R]) push(ref R, thread string) {
	if thread != "" {
		w.threads[thread] = append(w.threads[thread], w.first+len(w.ahead))
	}
	w.ahead = append(w.ahead, wanted[R]{ref: ref, thread: thread})
}

// flush yields what is left.
func (w *window[R]) flush(yield func(Group[R], error) bool) bool {
	for len(w.ahead) > 0 {
		if !w.shift(yield) {
			return false
		}
	}
	return true
}

// shift plans the first ref, unless it went with another one, and moves on.
func (w *window[R]) shift(yield func(Group[R], error) bool) bool {
	head := w.ahead[0]
	goOn := true
	if !head.planned {
		goOn = yield(w.group(head), nil)
	}
	w.ahead[0] = wanted[R]{}
	w.ahead = w.ahead[1:]
	w.first++
	return goOn
}

// group returns the group of the first ref.
func (w *window[R]) group(head wanted[R]) Group[R] {
	together := w.threads[head.thread]
	if len(together) < w.atLeast || w.whole > len(together)*w.message {
		if len(together) > 1 {
			w.threads[head.thread] = together[1:]
		} else {
			delete(w.threads, head.thread)
		}
		return Group[R]{Refs: []R{head.ref}, Positions: []int{w.first}, Units: w.message}
	}
	delete(w.threads, head.thread)
	g := Group[R]{Thread: head.thread, Positions: together, Units: w.whole}
	for _, position := range together {
		in := &w.ahead[position-w.first]
		in.planned = true
		g.Refs = append(g.Refs, in.ref)
	}
	return g
}
