package gmailtest_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestMessagesComeUntilTheyAreAcknowledged(t *testing.T) {
	t.Parallel()
	w := newWatched(t, gmailtest.Subscription{AckDeadline: 20 * time.Second})
	w.watch(t, "")
	w.deliver(t, raw("", "Subject: x"))
	all, first := w.pull(t)
	if len(all) != 2 || w.Pending(subscription) != 2 {
		t.Fatalf("history IDs = %v, %d pending", all, w.Pending(subscription))
	}
	if got, _ := w.pull(t); len(got) != 0 {
		t.Errorf("what was just pulled comes again: %v", got)
	}
	if a := w.acknowledge(t, first[0]); a.status != 200 || a.raw != "{}" {
		t.Errorf("acknowledge answers %d %s", a.status, a.raw)
	}
	w.clock.advance(20 * time.Second)
	again, second := w.pull(t)
	if !slices.Equal(again, all[1:]) || second[0] == first[1] {
		t.Errorf("after the deadline there is %v, want %v with another ackId", again, all[1:])
	}
	w.acknowledge(t, first[1], "nonsense") // too late
	if n := w.Pending(subscription); n != 1 {
		t.Errorf("%d are pending, want the one that was acknowledged too late", n)
	}
	for _, step := range []struct {
		seconds int
		after   time.Duration
		comes   bool
	}{{60, 59 * time.Second, false}, {60, 60 * time.Second, true}, {0, 0, true}} {
		a := w.call(t, "modifyAckDeadline", fmt.Sprintf(`{"ackIds":["%s"],"ackDeadlineSeconds":%d}`, second[0], step.seconds))
		if a.status != 200 || a.raw != "{}" {
			t.Errorf("modifyAckDeadline answers %d %s", a.status, a.raw)
		}
		w.clock.advance(step.after)
		got, ackIDs := w.pull(t)
		if (len(got) == 1) != step.comes {
			t.Errorf("with %d more seconds, after %v, there is %v", step.seconds, step.after, got)
		}
		if len(got) == 1 {
			second = ackIDs
		}
	}
	w.acknowledge(t, second...)
	if n := w.Pending(subscription); n != 0 {
		t.Errorf("%d are pending", n)
	}
	if got := w.Counts(); got["pubsub.projects.subscriptions.pull"] != 6 || got["pubsub.projects.subscriptions.acknowledge"] != 3 ||
		got["pubsub.projects.subscriptions.modifyAckDeadline"] != 3 {
		t.Errorf("counts = %v", got)
	}
}

func TestAPullTakesNoMoreThanItAsksFor(t *testing.T) {
	t.Parallel()
	w := newWatched(t, gmailtest.Subscription{})
	w.watch(t, "")
	for range 4 {
		w.deliver(t, raw("", "Subject: x"))
	}
	for _, want := range []int{2, 2, 1} {
		a := w.call(t, "pull", `{"maxMessages":2,"returnImmediately":true}`)
		if got := len(list(a.body["receivedMessages"])); got != want {
			t.Errorf("a pull of two has %d, want %d", got, want)
		}
	}
}

func TestMessagesAreLostLateAndRepeatedAsTold(t *testing.T) {
	t.Parallel()
	w := newWatched(t, gmailtest.Subscription{Fate: func(n int) gmailtest.Fate {
		return []gmailtest.Fate{{}, {Lost: true}, {Delay: time.Minute}, {Repeats: 2}}[n]
	}})
	w.watch(t, "")
	sent := []string{w.historyID(t)}
	for range 3 {
		w.deliver(t, raw("", "Subject: x"))
		sent = append(sent, w.historyID(t))
	}
	for _, step := range []struct {
		after time.Duration
		want  []string
	}{{0, []string{sent[0], sent[3]}}, {0, sent[3:]}, {time.Minute, []string{sent[2], sent[3]}}, {time.Hour / 2, nil}} {
		w.clock.advance(step.after)
		got, ackIDs := w.pull(t)
		if !slices.Equal(got, step.want) {
			t.Errorf("history IDs = %v, want %v", got, step.want)
		}
		if len(ackIDs) > 0 {
			w.acknowledge(t, ackIDs...)
		}
	}
}

func TestAPullWaitsForAMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, gmailtest.Config{})
		must(t, s.AddSubscription(gmailtest.Subscription{Name: subscription, Topic: topic, Fate: func(n int) gmailtest.Fate {
			return gmailtest.Fate{Delay: time.Duration(n) * 4 * time.Second}
		}}))
		s.AddUser(gmailtest.User{Email: ada})
		token, _, err := s.Grant(ada, mailScope, pubsubScope)
		must(t, err)
		w := watched{account: account{s, s.Mailbox(ada), token}, worker: account{s, nil, token}}
		timed := func(want time.Duration, messages int) {
			t.Helper()
			began := time.Now()
			a := w.call(t, "pull", `{"maxMessages":5}`)
			if took := time.Since(began); took != want || len(list(a.body["receivedMessages"])) != messages {
				t.Errorf("the pull took %v and answers %s, want %v and %d messages", took, a.raw, want, messages)
			}
		}
		timed(10*time.Second, 0)
		go func() {
			time.Sleep(3 * time.Second)
			w.watch(t, "")
		}()
		timed(3*time.Second, 1)
		w.deliver(t, raw("", "Subject: x"))
		timed(4*time.Second, 1)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://pubsub.googleapis.com/v1/"+subscription+":pull", strings.NewReader(`{"maxMessages":5}`))
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		if _, err := s.Transport().RoundTrip(req); err == nil {
			t.Error("a pull that was given up has an answer")
		}
	})
}

func TestCallsOfASubscriptionAreChecked(t *testing.T) {
	t.Parallel()
	w := newWatched(t, gmailtest.Subscription{})
	const invalid = "You have passed an invalid argument to the service (argument=%s)."
	for _, tc := range []struct{ method, body, message string }{
		{"pull", `{}`, fmt.Sprintf(invalid, "max_messages")},
		{"pull", `{"maxMessages":-1}`, fmt.Sprintf(invalid, "max_messages")},
		{"pull", `{"max":1}`, `Invalid JSON payload received. json: unknown field "max"`},
		{"acknowledge", `{}`, fmt.Sprintf(invalid, "ack_ids")},
		{"acknowledge", `{"ids":[]}`, `Invalid JSON payload received. json: unknown field "ids"`},
		{"modifyAckDeadline", `{"ackDeadlineSeconds":10}`, fmt.Sprintf(invalid, "ack_ids")},
		{"modifyAckDeadline", `{"ackIds":["x"],"ackDeadlineSeconds":601}`, fmt.Sprintf(invalid, "ack_deadline_seconds")},
		{"modifyAckDeadline", `{"ackIds":["x"],"ackDeadlineSeconds":-1}`, fmt.Sprintf(invalid, "ack_deadline_seconds")},
		{"modifyAckDeadline", `{`, `Invalid JSON payload received. unexpected EOF`},
	} {
		a := w.call(t, tc.method, tc.body)
		if a.status != 400 || a.at("error/message") != tc.message || a.at("error/status") != "INVALID_ARGUMENT" || a.at("error/errors") != nil {
			t.Errorf("%s %s answers %d %s, want %q", tc.method, tc.body, a.status, a.raw, tc.message)
		}
	}
	if a := w.call(t, "seek", "{}"); a.status != 404 {
		t.Errorf("a method that is not there answers %d %s", a.status, a.raw)
	}
	for token, want := range map[string]int{"x": 401, w.token: 403} {
		w.worker.token = token
		a := w.call(t, "pull", `{"maxMessages":1}`)
		if a.status != want || want == 403 && a.at("error/details/0/metadata") == nil {
			t.Errorf("the answer is %d %s, want %d", a.status, a.raw, want)
		}
	}
	w.renewTokens(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://pubsub.googleapis.com/v1/projects/gmailtest/subscriptions/none:pull", strings.NewReader(`{"maxMessages":1}`))
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+w.worker.token)
	if a := w.perform(t, req); a.status != 404 || a.at("error/message") != "Resource not found (resource=none)." {
		t.Errorf("an unknown subscription answers %d %s", a.status, a.raw)
	}
}
