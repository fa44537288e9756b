package quota

import "container/heap"

// A waiter is an Acquire that waits.
type waiter struct {
	queue  *queue
	class  Class
	units  int
	weight int
	order  uint64 // of arrival
	permit *Permit
	wake   chan signal // has room for everything that is ever sent

	before, after *waiter
}

// A signal tells a waiter why it is woken.
type signal uint8

const (
	granted signal = iota // it has its permit
	mayAsk                // it is to ask the Pool on behalf of all who wait for the user
)

// A line is the waiters of one class, in the order in which they came.
type line struct {
	head, tail *waiter
	units      int // of all of them
}

func (n *line) push(w *waiter) {
	if w.before = n.tail; w.before != nil {
		w.before.after = w
	} else {
		n.head = w
	}
	n.tail = w
	n.units += w.units
}

func (n *line) remove(w *waiter) {
	if w.before != nil {
		w.before.after = w.after
	} else {
		n.head = w.after
	}
	if w.after != nil {
		w.after.before = w.before
	} else {
		n.tail = w.before
	}
	w.before, w.after = nil, nil
	n.units -= w.units
}

// A queue is the waiters of one user.
type queue struct {
	user  *user
	lines [classes]line

	// Where it is in a pile of queues, if it is in one.
	pile  *pile
	index int
	at    int64 // what the pile is sorted by
}

func (q *queue) empty() bool {
	return q == nil || q.lines[Background].head == nil && q.lines[Interactive].head == nil
}

func (q *queue) push(w *waiter) { q.lines[w.class].push(w) }

func (q *queue) remove(w *waiter) { q.lines[w.class].remove(w) }

// leave takes the queue out of its pile.
func (q *queue) leave() {
	if q.pile != nil {
		heap.Remove(q.pile, q.index)
	}
}

// A pile has queues, the one with the least at on top.
type pile []*queue

func (p *pile) put(q *queue, at int64) {
	q.pile, q.at = p, at
	heap.Push(p, q)
}

func (p pile) top() *queue {
	if len(p) == 0 {
		return nil
	}
	return p[0]
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (p pile) Len() int           { return len(p) }
func (p pile) Less(i, j int) bool { return p[i].at < p[j].at }

func (p pile) Swap(i, j int) {
	p[i], p[j] = p[j], p[i]
	p[i].index, p[j].index = i, j
}

func (p *pile) Push(x any) {
	q := x.(*queue)
	q.index = len(*p)
	*p = append(*p, q)
}

func (p *pile) Pop() any {
	last := len(*p) - 1
	q := (*p)[last]
	(*p)[last] = nil
	*p = (*p)[:last]
	q.pile = nil
	return q
}
