package gmailtest

import "slices"

// A method is one of the Gmail API's, under Google's ID.
// https://developers.google.com/workspace/gmail/api/reference/rest
type method struct {
	id     string
	verb   string
	path   string
	scopes []string // any one of them suffices
	params string   // its query parameters, separated by spaces
	run    func(*call) (any, *apiError)
	upload int // how large an uploaded message may be; 0: the method takes none
}

// commonParams are the query parameters that every method has.
const commonParams = "$.xgafv access_token alt callback fields key oauth_token prettyPrint quotaUser uploadType upload_protocol"

// The sizes of messages that Gmail takes, in bytes.
const (
	maxSent     = 35 << 20
	maxInserted = 150 << 20
)

func gmailMethods() []method {
	return slices.Concat(mailboxMethods(), messageMethods(), threadMethods(), draftMethods(), labelMethods())
}

const (
	userPath      = "/gmail/v1/users/{userId}"
	listingParams = "includeSpamTrash labelIds maxResults pageToken q"
	viewParams    = "format metadataHeaders"
)

var (
	ownerScopes = []string{scopeMail}
	writeScopes = []string{scopeMail, scopeModify}
	bodyScopes  = []string{scopeMail, scopeModify, scopeReadonly}
	readScopes  = []string{scopeMail, scopeModify, scopeReadonly, scopeMetadata}
)

func mailboxMethods() []method {
	const history = "historyTypes labelId maxResults pageToken startHistoryId"
	profile := []string{scopeMail, scopeModify, scopeReadonly, scopeMetadata, scopeCompose}
	return []method{
		{"gmail.users.getProfile", "GET", userPath + "/profile", profile, "", getProfile, 0},
		{"gmail.users.watch", "POST", userPath + "/watch", readScopes, "", watchMailbox, 0},
		{"gmail.users.stop", "POST", userPath + "/stop", readScopes, "", stopWatching, 0},
		{"gmail.users.history.list", "GET", userPath + "/history", readScopes, history, listHistory, 0},
	}
}

func messageMethods() []method {
	const (
		messages    = userPath + "/messages"
		attachments = messages + "/{messageId}/attachments"
		insert      = "deleted internalDateSource"
	)
	insertScopes := []string{scopeMail, scopeModify, scopeInsert}
	sendScopes := []string{scopeMail, scopeModify, scopeCompose, scopeSend}
	return []method{
		{"gmail.users.messages.list", "GET", messages, readScopes, listingParams, listMessages, 0},
		{"gmail.users.messages.get", "GET", messages + "/{id}", readScopes, viewParams, getMessage, 0},
		{"gmail.users.messages.attachments.get", "GET", attachments + "/{id}", bodyScopes, "", getAttachment, 0},
		{"gmail.users.messages.modify", "POST", messages + "/{id}/modify", writeScopes, "", modifyMessage, 0},
		{"gmail.users.messages.trash", "POST", messages + "/{id}/trash", writeScopes, "", trashMessage, 0},
		{"gmail.users.messages.untrash", "POST", messages + "/{id}/untrash", writeScopes, "", untrashMessage, 0},
		{"gmail.users.messages.delete", "DELETE", messages + "/{id}", ownerScopes, "", deleteMessage, 0},
		{"gmail.users.messages.batchModify", "POST", messages + "/batchModify", writeScopes, "", modifyMessages, 0},
		{"gmail.users.messages.batchDelete", "POST", messages + "/batchDelete", ownerScopes, "", deleteMessages, 0},
		{"gmail.users.messages.send", "POST", messages + "/send", sendScopes, "", sendMessage, maxSent},
		{"gmail.users.messages.insert", "POST", messages, insertScopes, insert, insertMessage, maxInserted},
		{"gmail.users.messages.import", "POST", messages + "/import", insertScopes,
			insert + " neverMarkSpam processForCalendar", importMessage, maxInserted},
	}
}

func threadMethods() []method {
	const threads = userPath + "/threads"
	return []method{
		{"gmail.users.threads.list", "GET", threads, readScopes, listingParams, listThreads, 0},
		{"gmail.users.threads.get", "GET", threads + "/{id}", readScopes, viewParams, getThread, 0},
		{"gmail.users.threads.modify", "POST", threads + "/{id}/modify", writeScopes, "", modifyThread, 0},
		{"gmail.users.threads.trash", "POST", threads + "/{id}/trash", writeScopes, "", trashThread, 0},
		{"gmail.users.threads.untrash", "POST", threads + "/{id}/untrash", writeScopes, "", untrashThread, 0},
		{"gmail.users.threads.delete", "DELETE", threads + "/{id}", ownerScopes, "", deleteThread, 0},
	}
}

func draftMethods() []method {
	const drafts = userPath + "/drafts"
	read := []string{scopeMail, scopeModify, scopeReadonly, scopeCompose}
	write := []string{scopeMail, scopeModify, scopeCompose}
	return []method{
		{"gmail.users.drafts.list", "GET", drafts, read, "includeSpamTrash maxResults pageToken q", listDrafts, 0},
		{"gmail.users.drafts.get", "GET", drafts + "/{id}", read, "format", getDraft, 0},
		{"gmail.users.drafts.create", "POST", drafts, write, "", createDraft, maxSent},
		{"gmail.users.drafts.update", "PUT", drafts + "/{id}", write, "", updateDraft, maxSent},
		{"gmail.users.drafts.send", "POST", drafts + "/send", write, "", sendDraft, maxSent},
		{"gmail.users.drafts.delete", "DELETE", drafts + "/{id}", write, "", deleteDraft, 0},
	}
}

func labelMethods() []method {
	const labels = userPath + "/labels"
	read := []string{scopeMail, scopeModify, scopeReadonly, scopeMetadata, scopeLabels}
	write := []string{scopeMail, scopeModify, scopeLabels}
	return []method{
		{"gmail.users.labels.list", "GET", labels, read, "", listLabels, 0},
		{"gmail.users.labels.get", "GET", labels + "/{id}", read, "", getLabel, 0},
		{"gmail.users.labels.create", "POST", labels, write, "", createLabel, 0},
		{"gmail.users.labels.update", "PUT", labels + "/{id}", write, "", updateLabel, 0},
		{"gmail.users.labels.patch", "PATCH", labels + "/{id}", write, "", patchLabel, 0},
		{"gmail.users.labels.delete", "DELETE", labels + "/{id}", write, "", deleteLabel, 0},
	}
}
