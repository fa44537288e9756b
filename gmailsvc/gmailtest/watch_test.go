package gmailtest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

const (
	topic        = "projects/gmailtest/topics/mail"
	subscription = "projects/gmailtest/subscriptions/mail"
	pubsubScope  = "https://www.googleapis.com/auth/pubsub"
)

// A watched mailbox is one of a metered server's, with a subscription and a token that may pull from it.
type watched struct {
	account
	worker account
	clock  *clock
}

func newWatched(t testing.TB, sub gmailtest.Subscription) watched {
	t.Helper()
	acc, _, c := metered(t, gmailtest.Quota{})
	sub.Name, sub.Topic = subscription, topic
	must(t, acc.AddSubscription(sub))
	token, _, err := acc.Grant(ada, pubsubScope)
	must(t, err)
	return watched{acc, account{acc.Server, nil, token}, c}
}

func (w watched) watch(t testing.TB, more string) answer {
	t.Helper()
	return w.post(t, "me/watch", `{"topicName":"`+topic+`"`+more+`}`)
}

// call makes a call of the subscription's.
func (w watched) call(t testing.TB, method, body string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://pubsub.googleapis.com/v1/"+subscription+":"+method, strings.NewReader(body))
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+w.worker.token)
	return w.perform(t, req)
}

// pull returns the history IDs of the messages that are there, and what acknowledges them.
func (w watched) pull(t testing.TB) (historyIDs, ackIDs []string) {
	t.Helper()
	a := w.call(t, "pull", `{"maxMessages":100,"returnImmediately":true}`)
	if a.status != 200 {
		t.Fatalf("the pull answers %d %s", a.status, a.raw)
	}
	for _, m := range list(a.body["receivedMessages"]) {
		message, _ := m["message"].(map[string]any)
		historyIDs = append(historyIDs, notified(t, message))
		ackIDs = append(ackIDs, m["ackId"].(string))
	}
	return historyIDs, ackIDs
}

// notified returns the history ID in a message of Pub/Sub's.
func notified(t testing.TB, message map[string]any) string {
	t.Helper()
	var data struct {
		EmailAddress string
		HistoryID    json.Number
	}
	must(t, json.Unmarshal([]byte(decodeData(t, message["data"])), &data)) // the two alphabets agree on this text
	if data.EmailAddress != ada || message["messageId"] == "" || message["publishTime"] == "" {
		t.Errorf("message = %v, %+v", message, data)
	}
	return data.HistoryID.String()
}

func (w watched) acknowledge(t testing.TB, ackIDs ...string) answer {
	t.Helper()
	body, err := json.Marshal(map[string][]string{"ackIds": ackIDs})
	must(t, err)
	return w.call(t, "acknowledge", string(body))
}

func TestAWatchNotifiesOfEveryChangeForSevenDays(t *testing.T) {
	t.Parallel()
	w := newWatched(t, gmailtest.Subscription{})
	w.deliver(t, raw("", "Subject: before"))
	a := w.watch(t, "")
	expires := w.clock.Now().Add(7 * 24 * time.Hour)
	if a.str("expiration") != fmt.Sprint(expires.UnixMilli()) || a.str("historyId") != w.historyID(t) || len(a.body) != 2 {
		t.Errorf("watch answers %s", a.raw)
	}
	if to, until, ok := w.box.Watch(); to != topic || !until.Equal(expires) || !ok {
		t.Errorf("the watch is on %s until %v, %t", to, until, ok)
	}
	want := []string{w.historyID(t)} // Gmail notifies once at the beginning
	id := w.deliver(t, raw("", "Subject: after"))
	want = append(want, w.historyID(t))
	must(t, w.box.AddLabels(id, "STARRED"))
	want = append(want, w.historyID(t))
	must(t, w.box.AddLabels(id, "STARRED")) // nothing changes
	w.clock.advance(7*24*time.Hour - 1)
	must(t, w.box.Delete(id))
	want = append(want, fmt.Sprint(w.box.HistoryID())) // the token has expired
	w.clock.advance(1)
	w.deliver(t, raw("", "Subject: too late"))
	w.renewTokens(t)
	if got, _ := w.pull(t); !slices.Equal(got, want) {
		t.Errorf("history IDs = %v, want %v", got, want)
	}
	if _, _, ok := w.box.Watch(); ok {
		t.Error("the watch goes on")
	}
}

// renewTokens replaces tokens that have expired meanwhile.
func (w *watched) renewTokens(t testing.TB) {
	t.Helper()
	var err error
	w.token, _, err = w.Grant(ada, mailScope)
	must(t, err)
	w.worker.token, _, err = w.Grant(ada, pubsubScope)
	must(t, err)
}

