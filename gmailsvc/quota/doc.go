// Package quota keeps calls to the Gmail API just below Google's limits, which are the speed of light for an
// application that reads mail, and helps to need fewer of them:
//
//	limiter, err := quota.New(quota.Config{}) // 6,000 units a minute and user, 1,200,000 in all
//	permit, err := limiter.Acquire(ctx, quota.Request{User: userID, Units: prices.Units("gmail.users.messages.get")})
//	...
//	resp, err := client.Do(req)
//	permit.Done(quota.OutcomeOf(resp.StatusCode, resp.Header, body))
//
// Prices says what each method costs. A Limiter lets calls go when the quota has room for them, people who wait
// before background work. A Planner finds where one threads.get serves for several messages.get.
//
// Package redisquota, below, lets a fleet of processes share the limits.
//
// # Google's minute
//
// Google does not say where its minutes begin:
// https://developers.google.com/workspace/gmail/api/reference/quota. A Limiter lets no more than the limit go
// in any 60 seconds, wherever they begin, so that fixed minutes, sliding ones and a bucket that is refilled all
// through the minute are all content. What counts is when Google counts, which is some time between the permit
// and the answer; so units come back a minute after Done, not after Acquire.
package quota
