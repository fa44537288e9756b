// Package redisstore keeps the records of a tokenstore in Redis or Valkey.
//
//	client := redis.NewClient(&redis.Options{Addr: "redis:6379", ContextTimeoutEnabled: true})
//	store, err := redisstore.New(client, redisstore.Config{})
//	if err != nil {
//		return err
//	}
//	grants, err := tokenstore.NewGrants(store, keys)
//
// A record is one string under one key, Config.Prefix and the record's key, without an expiry. Get is one GET,
// Swap one call of a script, by EVALSHA. Each names a single key, so a cluster serves them whatever
// the keys are; Redis 6 and any Valkey will do. Beside what the client needs to connect, the server's access control has
// to allow +get, +getrange, +set, +del, +evalsha and +eval, and for a listing +scan, +info and, in a cluster, +cluster|nodes.
//
// # The server
//
// Redis is a cache unless it is told otherwise, and a lost refresh token costs a user's consent. Set in redis.conf:
//
//   - maxmemory-policy noeviction. An allkeys policy evicts grants to make room.
//   - appendonly yes. With snapshots alone a crash loses what was written since the last one.
//   - appendfsync always, and what Swap has acknowledged survives a power failure. With everysec, the default,
//     a crash may lose the writes of the last two seconds.
//
// Replication is asynchronous: when a replica takes over, by Sentinel or in a cluster, writes that it
// had not received are gone although Swap has acknowledged them. min-replicas-to-write shortens that
// window but cannot close it. Where this matters more than speed, sqlstore on PostgreSQL is the better home.
//
// # The client
//
// The client must read from masters and cache nothing: a stale Get would make a lost write of one that
// succeeded. New refuses clients whose options say otherwise.
//
// MaxRetries counts for Get and Keys. A Swap is sent once: repeated after a lost reply, it could bring back a
// record that somebody else has deleted since. When the reply is lost, the client's error is returned as it is, and
// tokenstore.Grants reads to find out what happened.
//
// go-redis keeps to a context's deadline only with ContextTimeoutEnabled, and once a command is on its way,
// it doesn't notice a cancellation before the reply or ReadTimeout (5 s by default).
package redisstore
