package integration_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mailgrant/mailgrant/internal/integration/servers"
	"github.com/mailgrant/mailgrant/tokenstore"
)

func TestGrantsKnowWhetherARedisSwapThatFailedTookEffect(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		fault    fault
		rival    bool // another process writes before the client notices
		conflict bool
		failed   bool
		want     string // the e-mail address stored in the end
	}{
		{name: "it did when the reply is lost", fault: loseReply, want: "new@example.com"},
		{name: "it did not when the request is lost", fault: loseRequest, failed: true, want: "old@example.com"},
		{name: "it was overtaken when somebody else has written since", fault: loseReply, rival: true,
			failed: true, conflict: true, want: "rival@example.com"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := servers.StartRedis(t).Options()
			proxy := newRedisProxy(t, server, "evalsha")
			ring, err := tokenstore.ParseKeyring(tokenstore.GenerateKey())
			if err != nil {
				t.Fatal(err)
			}
			grants, err := tokenstore.NewGrants(redisStore(t, redisClient(t, proxy.options()), ""), ring)
			if err != nil {
				t.Fatal(err)
			}
			direct, err := tokenstore.NewGrants(redisStore(t, redisClient(t, server), ""), ring)
			if err != nil {
				t.Fatal(err)
			}
			grant := &tokenstore.Grant{UserID: "1122", Email: "old@example.com", RefreshToken: "1//refresh"}
			if err := grants.Put(t.Context(), grant); err != nil {
				t.Fatal(err)
			}

			proxy.harm(test.fault, func() {
				if !test.rival {
					return
				}
				stored, err := direct.Get(t.Context(), "1122")
				if err != nil {
					t.Error(err)
					return
				}
				stored.Email = "rival@example.com"
				if err := direct.Put(t.Context(), stored); err != nil {
					t.Error(err)
				}
			})
			grant.Email = "new@example.com"
			err = grants.Put(t.Context(), grant)
			if (err != nil) != test.failed || errors.Is(err, tokenstore.ErrConflict) != test.conflict {
				t.Errorf("Put: %v, want failed %v, conflict %v", err, test.failed, test.conflict)
			}
			stored, err := direct.Get(t.Context(), "1122")
			if err != nil || stored.Email != test.want {
				t.Errorf("stored is %+v, error %v; want %s", stored, err, test.want)
			}
			if err == nil && !test.conflict { // Put knows the version that is stored now
				grant.Email = "next@example.com"
				if err := grants.Put(t.Context(), grant); err != nil {
					t.Errorf("the next Put: %v", err)
				}
			}
		})
	}
}

// go-redis would send the create again, and bring back what was deleted in between.
func TestRedisStoreSendsASwapOnceThoughTheClientRetries(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]fault{"when the reply is lost": loseReply, "when the request is lost": loseRequest} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := servers.StartRedis(t).Options()
			proxy := newRedisProxy(t, server, "evalsha")
			options := proxy.options()
			options.MaxRetries = 5
			store, direct := redisStore(t, redisClient(t, options), ""), redisStore(t, redisClient(t, server), "")
			if err := store.Swap(t.Context(), "another", "", tokenstore.Record{Version: "1"}); err != nil {
				t.Fatal(err)
			}
			before := proxy.seen.Load()

			proxy.harm(lost, func() {
				if err := direct.Swap(t.Context(), "user", "created", tokenstore.Record{}); err != nil {
					t.Errorf("delete before the client notices: %v", err)
				}
			})
			err := store.Swap(t.Context(), "user", "", tokenstore.Record{Version: "created"})
			if err == nil || errors.Is(err, tokenstore.ErrConflict) {
				t.Errorf("Swap: %v, want the client's error", err)
			}
			if n := proxy.seen.Load() - before; n != 1 {
				t.Errorf("Swap was sent %d times, want once", n)
			}
			if _, err := direct.Get(t.Context(), "user"); !errors.Is(err, tokenstore.ErrNotFound) {
				t.Errorf("Get of what was deleted: %v, want ErrNotFound", err)
			}
		})
	}
}

func TestRedisStoreGetsAgainWhenAReplyIsLost(t *testing.T) {
	t.Parallel()
	server := servers.StartRedis(t).Options()
	proxy := newRedisProxy(t, server, "get")
	store := redisStore(t, redisClient(t, proxy.options()), "")
	if err := store.Swap(t.Context(), "user", "", tokenstore.Record{Version: "1", Data: []byte("data")}); err != nil {
		t.Fatal(err)
	}
	proxy.harm(loseReply, nil)
	if r := mustGet(t.Context(), t, store, "user"); r.Version != "1" || string(r.Data) != "data" || proxy.seen.Load() != 2 {
		t.Errorf("Get: version %q, data %q after %d requests", r.Version, r.Data, proxy.seen.Load())
	}
}

