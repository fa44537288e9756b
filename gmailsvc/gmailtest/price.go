package gmailtest

import "maps"

// PricesSince2026 returns what the methods of Gmail cost projects that were created since 2026-05-01, in
// quota units. Their limits are 6,000 units a minute for a user and 1,200,000 for a project. The map is the
// caller's.
// https://developers.google.com/workspace/gmail/api/reference/quota
func PricesSince2026() map[string]int {
	return map[string]int{
		"gmail.users.drafts.create":            10,
		"gmail.users.drafts.delete":            10,
		"gmail.users.drafts.get":               20,
		"gmail.users.drafts.list":              5,
		"gmail.users.drafts.send":              100,
		"gmail.users.drafts.update":            15,
		"gmail.users.getProfile":               1,
		"gmail.users.history.list":             2,
		"gmail.users.labels.create":            5,
		"gmail.users.labels.delete":            5,
		"gmail.users.labels.get":               1,
		"gmail.users.labels.list":              1,
		"gmail.users.labels.patch":             5,
		"gmail.users.labels.update":            5,
		"gmail.users.messages.attachments.get": 20,
		"gmail.users.messages.batchDelete":     50,
		"gmail.users.messages.batchModify":     50,
		"gmail.users.messages.delete":          10,
		"gmail.users.messages.get":             20,
		"gmail.users.messages.import":          25,
		"gmail.users.messages.insert":          25,
		"gmail.users.messages.list":            5,
		"gmail.users.messages.modify":          5,
		"gmail.users.messages.send":            100,
		"gmail.users.messages.trash":           20,
		"gmail.users.messages.untrash":         5,
		"gmail.users.stop":                     50,
		"gmail.users.threads.delete":           20,
		"gmail.users.threads.get":              40,
		"gmail.users.threads.list":             10,
		"gmail.users.threads.modify":           10,
		"gmail.users.threads.trash":            20,
		"gmail.users.threads.untrash":          10,
		"gmail.users.watch":                    100,
	}
}

// PricesBefore2026 returns what the same methods cost projects from before that. Their limit for a user is
// 15,000 units a minute. The map is the caller's.
func PricesBefore2026() map[string]int {
	prices := PricesSince2026()
	maps.Copy(prices, map[string]int{
		"gmail.users.drafts.get":               5,
		"gmail.users.messages.attachments.get": 5,
		"gmail.users.messages.get":             5,
		"gmail.users.messages.trash":           5,
		"gmail.users.threads.get":              10,
		"gmail.users.threads.trash":            10,
	})
	return prices
}
