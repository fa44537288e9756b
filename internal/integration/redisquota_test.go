package integration_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
	"github.com/mailgrant/mailgrant/gmailsvc/quota/redisquota"
	"github.com/mailgrant/mailgrant/internal/integration/servers"
)

// quotaWindow is a minute that does not take long, and longer than any hesitation of the machine.
const quotaWindow = 5 * time.Second

// A booth reserves units as one process of a fleet does, of a limit of 100 for each user and 250 for the project.
type booth struct{ pool *redisquota.Pool }

func newBooth(t *testing.T, client redis.UniversalClient, cfg redisquota.Config) booth {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = 2 * time.Second // grants are counted for that much longer
	}
	pool, err := redisquota.New(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return booth{pool}
}

func (b booth) ask(t *testing.T, r quota.Reservation) quota.Grant {
	t.Helper()
	r.Want = max(r.Want, r.Need)
	r.PerUser, r.PerProject, r.Window = 100, 250, quotaWindow
	g, err := b.pool.Reserve(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if (g.Units > 0) == (g.Retry > 0) || g.Units > 0 && g.Units < r.Need {
		t.Fatalf("%+v for %+v", g, r)
	}
	return g
}

// person asks for units for somebody who waits.
func (b booth) person(t *testing.T, user string, need int) quota.Grant {
	t.Helper()
	return b.ask(t, quota.Reservation{User: user, Need: need, Class: quota.Interactive})
}

// persist asks again and again, as often as it is told to, until it has units that may be spent, and returns
// how long that took.
func (b booth) persist(t *testing.T, r quota.Reservation) (quota.Grant, time.Duration) {
	t.Helper()
	begun := time.Now()
	for {
		g := b.ask(t, r)
		if g.Units > 0 {
			pause(t, g.After)
			return g, time.Since(begun)
		}
		if time.Since(begun) > 20*quotaWindow {
			t.Fatalf("%+v was not granted in %v", r, time.Since(begun))
		}
		r.Reports, r.Unasked = nil, 0
		pause(t, g.Retry)
	}
}

// pause waits for as long as it is told, which is what is tested.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

func TestRedisQuotaGrantsNoMoreThanThereIs(t *testing.T) {
	t.Parallel()
	client := redisClient(t, servers.Redis(t))
	b := newBooth(t, client, redisquota.Config{Project: t.Name()})
	for _, tc := range []struct {
		user          string
		need, granted int
	}{
		{"ada", 60, 60},
		{"ada", 60, 0},
		{"ada", 40, 40},
		{"ada", 1, 0},
		{"bob", 100, 100},
		{"cem", 51, 0}, // the project has 50 left
		{"cem", 50, 50},
		{"dan", 1, 0},
	} {
		if g := b.person(t, tc.user, tc.need); g.Units != tc.granted {
			t.Errorf("%d units for %s: granted %d, want %d", tc.need, tc.user, g.Units, tc.granted)
		}
	}
	other := newBooth(t, client, redisquota.Config{Project: t.Name() + " two"})
	if g := other.person(t, "ada", 100); g.Units != 100 {
		t.Errorf("of another project: %+v", g)
	}
	// What costs more than a limit that was cut is granted when nothing else is out.
	fresh := newBooth(t, client, redisquota.Config{Project: t.Name() + " three"})
	if g := fresh.person(t, "ada", 120); g.Units != 120 {
		t.Errorf("of more than the limit: %+v", g)
	}
}

func TestRedisQuotaKnowsWhatReportsSay(t *testing.T) {
	t.Parallel()
	b := newBooth(t, redisClient(t, servers.Redis(t)), redisquota.Config{Project: t.Name()})

	g := b.person(t, "ada", 100)
	again := quota.Reservation{User: "ada", Need: 100, Class: quota.Interactive}
	again.Reports = []quota.Report{{ID: g.ID, Unused: 100}}
	if g = b.ask(t, again); g.Units != 100 {
		t.Errorf("after all was given back: %+v", g)
	}

	again.Need, again.Reports = 60, []quota.Report{{ID: g.ID, Spent: 30, Unused: 60}}
	part := b.ask(t, again)
	if part.Units != 60 {
		t.Errorf("after 60 of 100 were given back: %+v", part)
	}
	// 30 were spent, 10 are under way, 60 are out.
	again.Need, again.Reports = 1, nil
	if full := b.ask(t, again); full.Units != 0 {
		t.Errorf("when everything is out: %+v", full)
	}
	again.Need, again.Reports = 100, []quota.Report{{ID: g.ID, Spent: 10}, {ID: part.ID, Spent: 60}}
	last, took := b.persist(t, again)
	if took < quotaWindow || took > 3*quotaWindow {
		t.Errorf("what was reported as spent came back after %v, want %v", took, quotaWindow)
	}
	// Of what has come back long ago nothing can be given back once more.
	again.Need, again.Reports = 1, []quota.Report{{ID: g.ID, Unused: 100}}
	if late := b.ask(t, again); late.Units != 0 {
		t.Errorf("a late report has given back others' units: %+v, %+v", last, late)
	}
}

func TestRedisQuotaFreesTheBlockOfAProcessThatDied(t *testing.T) {
	t.Parallel()
	b := newBooth(t, redisClient(t, servers.Redis(t)), redisquota.Config{Project: t.Name()})
	dead := b.person(t, "ada", 100)
	_, took := b.persist(t, quota.Reservation{User: "ada", Need: 100, Class: quota.Interactive})
	// It could have spent them as long as the grant lasted, and a quarter of the minute is for the way to Google.
	if least := dead.For + quotaWindow*5/4; took < least || took > least+2*quotaWindow {
		t.Errorf("free after %v, want %v", took, least)
	}
}

func TestRedisQuotaKeepsQuietForEverybody(t *testing.T) {
	t.Parallel()
	client := redisClient(t, servers.Redis(t))
	one := newBooth(t, client, redisquota.Config{Project: t.Name()})
	two := newBooth(t, client, redisquota.Config{Project: t.Name()})
	const quiet = quotaWindow
	if g := one.ask(t, quota.Reservation{User: "ada", Need: 1, QuietUser: quiet}); g.Units != 0 {
		t.Errorf("who tells of it is granted %+v", g)
	}
	if g := two.person(t, "bob", 1); g.Units != 1 {
		t.Errorf("another user is granted %+v", g)
	}
	if _, took := two.persist(t, quota.Reservation{User: "ada", Need: 1}); took < quiet*9/10 || took > 3*quiet {
		t.Errorf("the other process was quiet for %v, want %v", took, quiet)
	}
	one.ask(t, quota.Reservation{User: "ada", Need: 1, QuietProject: quiet})
	if _, took := two.persist(t, quota.Reservation{User: "cem", Need: 1}); took < quiet*9/10 || took > 3*quiet {
		t.Errorf("when the project was rejected, another user was quiet for %v, want %v", took, quiet)
	}
}

func TestRedisQuotaBooksWhatWasSpentWithoutIt(t *testing.T) {
	t.Parallel()
	b := newBooth(t, redisClient(t, servers.Redis(t)), redisquota.Config{Project: t.Name()})
	r := quota.Reservation{User: "ada", Need: 50, Class: quota.Interactive, Unasked: 60}
	if g := b.ask(t, r); g.Units != 0 {
		t.Errorf("with 60 of 100 spent already 50 more are granted: %+v", g)
	}
	if g := b.person(t, "ada", 40); g.Units != 40 {
		t.Errorf("the other 40 are not: %+v", g)
	}
}

func TestRedisQuotaSpreadsBackgroundWork(t *testing.T) {
	t.Parallel()
	b := newBooth(t, redisClient(t, servers.Redis(t)), redisquota.Config{Project: t.Name()})
	begun, units, promised := time.Now(), 0, 0
	for units < 50 {
		g, _ := b.persist(t, quota.Reservation{User: "ada", Need: 1, Want: 100})
		if g.Units > 2 {
			t.Fatalf("a block of %d units, more than a sixtieth of the minute has", g.Units)
		}
		if g.After > quotaWindow/120 {
			t.Fatalf("units are promised %v ahead, more than half a sixtieth of the minute", g.After)
		}
		if g.After > 0 {
			promised++
		}
		units += g.Units
	}
	if promised == 0 {
		t.Error("no units were promised for a moment later")
	}
	if took := time.Since(begun); took < quotaWindow*45/100 || took > 3*quotaWindow {
		t.Errorf("half of the minute's units went in %v, want half of %v", took, quotaWindow)
	}
}

func TestRedisQuotaServesPeopleFirst(t *testing.T) {
	t.Parallel()
	b := newBooth(t, redisClient(t, servers.Redis(t)), redisquota.Config{Project: t.Name()})
	background := quota.Reservation{User: "ada", Need: 10}
	people := quota.Reservation{User: "ada", Need: 10, Class: quota.Interactive}

	half := b.person(t, "ada", 50)
	pause(t, quotaWindow*6/10) // until the even pace lets background work go again
	people.Unasked = 45
	if g := b.ask(t, people); g.Units != 0 {
		t.Fatalf("of 5 units that are left %+v was granted", g)
	}
	// From now on background work does not get any while a person waits, even if there are some.
	background.Reports = []quota.Report{{ID: half.ID, Unused: 50}}
	if g := b.ask(t, background); g.Units != 0 {
		t.Errorf("background work is granted %+v while a person waits", g)
	}
	people.Unasked = 0
	if g := b.ask(t, people); g.Units != 10 {
		t.Errorf("the person who waited is granted %+v", g)
	}
	background.Reports = nil
	if _, took := b.persist(t, background); took > quotaWindow {
		t.Errorf("after the person background work has waited for %v", took)
	}
}

func TestRedisQuotaLeavesBackgroundWorkATenth(t *testing.T) {
	t.Parallel()
	b := newBooth(t, redisClient(t, servers.Redis(t)), redisquota.Config{Project: t.Name()})
	all := b.person(t, "ada", 100)
	if g := b.ask(t, quota.Reservation{User: "ada", Need: 5}); g.Units != 0 {
		t.Fatalf("of nothing %+v was granted", g)
	}
	r := quota.Reservation{User: "ada", Need: 15, Class: quota.Interactive, Reports: []quota.Report{{ID: all.ID, Unused: 20}}}
	if g := b.ask(t, r); g.Units != 0 {
		t.Errorf("people are granted %+v of what is left to background work that waits", g)
	}
	if g := b.person(t, "ada", 10); g.Units != 10 {
		t.Errorf("people are granted %+v of their own part", g)
	}
	if g := b.person(t, "ada", 1); g.Units != 0 {
		t.Errorf("people are granted %+v beyond their own part", g)
	}
	if g := b.ask(t, quota.Reservation{User: "ada", Need: 5}); g.Units != 5 {
		t.Errorf("background work is granted %+v of its part, for which it does not keep to the pace", g)
	}
}

func TestRedisQuotaForgetsWhatPeopleHadAMinuteAgo(t *testing.T) {
	t.Parallel()
	b := newBooth(t, redisClient(t, servers.Redis(t)), redisquota.Config{Project: t.Name()})
	all := b.person(t, "ada", 100)
	_, _ = b.persist(t, quota.Reservation{
		User: "ada", Need: 50, Class: quota.Interactive, Reports: []quota.Report{{ID: all.ID, Spent: 100}},
	})
	if g := b.ask(t, quota.Reservation{User: "ada", Need: 60}); g.Units != 0 {
		t.Fatalf("of the 50 units that are left %+v was granted", g)
	}
	if g := b.person(t, "ada", 10); g.Units != 10 {
		t.Errorf("people, who have had 50 of their 90, are granted %+v", g)
	}
}

func TestRedisQuotaLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	client := redisClient(t, servers.StartRedis(t).Options())
	b := newBooth(t, client, redisquota.Config{})
	b.person(t, "ada", 1)
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != 2 {
		t.Errorf("Redis has %q, error %v; want two keys", keys, err)
	}
	for _, key := range keys {
		if !strings.HasPrefix(key, "mailgrant:quota:{default}:") {
			t.Errorf("key %q does not begin with prefix and project", key)
		}
		if left := client.PTTL(t.Context(), key).Val(); left <= 0 || left > 3*quotaWindow {
			t.Errorf("key %q expires in %v", key, left)
		}
	}
	b.ask(t, quota.Reservation{User: "ada", Need: 1, QuietUser: time.Hour})
	if left := client.PTTL(t.Context(), "mailgrant:quota:{default}:user:ada").Val(); left < time.Hour {
		t.Errorf("what Google wants is forgotten in %v", left)
	}
}

