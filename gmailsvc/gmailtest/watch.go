package gmailtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

// watchLifetime is how long Gmail goes on to notify of changes.
// https://developers.google.com/workspace/gmail/api/guides/push
const watchLifetime = 7 * 24 * time.Hour

// A watch is what a user's mailbox notifies of.
type watch struct {
	topic    string
	labelIDs []string // empty: of everything
	exclude  bool     // of what has none of the labels, instead of what has one
	expires  time.Time
}

// wants reports whether one of changes is to be notified of.
func (w *watch) wants(changes []change) bool {
	return len(w.labelIDs) == 0 || slices.ContainsFunc(changes, func(c change) bool {
		return slices.ContainsFunc(w.labelIDs, c.concerns) != w.exclude
	})
}

// watching returns the watch that is in force, or nil. The caller holds m.mu.
func (m *Mailbox) watching() *watch {
	if m.watch != nil && m.now().Before(m.watch.expires) {
		return m.watch
	}
	return nil
}

// notify publishes the mailbox's history ID. The caller holds m.mu.
func (m *Mailbox) notify(topic string) {
	data, _ := json.Marshal(struct { // a string and a number cannot fail
		EmailAddress string `json:"emailAddress"`
		HistoryID    uint64 `json:"historyId"`
	}{m.user.Email, m.historyID})
	m.publish(topic, data)
}

// Watch returns the topic that changes are published to and until when; ok is false where nothing watches, or
// not any more.
func (m *Mailbox) Watch() (topic string, expires time.Time, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	w := m.watching()
	if w == nil {
		return "", time.Time{}, false
	}
	return w.topic, w.expires, true
}

// watchMailbox is users.watch. Like Gmail it publishes once at the beginning.
func watchMailbox(c *call) (any, *apiError) {
	var given struct {
		TopicName           string   `json:"topicName"`
		LabelIDs            []string `json:"labelIds"`
		LabelFilterAction   string   `json:"labelFilterAction"`
		LabelFilterBehavior string   `json:"labelFilterBehavior"`
	}
	if bad := c.decode(&given); bad != nil {
		return nil, bad
	}
	w := &watch{topic: given.TopicName, labelIDs: given.LabelIDs, expires: c.server.cfg.Now().Add(watchLifetime)}
	for _, filter := range []struct{ name, value string }{
		{"label_filter_action", given.LabelFilterAction},
		{"label_filter_behavior", given.LabelFilterBehavior}, // prevails
	} {
		switch strings.ToLower(filter.value) {
		case "":
		case "include", "exclude":
			w.exclude = strings.EqualFold(filter.value, "exclude")
		default:
			return nil, badRequest(fmt.Sprintf("Invalid value at '%s', %q", filter.name, filter.value))
		}
	}
	if pattern := "projects/" + c.server.cfg.ProjectID + "/topics/*"; !matchesName(pattern, w.topic) {
		return nil, badRequest("Invalid topicName does not match " + pattern)
	}
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	for _, l := range w.labelIDs {
		if c.box.label(l) == nil {
			return nil, badRequest("Invalid label: " + l)
		}
	}
	if have := c.box.watching(); have != nil && have.topic != w.topic {
		return nil, badRequest("Only one user push notification client allowed per developer (call /stop then try again)")
	}
	if !c.server.pubsub.hasTopic(w.topic) {
		return nil, &apiError{code: http.StatusNotFound, reason: "notFound", message: fmt.Sprintf(
			"Error sending test message to Cloud PubSub %s : Resource not found (resource=%s).", w.topic, path.Base(w.topic))}
	}
	c.box.watch = w
	c.box.notify(w.topic)
	return &watchResource{HistoryID: c.box.historyID, Expiration: w.expires.UnixMilli()}, nil
}

func matchesName(pattern, name string) bool {
	matched, err := path.Match(pattern, name)
	return err == nil && matched && !strings.HasSuffix(name, "/")
}

func stopWatching(c *call) (any, *apiError) {
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	c.box.watch = nil
	return nil, nil
}
