package authflow_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/tokenstore"
)

// The model test lets a few processes that share a store live through random lives of one grant, with time, crashes and faults, and
// holds what they do against what must always be true. Steps, faults and latencies come from a seed. The
// jitter of a Flow's own pauses and the scheduler do not: a seed is replayed many times over. A core does about a thousand interleavings
// a second, and 150 under the race detector.
var (
	interleavings = flag.Int("interleavings", 10_000, "how many interleavings the model test runs")
	replayed      = flag.Uint64("seed", 0, "the one seed that the model test runs, 300 times over; 0: seeds of its own")
)

// A mutant is a store that takes away what the refresh rests on.
type mutant int

const (
	sound     mutant = iota
	blind            // Swap writes whatever is stored
	leaseless        // leases are not kept
)

func TestWhateverHappensNoGrantIsLostOrRefreshedTwice(t *testing.T) {
	t.Parallel()
	const shards = 4
	first, runs := rand.Uint64N(1<<48), (*interleavings+shards-1)/shards
	if testing.Short() {
		runs /= 10
	}
	if *replayed != 0 {
		first, runs = *replayed, 300/shards
	}
	for shard := range uint64(shards) {
		t.Run(fmt.Sprintf("shard %d", shard), func(t *testing.T) {
			t.Parallel()
			for i := range uint64(runs) {
				seed := first
				if *replayed == 0 {
					seed += i*shards + shard
				}
				if broken := interleave(t, seed, sound); len(broken) > 0 {
					t.Fatalf("go test ./authflow -run %s -seed %d\n%s", t.Name()[:strings.IndexByte(t.Name(), '/')], seed, strings.Join(broken, "\n"))
				}
			}
		})
	}
}

func TestTheModelNoticesWhatIsTakenAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mutant mutant
		says   []string
	}{
		"the compare-and-swap": {blind, []string{"came back", "was refreshed again", "is active again", "an older refresh token"}},
		"the lease":            {leaseless, []string{"was refreshed again"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			missing := slices.Clone(c.says)
			for seed := uint64(1); len(missing) > 0; seed++ {
				if seed > 3000 {
					t.Fatalf("in %d interleavings nothing %q", seed, missing)
				}
				broken := strings.Join(interleave(t, seed, c.mutant), "\n")
				missing = slices.DeleteFunc(missing, func(text string) bool { return strings.Contains(broken, text) })
			}
		})
	}
}

// interleave runs the interleaving of a seed and returns what of it must not be.
func interleave(t *testing.T, seed uint64, m mutant) (broken []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(seed, m)
		w.live(t)
		broken = w.broken
	})
	return broken
}

// A world is the provider, the store and the processes of one interleaving.
type world struct {
	seed     uint64
	start    time.Time
	faults   atomic.Int32 // of 100 calls
	slowness atomic.Int32 // of the store, in milliseconds a call, at most
	provider *modelProvider
	store    *ledger

	processes []*process
	everyone  []*process // those that died, too
	wire      sync.WaitGroup

	mu     sync.Mutex
	broken []string
	story  []moment
}

// A moment is put into words only where somebody has to read them.
type moment struct {
	at     time.Duration
	format string
	args   []any
}

func (m moment) String() string { return fmt.Sprintf("%12v ", m.at) + fmt.Sprintf(m.format, m.args...) }

func newWorld(seed uint64, m mutant) *world {
	w := &world{seed: seed, start: time.Now()}
	chance := w.chance("world", 0)
	w.faults.Store([]int32{0, 0, 3, 10}[chance.IntN(4)])
	w.slowness.Store([]int32{5, 20, 500, 3000}[chance.IntN(4)])
	w.provider = newModelProvider(w, chance.IntN(2) == 0)
	w.store = newLedger(w, m)
	for range 2 + chance.IntN(3) {
		w.processes = append(w.processes, w.boot())
	}
	return w
}

// chance returns the random numbers of the n-th event of a kind: whatever the scheduler does, they are the same for a seed.
func (w *world) chance(kind string, n int) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(kind))
	return rand.New(rand.NewPCG(w.seed, h.Sum64()+uint64(n)))
}

func upTo(chance *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(chance.Int64N(int64(d)))
}

// tell notes what happened, for whoever has to understand a failure.
func (w *world) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.story = append(w.story, moment{time.Since(w.start), format, args})
}

