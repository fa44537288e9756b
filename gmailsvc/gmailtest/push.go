package gmailtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
)

// DeliverPushes posts what is due in the subscriptions that have an endpoint, each message once, and returns
// how many of them were acknowledged: by an answer of 200, 201, 202 or 204. What is not is due again at the
// next call. Nothing else pushes: without a call no message is posted. The error joins what the endpoints did
// instead.
// https://docs.cloud.google.com/pubsub/docs/push
func (s *Server) DeliverPushes(ctx context.Context) (acknowledged int, err error) {
	s.pubsub.mu.Lock()
	queues := slices.Clone(s.pubsub.queues)
	s.pubsub.mu.Unlock()
	var problems []error
	for _, q := range queues {
		if q.sub.Endpoint == "" {
			continue
		}
		for _, m := range s.pubsub.take(q, math.MaxInt) {
			if err := s.post(ctx, q.sub, m); err != nil {
				problems = append(problems, fmt.Errorf("gmailtest: push message %s to %s: %w", m.id, q.sub.Endpoint, err))
				s.pubsub.postpone(q, 0, m.ackID)
				continue
			}
			s.pubsub.acknowledge(q, m.ackID)
			acknowledged++
		}
	}
	return acknowledged, errors.Join(problems...)
}

// post sends one message as Pub/Sub wraps it, and returns an error where it is not acknowledged.
func (s *Server) post(ctx context.Context, sub Subscription, m pubsubMessage) error {
	// The names with underscores are older, and still sent.
	type message struct {
		messageInPubsub
		OldMessageID   string `json:"message_id"`
		OldPublishTime string `json:"publish_time"`
	}
	resource := m.resource()
	body, err := json.Marshal(struct {
		Message      message `json:"message"`
		Subscription string  `json:"subscription"`
	}{message{resource, resource.MessageID, resource.PublishTime}, sub.Name})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, sub.Endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "CloudPubSub-Google")
	if sub.ServiceAccount != "" {
		token, err := s.pushToken(sub)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := sub.Client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)); err != nil {
		return err
	}
	switch res.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent:
		return nil
	}
	return fmt.Errorf("it answered %s", res.Status)
}

// pushToken makes the ID token that says that a post is Pub/Sub's.
// https://docs.cloud.google.com/pubsub/docs/authenticate-push-subscriptions
func (s *Server) pushToken(sub Subscription) (string, error) {
	id := subOf(sub.ServiceAccount)
	return s.sign(map[string]any{
		"aud": sub.Audience, "azp": id, "sub": id, "email": sub.ServiceAccount, "email_verified": true,
	}, s.cfg.Now())
}