func TestRedisQuotaWorksInACluster(t *testing.T) {
	t.Parallel()
	client := redisCluster(t)
	b := newBooth(t, client, redisquota.Config{Prefix: "quota:", Project: "p"})
	for i := range 20 {
		if g := b.person(t, fmt.Sprint("user {", i, "}"), 10); g.Units != 10 {
			t.Errorf("user %d: %+v", i, g)
		}
	}
	if g := b.person(t, "somebody else", 51); g.Units != 0 {
		t.Errorf("of 50 units that the project has left %+v was granted", g)
	}
}

// The access control that the package's documentation names is enough, and no part of it is superfluous.
func TestRedisQuotaNeedsNoOtherPermissionsThanDocumented(t *testing.T) {
	t.Parallel()
	options := servers.StartRedis(t).Options()
	admin := redisClient(t, options)
	permissions := strings.Fields("+evalsha +eval +time +hmget +hget +hgetall +hset +hincrby +hdel +pexpire")
	everything := func(name string, permissions []string) error {
		rule := []any{"acl", "setuser", name, "on", ">password", "~" + name + ":*"}
		for _, p := range permissions {
			rule = append(rule, p)
		}
		if err := admin.Do(t.Context(), rule...).Err(); err != nil {
			t.Fatal(err)
		}
		restricted := *options
		restricted.Username, restricted.Password = name, "password"
		pool, err := redisquota.New(redisClient(t, &restricted), redisquota.Config{Prefix: name + ":"})
		if err != nil {
			t.Fatal(err)
		}
		if err := admin.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		r := quota.Reservation{User: "ada", Need: 100, Want: 100, PerUser: 100, PerProject: 100, Window: 100 * time.Millisecond}
		for range 3 { // to be granted, and denied with a report, and to forget
			g, err := pool.Reserve(context.WithoutCancel(t.Context()), r)
			if err != nil {
				return err
			}
			r.Reports = []quota.Report{{ID: g.ID, Spent: 100}}
			if g.Units == 0 {
				pause(t, 200*time.Millisecond)
			}
		}
		return nil
	}
	if err := everything("enough", permissions); err != nil {
		t.Errorf("with %v: %v", permissions, err)
	}
	for i, p := range permissions {
		rest := append(append([]string{}, permissions[:i]...), permissions[i+1:]...)
		if everything(fmt.Sprint("without", i), rest) == nil {
			t.Errorf("without %v: no error, so it is superfluous", p)
		}
	}
}