// wrong notes that something happened that must not. The first time, the story so far goes with it.
func (w *world) wrong(format string, args ...any) {
	w.tell("BROKEN: "+format, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	since := w.story[len(w.story)-1:]
	if w.broken == nil {
		since = w.story
	}
	for _, m := range since {
		w.broken = append(w.broken, m.String())
	}
}

// live lets 10 to 40 things happen, mends everything, and checks what became of the grant.
func (w *world) live(t *testing.T) {
	t.Helper()
	defer func() {
		for _, p := range w.everyone {
			_ = p.flow.Close()
		}
		w.wire.Wait()
	}()
	chance := w.chance("steps", 0)
	w.processes[0].begin(t, "consent", (*process).consent)
	pass(10 * time.Second)
	all := happenings()
	if w.faults.Load() == 0 {
		all = slices.DeleteFunc(all, func(h happening) bool { return h.faulty })
	}
	for range 3 { // each world has what happens there more often
		all[chance.IntN(len(all))].weight += 15
	}
	for range 10 + chance.IntN(31) {
		draw(all, chance).to(t, w.processes[chance.IntN(len(w.processes))], chance)
		switch n := chance.IntN(20); {
		case n < 7: // at the same time
		case n < 11:
			pass(upTo(chance, 50*time.Millisecond))
		case n < 15:
			pass(upTo(chance, 3*time.Second))
		case n < 17:
			pass(5*time.Second + upTo(chance, 65*time.Second))
		default:
			pass(15*time.Minute + upTo(chance, 55*time.Minute))
		}
		w.processes = slices.DeleteFunc(w.processes, (*process).isDead)
		for len(w.processes) < 2 {
			w.processes = append(w.processes, w.boot())
		}
	}
	w.settle(t)
}

// A happening is one thing that can happen to a process or its world, and how often it does.
type happening struct {
	weight int
	faulty bool // not in worlds without faults
	to     func(t *testing.T, p *process, chance *rand.Rand)
}

func happenings() []happening {
	op := func(name string, do func(*process, context.Context) error) func(*testing.T, *process, *rand.Rand) {
		return func(t *testing.T, p *process, _ *rand.Rand) { t.Helper(); p.begin(t, name, do) }
	}
	return []happening{
		{38, false, op("token", (*process).token)},
		{12, false, op("refresh", (*process).refresh)},
		{10, false, op("consent", (*process).consent)},
		{5, false, op("revoke", (*process).revoke)},
		{3, false, op("mark", (*process).mark)},
		{3, false, op("forget", (*process).forget)},
		{3, false, op("retry revocations", (*process).retryRevocations)},
		{3, false, op("keep alive", (*process).keepAlive)},
		{4, false, func(_ *testing.T, p *process, _ *rand.Rand) { p.w.provider.revokeUser("by the user") }},
		{3, false, func(_ *testing.T, p *process, _ *rand.Rand) { p.w.processes = append(p.w.processes, p.w.boot()) }},
		{5, true, func(_ *testing.T, p *process, _ *rand.Rand) { p.crash() }},
		{7, true, func(_ *testing.T, p *process, chance *rand.Rand) { p.cut(chance.IntN(3), upTo(chance, 10*time.Minute)) }},
		{4, true, func(_ *testing.T, p *process, chance *rand.Rand) { p.w.provider.fail(upTo(chance, 3*time.Minute)) }},
	}
}

// draw picks one of all, by weight.
func draw(all []happening, chance *rand.Rand) happening {
	total := 0
	for _, h := range all {
		total += h.weight
	}
	n := chance.IntN(total)
	for _, h := range all {
		if n -= h.weight; n < 0 {
			return h
		}
	}
	return all[0]
}

// settle mends everything, waits for whatever is under way, and looks at the outcome through a new process.
func (w *world) settle(t *testing.T) {
	t.Helper()
	w.faults.Store(0)
	w.slowness.Store(1)
	w.provider.fail(0)
	for _, p := range w.processes {
		p.cut(0, 0)
	}
	pass(5 * time.Minute)
	judge := w.boot()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
	defer cancel()
	if _, err := judge.flow.RetryRevocations(ctx); err != nil {
		w.wrong("a revocation stays pending: %v", err)
	}
	grant := w.store.grant()
	var family *family
	if grant != nil {
		family = w.provider.familyOf(grant.ID)
	}
	if grant != nil && grant.Status.Reason == tokenstore.ReasonApplication && family.ended == "" {
		w.wrong("grant %s was revoked, and nobody told the provider", grant.ID)
	}
	if grant != nil && !grant.Status.Revoked && family.ended == "" && grant.RefreshToken != family.current && !family.last.lost && !family.last.by.isDead() {
		w.wrong("the refresh token of %s is lost: it was received", family.current)
	}
	pass(modelLifetime)
	start := time.Now()
	creds, err := judge.flow.GetStoredCredentials(ctx, modelUser)
	if err == nil {
		_, err = creds.TokenContext(ctx)
	}
	if took := time.Since(start); took > 75*time.Second {
		w.wrong("a new process waits %v for a token", took)
	}
	_, ended := errors.AsType[*authflow.ReauthorizationRequiredError](err)
	switch {
	case grant == nil:
		if !errors.Is(err, tokenstore.ErrNotFound) {
			w.wrong("nothing is stored, and yet: %v", err)
		}
	case grant.Status.Revoked || family.ended != "":
		if after := w.store.grant(); !ended || !after.Status.Revoked {
			w.wrong("the grant has ended (%s), and yet: %v", family.ended, err)
		}
	case ended && family.ended != "": // at a provider that rotates, a crash may have cost it
	case err != nil:
		w.wrong("the grant lives, and yet: %v", err)
	}
}
