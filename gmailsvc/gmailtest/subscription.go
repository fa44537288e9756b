package gmailtest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// A Subscription of Cloud Pub/Sub gets what Gmail publishes to a topic while a mailbox is watched, from the
// time on when it is added. Messages wait in it until they are acknowledged: by whoever pulls, or by an
// endpoint that DeliverPushes posts them to.
//
// Unlike Gmail's, which are at most one a second for a user, no notification is left out.
type Subscription struct {
	// Name is "projects/PROJECT/subscriptions/NAME", Topic "projects/PROJECT/topics/NAME". Both are required.
	// The topic comes to be with its first subscription.
	Name, Topic string

	// AckDeadline is how long a message that was pulled or pushed is kept from the next one. Default: 10
	// seconds, as Google's.
	AckDeadline time.Duration

	// Endpoint is the URL that messages are posted to. Empty: the subscription is for pulling.
	Endpoint string

	// Handler takes the posts for Endpoint in process. Default: they go over the network, by Client.
	Handler http.Handler

	// Client posts. Default: one that follows no redirect and gives up after AckDeadline.
	Client *http.Client

	// ServiceAccount is the e-mail address in the ID token that each post then has in its Authorization header.
	// The token is signed with the keys that JWKSURL has. Empty: posts have no token.
	ServiceAccount string

	// Audience is that of the ID token. Default: Endpoint, as Google's.
	Audience string

	// Fate, where set, says what becomes of the n-th message, counting from 0. It is called for one message
	// after the other and must not call the Server or a Mailbox.
	Fate func(n int) Fate
}

// A Fate is what becomes of a message, since Pub/Sub promises little: the zero value is that it is there at
// once, and once.
type Fate struct {
	// Lost messages never come.
	Lost bool

	// Delay is how much later the message comes, on the clock of Config.Now.
	Delay time.Duration

	// Repeats is how often it comes again after that, with the same message ID.
	Repeats int
}

// AddSubscription adds a subscription, and its topic where there is none of that name yet. It fails where
// there is one of that name or the names are not Pub/Sub's.
func (s *Server) AddSubscription(sub Subscription) error {
	if !matchesName("projects/*/subscriptions/*", sub.Name) {
		return fmt.Errorf("gmailtest: add a subscription: Name is %q; it must be projects/PROJECT/subscriptions/NAME", sub.Name)
	}
	if !matchesName("projects/*/topics/*", sub.Topic) {
		return fmt.Errorf("gmailtest: add the subscription %s: Topic is %q; it must be projects/PROJECT/topics/NAME", sub.Name, sub.Topic)
	}
	if sub.AckDeadline < 0 {
		return fmt.Errorf("gmailtest: add the subscription %s: AckDeadline is %v; it must be positive", sub.Name, sub.AckDeadline)
	}
	to, err := url.Parse(sub.Endpoint)
	if pushes := sub.Endpoint != "" || sub.Handler != nil; pushes && (err != nil || to.Host == "") {
		return fmt.Errorf("gmailtest: add the subscription %s: Endpoint is %q; it must be an absolute URL", sub.Name, sub.Endpoint)
	}
	if sub.AckDeadline == 0 {
		sub.AckDeadline = 10 * time.Second
	}
	if sub.Audience == "" {
		sub.Audience = sub.Endpoint
	}
	switch {
	case sub.Handler != nil:
		sub.Client = &http.Client{Transport: roundTripper{sub.Handler}, CheckRedirect: noRedirect}
	case sub.Client == nil:
		sub.Client = &http.Client{Timeout: sub.AckDeadline, CheckRedirect: noRedirect}
	}
	return s.pubsub.add(sub)
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Pending returns how many messages wait in a subscription, delayed ones and those out for delivery included.
// It panics where there is no such subscription.
func (s *Server) Pending(subscription string) int {
	s.pubsub.mu.Lock()
	defer s.pubsub.mu.Unlock()
	q := s.pubsub.queue(subscription)
	if q == nil {
		panic(fmt.Sprintf("gmailtest: Pending: there is no subscription %q; add it with AddSubscription", subscription))
	}
	return len(q.messages)
}

// queue returns that of a subscription, or nil. The caller holds p.mu.
func (p *pubsub) queue(subscription string) *queue {
	if i := slices.IndexFunc(p.queues, func(q *queue) bool { return q.sub.Name == subscription }); i >= 0 {
		return p.queues[i]
	}
	return nil
}
