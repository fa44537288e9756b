package quota

import (
	"net/http"
	"strings"
)

// A method is one of the Gmail API's, with its price in quota units for projects since and before May 2026.
type method struct {
	id, verb, path string // the path is that below users/{userId}; {} stands for a variable
	since, before  int
}

// methods are all of gmail/v1. Where no other source is given, prices are those of Google's tables, the present
// one and the one of 2025: https://developers.google.com/workspace/gmail/api/reference/quota. The tables have
// no line for patch, which is priced as update; for language, priced as the other settings; and for smimeInfo
// and cse: reading those is priced as reading other settings, writing them as the dearest settings, sendAs,
// since a price too high only makes a rare call wait.
var methods = []method{
	{"gmail.users.getProfile", "GET", "profile", 1, 1},
	{"gmail.users.stop", "POST", "stop", 50, 50},
	{"gmail.users.watch", "POST", "watch", 100, 100},

	{"gmail.users.history.list", "GET", "history", 2, 2},

	{"gmail.users.messages.list", "GET", "messages", 5, 5},
	{"gmail.users.messages.get", "GET", "messages/{}", 20, 5},
	{"gmail.users.messages.attachments.get", "GET", "messages/{}/attachments/{}", 20, 5},
	{"gmail.users.messages.insert", "POST", "messages", 25, 25},
	{"gmail.users.messages.import", "POST", "messages/import", 25, 25},
	{"gmail.users.messages.send", "POST", "messages/send", 100, 100},
	{"gmail.users.messages.batchModify", "POST", "messages/batchModify", 50, 50},
	{"gmail.users.messages.batchDelete", "POST", "messages/batchDelete", 50, 50},
	{"gmail.users.messages.modify", "POST", "messages/{}/modify", 5, 5},
	{"gmail.users.messages.trash", "POST", "messages/{}/trash", 20, 5},
	{"gmail.users.messages.untrash", "POST", "messages/{}/untrash", 5, 5},
	{"gmail.users.messages.delete", "DELETE", "messages/{}", 10, 10},

	{"gmail.users.threads.list", "GET", "threads", 10, 10},
	{"gmail.users.threads.get", "GET", "threads/{}", 40, 10},
	{"gmail.users.threads.modify", "POST", "threads/{}/modify", 10, 10},
	{"gmail.users.threads.trash", "POST", "threads/{}/trash", 20, 10},
	{"gmail.users.threads.untrash", "POST", "threads/{}/untrash", 10, 10},
	{"gmail.users.threads.delete", "DELETE", "threads/{}", 20, 20},

	{"gmail.users.drafts.list", "GET", "drafts", 5, 5},
	{"gmail.users.drafts.get", "GET", "drafts/{}", 20, 5},
	{"gmail.users.drafts.create", "POST", "drafts", 10, 10},
	{"gmail.users.drafts.send", "POST", "drafts/send", 100, 100},
	{"gmail.users.drafts.update", "PUT", "drafts/{}", 15, 15},
	{"gmail.users.drafts.delete", "DELETE", "drafts/{}", 10, 10},

	{"gmail.users.labels.list", "GET", "labels", 1, 1},
	{"gmail.users.labels.get", "GET", "labels/{}", 1, 1},
	{"gmail.users.labels.create", "POST", "labels", 5, 5},
	{"gmail.users.labels.update", "PUT", "labels/{}", 5, 5},
	{"gmail.users.labels.patch", "PATCH", "labels/{}", 5, 5},
	{"gmail.users.labels.delete", "DELETE", "labels/{}", 5, 5},

	{"gmail.users.settings.getAutoForwarding", "GET", "settings/autoForwarding", 1, 1},
	{"gmail.users.settings.getImap", "GET", "settings/imap", 1, 1},
	{"gmail.users.settings.getLanguage", "GET", "settings/language", 1, 1},
	{"gmail.users.settings.getPop", "GET", "settings/pop", 1, 1},
	{"gmail.users.settings.getVacation", "GET", "settings/vacation", 1, 1},
	{"gmail.users.settings.updateAutoForwarding", "PUT", "settings/autoForwarding", 5, 5},
	{"gmail.users.settings.updateImap", "PUT", "settings/imap", 5, 5},
	{"gmail.users.settings.updateLanguage", "PUT", "settings/language", 5, 5},
	{"gmail.users.settings.updatePop", "PUT", "settings/pop", 100, 100},
	{"gmail.users.settings.updateVacation", "PUT", "settings/vacation", 5, 5},

	{"gmail.users.settings.delegates.list", "GET", "settings/delegates", 1, 1},
	{"gmail.users.settings.delegates.get", "GET", "settings/delegates/{}", 1, 1},
	{"gmail.users.settings.delegates.create", "POST", "settings/delegates", 100, 100},
	{"gmail.users.settings.delegates.delete", "DELETE", "settings/delegates/{}", 5, 5},

	{"gmail.users.settings.filters.list", "GET", "settings/filters", 1, 1},
	{"gmail.users.settings.filters.get", "GET", "settings/filters/{}", 1, 1},
	{"gmail.users.settings.filters.create", "POST", "settings/filters", 5, 5},
	{"gmail.users.settings.filters.delete", "DELETE", "settings/filters/{}", 5, 5},

	{"gmail.users.settings.forwardingAddresses.list", "GET", "settings/forwardingAddresses", 1, 1},
	{"gmail.users.settings.forwardingAddresses.get", "GET", "settings/forwardingAddresses/{}", 1, 1},
	{"gmail.users.settings.forwardingAddresses.create", "POST", "settings/forwardingAddresses", 100, 100},
	{"gmail.users.settings.forwardingAddresses.delete", "DELETE", "settings/forwardingAddresses/{}", 5, 5},

	{"gmail.users.settings.sendAs.list", "GET", "settings/sendAs", 1, 1},
	{"gmail.users.settings.sendAs.get", "GET", "settings/sendAs/{}", 1, 1},
	{"gmail.users.settings.sendAs.create", "POST", "settings/sendAs", 100, 100},
	{"gmail.users.settings.sendAs.update", "PUT", "settings/sendAs/{}", 100, 100},
	{"gmail.users.settings.sendAs.patch", "PATCH", "settings/sendAs/{}", 100, 100},
	{"gmail.users.settings.sendAs.delete", "DELETE", "settings/sendAs/{}", 5, 5},
	{"gmail.users.settings.sendAs.verify", "POST", "settings/sendAs/{}/verify", 100, 100},
	{"gmail.users.settings.sendAs.smimeInfo.list", "GET", "settings/sendAs/{}/smimeInfo", 1, 1},
	{"gmail.users.settings.sendAs.smimeInfo.get", "GET", "settings/sendAs/{}/smimeInfo/{}", 1, 1},
	{"gmail.users.settings.sendAs.smimeInfo.insert", "POST", "settings/sendAs/{}/smimeInfo", 100, 100},
	{"gmail.users.settings.sendAs.smimeInfo.setDefault", "POST", "settings/sendAs/{}/smimeInfo/{}/setDefault", 100, 100},
	{"gmail.users.settings.sendAs.smimeInfo.delete", "DELETE", "settings/sendAs/{}/smimeInfo/{}", 100, 100},

	{"gmail.users.settings.cse.identities.list", "GET", "settings/cse/identities", 1, 1},
	{"gmail.users.settings.cse.identities.get", "GET", "settings/cse/identities/{}", 1, 1},
	{"gmail.users.settings.cse.identities.create", "POST", "settings/cse/identities", 100, 100},
	{"gmail.users.settings.cse.identities.patch", "PATCH", "settings/cse/identities/{}", 100, 100},
	{"gmail.users.settings.cse.identities.delete", "DELETE", "settings/cse/identities/{}", 100, 100},
	{"gmail.users.settings.cse.keypairs.list", "GET", "settings/cse/keypairs", 1, 1},
	{"gmail.users.settings.cse.keypairs.get", "GET", "settings/cse/keypairs/{}", 1, 1},
	{"gmail.users.settings.cse.keypairs.create", "POST", "settings/cse/keypairs", 100, 100},
	{"gmail.users.settings.cse.keypairs.disable", "POST", "settings/cse/keypairs/{}:disable", 100, 100},
	{"gmail.users.settings.cse.keypairs.enable", "POST", "settings/cse/keypairs/{}:enable", 100, 100},
	{"gmail.users.settings.cse.keypairs.obliterate", "POST", "settings/cse/keypairs/{}:obliterate", 100, 100},
}

