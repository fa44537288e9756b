// Package redisquota lets the quota.Limiters of many processes share the limits of their users and of their
// project, in Redis or Valkey.
//
//	client := redis.NewClient(&redis.Options{Addr: "redis:6379", ContextTimeoutEnabled: true})
//	pool, err := redisquota.New(client, redisquota.Config{Project: "my-project-123"})
//	if err != nil {
//		return err
//	}
//	limiter, err := quota.New(quota.Config{Pool: pool})
//
// A Limiter asks for units when it needs some: one call of a script for a reservation, which takes them from
// the user's and from the project's account together. Where they have to be waited for up to a second, they are
// promised, so that it need not ask twice; where longer, it is told when to ask again. While calls follow one
// another without waiting, a reservation is of a block of units, up to what the limit allows in a sixtieth of
// the minute. The next one carries what has become of it. Processes that wait for the same user are served in
// no particular order, but people before background work.
//
// No more units than the limits allow are out in any 60 seconds of the server's clock: the processes' own
// clocks don't matter. Units count from the reservation until a minute after the process has reported them as
// spent. A process that is gone reports nothing; then its block counts until a minute after the last moment at
// which a call of it could have reached Google, 77 seconds in all, and is free again.
//
// # When Redis fails
//
// While Redis does not answer, each process keeps to its own share of the limits, quota.Config.PoolShare: a
// tenth, unless it says otherwise. That share counts what the process has spent before. So up to ten processes
// stay below the limits, but for the first minute, in which one process may not know that the others have used
// theirs up; what Google then rejects, the Limiter learns from. Every second a process asks again. What was
// spent meanwhile is booked once Redis is back.
//
// Redis may lose the accounts: when it restarts without a copy on disk, when a replica takes over, when it
// evicts keys. They begin anew, and for a minute up to twice the limit can be spent. Nothing else depends on
// them, so persistence is not needed; maxmemory-policy should be noeviction or volatile-ttl. A user's account
// takes about 200 bytes after a single call, up to 30 KB when it is busy all the time, and is gone 77 seconds
// after the last call.
//
// # The server
//
// Redis 6 and any Valkey will do. All keys of a project have one hash tag, so that a cluster keeps them on one
// node: a script call takes some 50 microseconds there, and a project can't use more than a few thousand of
// them a second. Beside what the client needs to connect, the server's access control has to allow +evalsha,
// +eval, +time, +hmget, +hget, +hgetall, +hset, +hincrby, +hdel and +pexpire on the keys of Config.Prefix.
package redisquota
