package sqlstore_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/tokenstore"
	"github.com/mailgrant/mailgrant/tokenstore/sqlstore"
)

// A crowd is Swaps of SQLite that meet: one is under way, and the others wait until it is done.
type crowd struct {
	*fakeDriver
	store *sqlstore.Store

	proceed chan struct{} // lets the Swap of "leader" go on
	wg      sync.WaitGroup
	mu      sync.Mutex
	results map[string]error
}

// newCrowd returns a crowd whose statements are answered by exec.
func newCrowd(t *testing.T, exec func(ctx context.Context, key string) (int64, error)) *crowd {
	t.Helper()
	c := &crowd{proceed: make(chan struct{}), results: make(map[string]error)}
	c.fakeDriver = &fakeDriver{exec: func(ctx context.Context, _ string, args []any) (int64, error) {
		key := args[0].(string)
		if key == "leader" {
			select {
			case <-c.proceed:
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		return exec(ctx, key)
	}}
	c.store = c.fakeDriver.store(t, sqlstore.SQLite)
	return c
}

// swap creates a record under each of the keys, and returns when those Swaps wait for something.
func (c *crowd) swap(ctx context.Context, keys ...string) {
	for _, key := range keys {
		c.wg.Go(func() {
			err := c.store.Swap(ctx, key, "", tokenstore.Record{Version: "1", Data: []byte("data")})
			c.mu.Lock()
			defer c.mu.Unlock()
			c.results[key] = err
		})
		synctest.Wait()
	}
}

// finish lets the leader go on and waits for everybody.
func (c *crowd) finish() {
	close(c.proceed)
	c.wg.Wait()
}

func succeed(context.Context, string) (int64, error) { return 1, nil }

// want compares the log of the database.
func (c *crowd) want(t *testing.T, log ...string) {
	t.Helper()
	if got := c.noted(); !slices.Equal(got, log) {
		t.Errorf("the database has seen %q,\nwant %q", got, log)
	}
}

func TestSwapsThatWaitForAnotherShareOneTransaction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, func(_ context.Context, key string) (int64, error) {
			if key == "late" {
				return 0, nil
			}
			return 1, nil
		})
		c.swap(t.Context(), "leader", "a", "late", "b")
		c.finish()
		c.want(t, "exec leader", "begin", "exec a", "exec late", "exec b", "commit")
		for key, err := range c.results {
			if key == "late" && !errors.Is(err, tokenstore.ErrConflict) || key != "late" && err != nil {
				t.Errorf("%s: %v", key, err)
			}
		}
	})
}

func TestSwapThatIsRefusedDoesNotFailThoseItSharedATransactionWith(t *testing.T) {
	t.Parallel()
	refused := errors.New("CHECK constraint failed")
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, func(_ context.Context, key string) (int64, error) {
			if key == "bad" {
				return 0, refused
			}
			return 1, nil
		})
		c.swap(t.Context(), "leader", "a", "bad", "b")
		c.finish()
		c.want(t, "exec leader", "begin", "exec a", "exec bad", "rollback",
			"begin", "exec a", "commit", "begin", "exec bad", "rollback", "begin", "exec b", "commit")
		for key, err := range c.results {
			if key == "bad" && !errors.Is(err, refused) || key != "bad" && err != nil {
				t.Errorf("%s: %v", key, err)
			}
		}
	})
}

func TestCommitThatFailsLeavesEverybodysOutcomeOpen(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk I/O error")
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, succeed)
		c.commit = func() error { return broken }
		c.swap(t.Context(), "leader", "a", "b")
		c.finish()
		c.want(t, "exec leader", "begin", "exec a", "exec b", "commit") // and not once more
		if c.results["leader"] != nil || !errors.Is(c.results["a"], broken) || !errors.Is(c.results["b"], broken) {
			t.Errorf("%v, want the driver's error for a and b", c.results)
		}
	})
}