// MethodOf returns the ID of the method of the Gmail API that req calls, as Method does.
func MethodOf(req *http.Request) string {
	verb := req.Method
	if verb == "" {
		verb = http.MethodGet
	}
	return Method(verb, req.URL.EscapedPath())
}

// Method returns the ID of the method of the Gmail API that a request calls, as Google's discovery document has
// it: "gmail.users.messages.get". It returns "" where that is none, as for a batch, whose parts are the calls.
// The target is an escaped path, with or without a query, or a whole URL: what stands before /gmail/v1/, be it
// /upload or the path of a proxy, does not matter.
func Method(verb, target string) string {
	target, _, _ = strings.Cut(target, "?")
	_, path, ok := strings.Cut(target, "/gmail/v1/users/")
	if !ok {
		return ""
	}
	_, path, _ = strings.Cut(path, "/") // the user's ID
	for i := range methods {
		if m := &methods[i]; m.verb == verb && matches(m.path, path) {
			return m.id
		}
	}
	return ""
}

// matches reports whether path is of the pattern, both without slashes at their ends.
func matches(pattern, path string) bool {
	for {
		want, restWanted, more := strings.Cut(pattern, "/")
		got, rest, moreGot := strings.Cut(path, "/")
		if action, isVariable := strings.CutPrefix(want, "{}"); isVariable {
			if len(got) <= len(action) || !strings.HasSuffix(got, action) {
				return false
			}
		} else if got != want {
			return false
		}
		if more != moreGot {
			return false
		}
		if !more {
			return true
		}
		pattern, path = restWanted, rest
	}
}
