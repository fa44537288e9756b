package gmailtest

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// pubsub is as much of Cloud Pub/Sub as Gmail's notifications need.
type pubsub struct {
	now func() time.Time

	mu        sync.Mutex // guards all below; taken after that of a mailbox
	queues    []*queue   // in the order in which they were added
	published int
	news      chan struct{} // closed when a message comes; then another one
}

// A queue is a subscription and what waits in it, oldest first.
type queue struct {
	sub      Subscription
	arrived  int
	messages []*pubsubMessage
}

type pubsubMessage struct {
	id        string
	data      []byte
	published time.Time
	due       time.Time // when it can be delivered, also again
	ackID     string    // of the last delivery
	repeats   int
}

func newPubsub(now func() time.Time) *pubsub { return &pubsub{now: now, news: make(chan struct{})} }

func (p *pubsub) add(sub Subscription) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queue(sub.Name) != nil {
		return fmt.Errorf("gmailtest: add the subscription %s: there is one of that name", sub.Name)
	}
	p.queues = append(p.queues, &queue{sub: sub})
	return nil
}

func (p *pubsub) hasTopic(topic string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.queues, func(q *queue) bool { return q.sub.Topic == topic })
}

// publish puts a message into the subscriptions of a topic.
func (p *pubsub) publish(topic string, data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published++
	now := p.now()
	for _, q := range p.queues {
		if q.sub.Topic != topic {
			continue
		}
		var fate Fate
		if q.sub.Fate != nil {
			fate = q.sub.Fate(q.arrived)
		}
		q.arrived++
		if !fate.Lost {
			q.messages = append(q.messages, &pubsubMessage{
				id: strconv.Itoa(10_000_000 + p.published), data: data, published: now,
				due: now.Add(fate.Delay), repeats: fate.Repeats,
			})
		}
	}
	close(p.news)
	p.news = make(chan struct{})
}

// take returns up to limit messages that are due, which then are not for the time of the deadline.
func (p *pubsub) take(q *queue, limit int) []pubsubMessage {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	var taken []pubsubMessage
	for _, m := range q.messages {
		if len(taken) == limit {
			break
		}
		if !m.due.After(now) {
			m.ackID, m.due = rand.Text(), now.Add(q.sub.AckDeadline)
			taken = append(taken, *m)
		}
	}
	return taken
}

// acknowledge removes what was delivered, unless it is to come again. An ackID of an earlier delivery is of no use.
func (p *pubsub) acknowledge(q *queue, ackIDs ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q.messages = slices.DeleteFunc(q.messages, func(m *pubsubMessage) bool {
		if m.ackID == "" || !slices.Contains(ackIDs, m.ackID) {
			return false
		}
		m.repeats--
		m.ackID, m.due = "", p.now()
		return m.repeats < 0
	})
}

// postpone makes what was delivered due again after d.
func (p *pubsub) postpone(q *queue, d time.Duration, ackIDs ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range q.messages {
		if m.ackID != "" && slices.Contains(ackIDs, m.ackID) {
			m.due = p.now().Add(d)
		}
	}
}