func TestTransactionOnABusyFileIsTriedAgainAsAWhole(t *testing.T) {
	t.Parallel()
	busy := errors.New("database is locked (5) (SQLITE_BUSY)")
	synctest.Test(t, func(t *testing.T) {
		tries, commits := 0, 0
		c := newCrowd(t, func(_ context.Context, key string) (int64, error) {
			if tries++; key == "a" && tries == 2 {
				return 0, busy
			}
			return 1, nil
		})
		c.commit = func() error {
			if commits++; commits == 1 {
				return busy
			}
			return nil
		}
		c.swap(t.Context(), "leader", "a", "b")
		c.finish()
		c.want(t, "exec leader", "begin", "exec a", "rollback",
			"begin", "exec a", "exec b", "commit", "begin", "exec a", "exec b", "commit")
		for key, err := range c.results {
			if err != nil {
				t.Errorf("%s: %v", key, err)
			}
		}
	})
}

func TestFileThatStaysBusyFailsEverybodyInOneGo(t *testing.T) {
	t.Parallel()
	busy := errors.New("database is locked (5) (SQLITE_BUSY)")
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, func(_ context.Context, key string) (int64, error) {
			if key == "leader" {
				return 1, nil
			}
			return 0, busy
		})
		keys := strings.Split("abcdefghijklmnopqrstuvwxyz", "")
		c.swap(t.Context(), append([]string{"leader"}, keys...)...)
		began := time.Now()
		c.finish()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the %d Swaps took %v to fail", len(keys), took)
		}
		for _, key := range keys {
			if !errors.Is(c.results[key], busy) {
				t.Errorf("%s: %v, want the driver's error", key, c.results[key])
			}
		}
	})
}

func TestSwapWhoseContextEndsWhileItWaitsIsNeverMade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, succeed)
		c.swap(t.Context(), "leader", "a")
		impatient, cancel := context.WithCancel(t.Context())
		c.swap(impatient, "gone")
		c.swap(t.Context(), "b")
		cancel()
		synctest.Wait()
		c.mu.Lock()
		err := c.results["gone"]
		c.mu.Unlock()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the Swap that gave up: %v, want context.Canceled at once", err)
		}
		c.finish()
		c.want(t, "exec leader", "begin", "exec a", "exec b", "commit")
		if c.results["a"] != nil || c.results["b"] != nil {
			t.Errorf("the others: %v", c.results)
		}
	})
}

func TestOthersGoOnWhenTheContextOfTheLeaderEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		c := newCrowd(t, func(ctx context.Context, key string) (int64, error) {
			if key == "second" {
				select {
				case <-hold:
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			}
			return 1, nil
		})
		c.swap(t.Context(), "leader")
		impatient, cancel := context.WithCancel(t.Context())
		c.swap(impatient, "second")
		c.swap(t.Context(), "a", "b")
		close(c.proceed) // second leads with a and b, and is held
		synctest.Wait()
		cancel()
		c.wg.Wait()
		if !errors.Is(c.results["second"], context.Canceled) || c.results["a"] != nil || c.results["b"] != nil {
			t.Errorf("%v, want context.Canceled for second alone", c.results)
		}
		log := c.noted()
		if i := slices.Index(log, "rollback"); i > 0 { // database/sql makes it on the side
			log = slices.Delete(log, i, i+1)
		}
		if want := "exec leader, begin, exec second, begin, exec a, exec b, commit"; strings.Join(log, ", ") != want {
			t.Errorf("the database has seen, rollback aside, %q, want %q", log, want)
		}
	})
}

func TestSwapKeepsNoDataOfACallerThatHasGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, succeed)
		hold := make(chan struct{})
		var stored string
		c.exec = func(_ context.Context, _ string, args []any) (int64, error) {
			if args[0] == "leader" || args[0] == "a" {
				<-hold
			}
			if args[0] == "gone" {
				stored = args[3].(string)
			}
			return 1, nil
		}
		c.swap(t.Context(), "leader", "a")
		impatient, cancel := context.WithCancel(t.Context())
		data := []byte("data")
		var err error
		c.wg.Go(func() {
			err = c.store.Swap(impatient, "gone", "", tokenstore.Record{Version: "1", Data: data})
			clear(data)
		})
		synctest.Wait()
		hold <- struct{}{} // a leads with the one that will be gone
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(hold)
		c.wg.Wait()
		if !errors.Is(err, context.Canceled) || stored != "data" {
			t.Errorf("%v, and %q was stored, want \"data\"", err, stored)
		}
	})
}