func TestRedisStoreKeepsToADeadlineWhenTheServerHangs(t *testing.T) {
	t.Parallel()
	server := servers.StartRedis(t).Options()
	for command, call := range map[string]func(context.Context, tokenstore.TokenStore) error{
		"get": func(ctx context.Context, s tokenstore.TokenStore) error {
			_, err := s.Get(ctx, "user")
			return err
		},
		"evalsha": func(ctx context.Context, s tokenstore.TokenStore) error {
			return s.Swap(ctx, "user", "", tokenstore.Record{Version: rand.Text()})
		},
		"scan": func(ctx context.Context, s tokenstore.TokenStore) error {
			for _, err := range tokenstore.List(ctx, s, "") {
				return err
			}
			return nil
		},
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			proxy := newRedisProxy(t, server, command)
			options := proxy.options()
			options.ReadTimeout = time.Hour
			store := redisStore(t, redisClient(t, options), "")
			proxy.harm(stall, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if err := call(ctx, store); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, want context.DeadlineExceeded", err)
			}
		})
	}
}

func TestRedisStoreStopsWaitingForAConnectionWhenCancelled(t *testing.T) {
	t.Parallel()
	proxy := newRedisProxy(t, servers.StartRedis(t).Options(), "get")
	options := proxy.options()
	options.PoolSize, options.PoolTimeout, options.ReadTimeout = 1, time.Hour, time.Hour
	client := redisClient(t, options)
	store := redisStore(t, client, "")
	proxy.harm(stall, nil)

	var holder sync.WaitGroup
	holder.Go(func() { _, _ = store.Get(t.Context(), "user") })
	<-proxy.harmed // the only connection is busy now
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	err := store.Swap(ctx, "user", "", tokenstore.Record{Version: "1"})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Swap: %v, want context.Canceled", err)
	}
	client.Close()
	holder.Wait()
}

func TestRedisStoreKeepsAcknowledgedWritesWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	const writers, before = 8, 400
	server := servers.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	store := redisStore(t, redisClient(t, server.Options()), "")

	var acknowledged [writers]map[string]tokenstore.Record
	var total atomic.Int64
	enough := make(chan struct{})
	var wg sync.WaitGroup
	for w := range writers {
		acknowledged[w] = make(map[string]tokenstore.Record)
		wg.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("user/%d/%d", w, i%50)
				next := tokenstore.Record{Version: rand.Text(), Data: []byte(rand.Text())}
				if i%7 == 6 {
					next = tokenstore.Record{}
				}
				old := acknowledged[w][key].Version
				if err := store.Swap(t.Context(), key, old, next); err != nil {
					delete(acknowledged[w], key) // nobody knows
					return
				}
				acknowledged[w][key] = next
				if total.Add(1) == before {
					close(enough)
				}
			}
		})
	}
	<-enough
	server.Kill(t)
	wg.Wait()
	server.Start(t)

	kept := 0
	for w := range writers {
		for key, want := range acknowledged[w] {
			got, err := store.Get(t.Context(), key)
			if want.Version == "" && errors.Is(err, tokenstore.ErrNotFound) {
				continue
			}
			if err != nil || got.Version != want.Version || string(got.Data) != string(want.Data) {
				t.Errorf("%s: version %q, error %v; want %q", key, got.Version, err, want.Version)
			}
			kept++
		}
	}
	if kept < writers {
		t.Errorf("%d records survived, too few to prove anything", kept)
	}
}

func TestRedisStoreReportsAServerThatIsGone(t *testing.T) {
	t.Parallel()
	server := servers.StartRedis(t)
	options := server.Options()
	options.DialerRetries, options.MaxRetries = 1, -1
	store := redisStore(t, redisClient(t, options), "")
	server.Kill(t)
	_, err := store.Get(t.Context(), "user")
	if err == nil || errors.Is(err, tokenstore.ErrNotFound) {
		t.Errorf("Get: %v, want the client's error", err)
	}
	if err := store.Swap(t.Context(), "user", "", tokenstore.Record{Version: "1"}); err == nil || errors.Is(err, tokenstore.ErrConflict) {
		t.Errorf("Swap: %v, want the client's error", err)
	}
	n := 0
	for _, err := range store.Keys(t.Context(), "") {
		if n++; err == nil || n > 1 {
			t.Errorf("Keys: error %v, number %d; want one, the client's", err, n)
		}
	}
}

func TestRedisStoreRefusesToWriteWhenMemoryIsFull(t *testing.T) {
	t.Parallel()
	client := redisClient(t, servers.StartRedis(t).Options())
	store := redisStore(t, client, "")
	kept := tokenstore.Record{Version: "1", Data: []byte("data")}
	if err := store.Swap(t.Context(), "user", "", kept); err != nil {
		t.Fatal(err)
	}
	if err := client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	err := store.Swap(t.Context(), "user", "1", tokenstore.Record{Version: "2"})
	if refused, ok := errors.AsType[redis.Error](err); !ok || errors.Is(err, tokenstore.ErrConflict) {
		t.Errorf("Swap: %v (%v), want Redis's own error", err, refused)
	}
	if r := mustGet(t.Context(), t, store, "user"); r.Version != kept.Version || string(r.Data) != string(kept.Data) {
		t.Errorf("stored is %q %q, want what was there", r.Version, r.Data)
	}
	if err := store.Swap(t.Context(), "user", "1", tokenstore.Record{}); err != nil {
		t.Errorf("a deletion, which makes room: %v", err)
	}
}