func TestAWatchMayBeOfSomeLabels(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		more string
		want []bool // for a delivery to the inbox, one to spam, a star, the archiving
	}{
		"all":                           {``, []bool{true, true, true, true}},
		"by default those":              {`,"labelIds":["INBOX"]`, []bool{true, false, true, true}},
		"those":                         {`,"labelIds":["SPAM","STARRED"],"labelFilterBehavior":"INCLUDE"`, []bool{false, true, true, true}},
		"all but those":                 {`,"labelIds":["SPAM","STARRED"],"labelFilterBehavior":"exclude"`, []bool{true, false, false, false}},
		"all but those, in older words": {`,"labelIds":["SPAM"],"labelFilterAction":"exclude"`, []bool{true, false, true, true}},
		"the newer words prevail":       {`,"labelIds":["SPAM"],"labelFilterAction":"exclude","labelFilterBehavior":"include"`, []bool{false, true, false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWatched(t, gmailtest.Subscription{})
			if a := w.watch(t, tc.more); a.status != 200 {
				t.Fatal(a.raw)
			}
			want := []string{w.historyID(t)}
			var id string
			for i, change := range []func(){
				func() { id = w.deliver(t, raw("", "Subject: x")) },
				func() { w.deliver(t, raw("", "Subject: y"), gmailtest.WithLabels("SPAM")) },
				func() { must(t, w.box.AddLabels(id, "STARRED")) },
				func() { must(t, w.box.RemoveLabels(id, "INBOX")) },
			} {
				if change(); tc.want[i] {
					want = append(want, w.historyID(t))
				}
			}
			if got, _ := w.pull(t); !slices.Equal(got, want) {
				t.Errorf("history IDs = %v, want %v", got, want)
			}
		})
	}
}

func TestOneTopicIsWatchedAtATime(t *testing.T) {
	t.Parallel()
	w := newWatched(t, gmailtest.Subscription{})
	const another = "projects/gmailtest/topics/another"
	must(t, w.AddSubscription(gmailtest.Subscription{Name: "projects/gmailtest/subscriptions/another", Topic: another}))
	change := func() answer { return w.post(t, "me/watch", `{"topicName":"`+another+`"}`) }
	for range 2 { // the same topic is renewed
		w.clock.advance(time.Minute)
		if a := w.watch(t, ""); a.str("expiration") != fmt.Sprint(w.clock.Now().Add(7*24*time.Hour).UnixMilli()) {
			t.Errorf("the renewal answers %s", a.raw)
		}
	}
	wantAPIError(t, change(), 400, "INVALID_ARGUMENT", "invalidArgument",
		"Only one user push notification client allowed per developer (call /stop then try again)")
	for range 2 { // stopping again changes nothing
		if a := w.send(t, "POST", "me/stop", ""); a.status != 204 || a.raw != "" {
			t.Errorf("stop answers %d %s", a.status, a.raw)
		}
	}
	if a := change(); a.status != 200 {
		t.Errorf("after stop it answers %s", a.raw)
	}
	w.clock.advance(7 * 24 * time.Hour)
	w.renewTokens(t)
	if a := w.watch(t, ""); a.status != 200 {
		t.Errorf("once the other has expired it answers %s", a.raw)
	}
}

func TestAWatchThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	w := newWatched(t, gmailtest.Subscription{})
	const pattern = "Invalid topicName does not match projects/gmailtest/topics/*"
	for body, message := range map[string]string{
		`{}`:                   pattern,
		`{"topicName":"mail"}`: pattern,
		`{"topicName":"projects/another/topics/mail"}`:               pattern,
		`{"topicName":"projects/gmailtest/topics/"}`:                 pattern,
		`{"topicName":"projects/gmailtest/subscriptions/mail"}`:      pattern,
		`{"topicName":"` + topic + `","labelIds":["Nope"]}`:          "Invalid label: Nope",
		`{"topicName":"` + topic + `","labelFilterBehavior":"only"}`: `Invalid value at 'label_filter_behavior', "only"`,
		`{"topicName":"` + topic + `","labelFilterAction":"only"}`:   `Invalid value at 'label_filter_action', "only"`,
		`{"topicName":"` + topic + `","labels":["INBOX"]}`:           `Invalid JSON payload received. json: unknown field "labels"`,
	} {
		wantAPIError(t, w.post(t, "me/watch", body), 400, "INVALID_ARGUMENT", "invalidArgument", message)
	}
	wantAPIError(t, w.post(t, "me/watch", `{"topicName":"projects/gmailtest/topics/none"}`), 404, "NOT_FOUND", "notFound",
		"Error sending test message to Cloud PubSub projects/gmailtest/topics/none : Resource not found (resource=none).")
	if _, _, ok := w.box.Watch(); ok {
		t.Error("a refused watch watches")
	}
}

func TestSubscriptionMistakesAreNamed(t *testing.T) {
	t.Parallel()
	w := newWatched(t, gmailtest.Subscription{})
	const name = "projects/p/subscriptions/s"
	for want, sub := range map[string]gmailtest.Subscription{
		`Name is ""`:             {Topic: topic},
		`Name is "projects/p/s"`: {Name: "projects/p/s", Topic: topic},
		`Topic is "mail"`:        {Name: name, Topic: "mail"},
		"AckDeadline is -1s":     {Name: name, Topic: topic, AckDeadline: -time.Second},
		`Endpoint is "/push"`:    {Name: name, Topic: topic, Endpoint: "/push"},
		`Endpoint is ""`:         {Name: name, Topic: topic, Handler: http.NotFoundHandler()},
		"there is one of that":   {Name: subscription, Topic: topic},
	} {
		if err := w.AddSubscription(sub); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want one that says %q", err, want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("an unknown subscription has something pending")
		}
	}()
	w.Pending(name)
}
