package gmailtest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxPullWait is how long a pull waits for a message. Google says only that the time is bounded.
const maxPullWait = 10 * time.Second

// pubsubScopes are those of which a token needs one.
var pubsubScopes = []string{"https://www.googleapis.com/auth/pubsub", "https://www.googleapis.com/auth/cloud-platform"}

type pulledMessage struct {
	AckID   string          `json:"ackId"`
	Message messageInPubsub `json:"message"`
}

type messageInPubsub struct {
	Data        string `json:"data"`
	MessageID   string `json:"messageId"`
	PublishTime string `json:"publishTime"`
}

func (m pubsubMessage) resource() messageInPubsub {
	return messageInPubsub{
		Data: base64.StdEncoding.EncodeToString(m.data), MessageID: m.id,
		PublishTime: m.published.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
	}
}

// A subscriptionMethod is one of Pub/Sub's.
type subscriptionMethod func(*queue, *call) (any, *apiError)

// subscriptionCall is a call of a subscription: the last segment of the path is its name, a colon and the method.
// https://docs.cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions
func (s *Server) subscriptionCall(w http.ResponseWriter, r *http.Request) {
	name, method, _ := strings.Cut(r.PathValue("call"), ":")
	run := map[string]subscriptionMethod{
		"pull": s.pull, "acknowledge": s.acknowledge, "modifyAckDeadline": s.modifyAckDeadline,
	}[method]
	if run == nil {
		s.writeAPIError(w, r, notServed(r))
		return
	}
	s.operate("pubsub.projects.subscriptions."+method, func(w http.ResponseWriter, r *http.Request) {
		answer, bad := s.runSubscription("projects/"+r.PathValue("project")+"/subscriptions/"+name, run, r)
		if bad == nil {
			var body []byte
			if body, bad = encodeFields(answer, r.URL.Query()); bad == nil {
				s.writeAPI(w, r, http.StatusOK, body)
				return
			}
		}
		bad.plain = true
		s.writeAPIError(w, r, bad)
	}, w, r)
}

func (s *Server) runSubscription(name string, run subscriptionMethod, r *http.Request) (any, *apiError) {
	token, _, given := s.bearer(r)
	if token == nil {
		return nil, unauthorized(given)
	}
	if !slices.ContainsFunc(token.Scopes, func(scope string) bool { return slices.Contains(pubsubScopes, scope) }) {
		bad := insufficientScopes(pubsubScopes)
		bad.service = "pubsub.googleapis.com"
		return nil, bad
	}
	s.pubsub.mu.Lock()
	q := s.pubsub.queue(name)
	s.pubsub.mu.Unlock()
	if q == nil {
		_, short, _ := strings.Cut(name, "/subscriptions/")
		bad := notFound()
		bad.message = fmt.Sprintf("Resource not found (resource=%s).", short)
		return nil, bad
	}
	return run(q, &call{server: s, request: r})
}

// invalidPubsub is said of an argument.
func invalidPubsub(argument string) *apiError {
	return badRequest(fmt.Sprintf("You have passed an invalid argument to the service (argument=%s).", argument))
}

type pullAnswer struct {
	ReceivedMessages []pulledMessage `json:"receivedMessages,omitempty"`
}

// pull answers with what is due, and waits for it where nothing is.
func (s *Server) pull(q *queue, c *call) (any, *apiError) {
	var given struct {
		MaxMessages       int  `json:"maxMessages"`
		ReturnImmediately bool `json:"returnImmediately"`
	}
	if bad := c.decode(&given); bad != nil {
		return nil, bad
	}
	if given.MaxMessages <= 0 {
		return nil, invalidPubsub("max_messages")
	}
	timeout := time.NewTimer(maxPullWait)
	defer timeout.Stop()
	for {
		news, due := s.pubsub.upcoming(q)
		taken := s.pubsub.take(q, given.MaxMessages)
		if len(taken) > 0 || given.ReturnImmediately {
			answer := &pullAnswer{}
			for _, m := range taken {
				answer.ReceivedMessages = append(answer.ReceivedMessages, pulledMessage{m.ackID, m.resource()})
			}
			return answer, nil
		}
		soon := time.NewTimer(due)
		select {
		case <-news:
		case <-soon.C:
		case <-timeout.C:
			given.ReturnImmediately = true
		case <-c.request.Context().Done():
			given.ReturnImmediately = true
		case <-s.done:
			given.ReturnImmediately = true
		}
		soon.Stop()
	}
}

// upcoming returns a channel that is closed when a message comes, and in how long one that is there will be due.
func (p *pubsub) upcoming(q *queue) (news <-chan struct{}, due time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	due = maxPullWait
	for _, m := range q.messages {
		due = min(due, m.due.Sub(p.now()))
	}
	return p.news, max(due, time.Millisecond) // a clock that stands still would have the pull spin
}

func (s *Server) acknowledge(q *queue, c *call) (any, *apiError) {
	var given struct {
		AckIDs []string `json:"ackIds"`
	}
	if bad := c.decode(&given); bad != nil {
		return nil, bad
	}
	if len(given.AckIDs) == 0 {
		return nil, invalidPubsub("ack_ids")
	}
	s.pubsub.acknowledge(q, given.AckIDs...)
	return &struct{}{}, nil
}

// modifyAckDeadline gives a worker more time, or with 0 seconds the message back at once.
func (s *Server) modifyAckDeadline(q *queue, c *call) (any, *apiError) {
	var given struct {
		AckIDs  []string `json:"ackIds"`
		Seconds int      `json:"ackDeadlineSeconds"`
	}
	if bad := c.decode(&given); bad != nil {
		return nil, bad
	}
	if len(given.AckIDs) == 0 {
		return nil, invalidPubsub("ack_ids")
	}
	if given.Seconds < 0 || given.Seconds > 600 {
		return nil, invalidPubsub("ack_deadline_seconds")
	}
	s.pubsub.postpone(q, time.Duration(given.Seconds)*time.Second, given.AckIDs...)
	return &struct{}{}, nil
}
