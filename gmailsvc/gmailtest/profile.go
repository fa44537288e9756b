package gmailtest

func getProfile(c *call) (any, *apiError) {
	c.box.mu.RLock()
	defer c.box.mu.RUnlock()
	return profileResource{
		EmailAddress:  c.box.user.Email,
		MessagesTotal: len(c.box.order),
		ThreadsTotal:  len(c.box.threads),
		HistoryID:     c.box.historyID,
	}, nil
}
