package quota_test

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// A ref is a message as the API lists it.
type ref struct{ id, thread string }

func threadOf(r ref) string { return r.thread }

// listed yields refs as a listing would, one letter for each: its thread. A dot has none; an exclamation mark
// is an error.
func listed(threads string) iter.Seq2[ref, error] {
	return func(yield func(ref, error) bool) {
		for i, thread := range strings.Split(threads, "") {
			switch thread {
			case "!":
				yield(ref{}, errListing)
				return
			case ".":
				thread = ""
			}
			if !yield(ref{fmt.Sprint(i), thread}, nil) {
				return
			}
		}
	}
}

var errListing = errors.New("listing broke off")

func TestPlanTakesThreadsThatAreNotDearer(t *testing.T) {
	t.Parallel()
	prices := func(message, thread int) quota.Prices {
		return quota.Prices{"gmail.users.messages.get": message, "gmail.users.threads.get": thread}
	}
	for name, tc := range map[string]struct {
		planner quota.Planner
		threads string // of the messages, in order
		want    string // a group's thread and positions
	}{
		"of nothing nothing":                {threads: "", want: ""},
		"single messages one by one":        {threads: "abc", want: "0 1 2"},
		"two of a thread together":          {threads: "aa", want: "a0,1"},
		"the rest in its order":             {threads: "abacab", want: "a0,2,4 b1,5 3"},
		"messages without a thread":         {threads: ".a..a", want: "0 a1,4 2 3"},
		"as before 2026":                    {planner: quota.Planner{Prices: quota.Before2026()}, threads: "aab", want: "a0,1 2"},
		"three where two are cheaper":       {planner: quota.Planner{Prices: prices(20, 50)}, threads: "aabbb", want: "0 1 b2,3,4"},
		"none where threads are dear":       {planner: quota.Planner{Prices: prices(1, 100)}, threads: "aaaa", want: "0 1 2 3"},
		"no single message where it's free": {planner: quota.Planner{Prices: prices(5, 5)}, threads: "aab", want: "a0,1 2"},
		"none where messages are free":      {planner: quota.Planner{Prices: prices(0, 1)}, threads: "aaa", want: "0 1 2"},
		"three, if asked to":                {planner: quota.Planner{AtLeast: 3}, threads: "aabbb", want: "0 1 b2,3,4"},
		"not beyond the window":             {planner: quota.Planner{Window: 3}, threads: "abcaa", want: "0 1 2 a3,4"},
		"as far as the window goes":         {planner: quota.Planner{Window: 4}, threads: "abcaa", want: "a0,3 1 2 4"},
		"from each message on":              {planner: quota.Planner{Window: 3}, threads: "xabaybb", want: "0 a1,3 2 4 b5,6"},
		"with a window of one":              {planner: quota.Planner{Window: 1}, threads: "aa", want: "0 1"},
		"a thread twice":                    {planner: quota.Planner{Window: 2}, threads: "aabcaa", want: "a0,1 2 3 a4,5"},
		"all that comes before an error":    {threads: "aba!cc", want: "a0,2 1 !"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for g, err := range quota.Plan(tc.planner, listed(tc.threads), threadOf) {
				if err != nil {
					if !errors.Is(err, errListing) || g.Refs != nil {
						t.Errorf("error %v with group %v", err, g)
					}
					got = append(got, "!")
					continue
				}
				got = append(got, describe(t, g))
			}
			if all := strings.Join(got, " "); all != tc.want {
				t.Errorf("%s, want %s", all, tc.want)
			}
		})
	}
}

func describe(t *testing.T, g quota.Group[ref]) string {
	t.Helper()
	if len(g.Refs) != len(g.Positions) || len(g.Refs) == 0 || g.Thread == "" && len(g.Refs) != 1 {
		t.Errorf("a group of %d refs at %d positions, thread %q", len(g.Refs), len(g.Positions), g.Thread)
	}
	var positions []string
	for i, r := range g.Refs {
		if r.id != fmt.Sprint(g.Positions[i]) || g.Thread != "" && r.thread != g.Thread {
			t.Errorf("ref %v at position %d of thread %q", r, g.Positions[i], g.Thread)
		}
		positions = append(positions, r.id)
	}
	return g.Thread + strings.Join(positions, ",")
}

func TestPlanReadsNoFurtherThanItsWindow(t *testing.T) {
	t.Parallel()
	read := 0
	counting := func(yield func(ref, error) bool) {
		for r, err := range listed(strings.Repeat("abc", 100)) {
			read++
			if !yield(r, err) {
				return
			}
		}
	}
	groups := 0
	for _, err := range quota.Plan(quota.Planner{Window: 10}, counting, threadOf) {
		if err != nil {
			t.Fatal(err)
		}
		if groups++; read > 9+groups*12 {
			t.Fatalf("read %d refs for %d groups", read, groups)
		}
		if groups == 1 && read != 10 {
			t.Errorf("read %d refs before the first group, want 10", read)
		}
		if groups == 5 {
			break
		}
	}
	if read >= 100 {
		t.Errorf("read %d refs for five groups", read)
	}
	for g, err := range quota.Plan(quota.Planner{}, listed("abcd"), threadOf) {
		if err != nil || g.Positions[0] != 0 {
			t.Errorf("the first of the last refs: %v, %v", g, err)
		}
		break
	}
}

// A mailbox of threads of geometric length, mean 3, whose messages come in between one another, as a listing
// has them.
func TestAPlanSavesTwoFifthsOfTheUnits(t *testing.T) {
	t.Parallel()
	for name, prices := range map[string]quota.Prices{"since 2026": quota.Since2026(), "before 2026": quota.Before2026()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refs := mailbox(20_000)
			seen := make([]bool, len(refs))
			units, singly, last := 0, 0, -1
			for g, err := range quota.Plan(quota.Planner{Prices: prices}, sequence(refs), threadOf) {
				if err != nil {
					t.Fatal(err)
				}
				if g.Positions[0] <= last {
					t.Fatalf("a group that begins at %d comes after one that begins at %d", g.Positions[0], last)
				}
				last = g.Positions[0]
				price := prices["gmail.users.messages.get"]
				if g.Thread != "" {
					price = prices["gmail.users.threads.get"]
				}
				if g.Units != price || !slices.IsSorted(g.Positions) || g.Positions[len(g.Positions)-1]-last >= 500 {
					t.Fatalf("a group of %d units with positions %v", g.Units, g.Positions)
				}
				units += g.Units
				for i, p := range g.Positions {
					if seen[p] || g.Refs[i] != refs[p] {
						t.Fatalf("position %d is planned twice, or is %v", p, g.Refs[i])
					}
					seen[p] = true
					singly += prices["gmail.users.messages.get"]
				}
			}
			if slices.Contains(seen, false) {
				t.Error("a message was left out")
			}
			if ratio := float64(units) / float64(singly); ratio > 0.6 {
				t.Errorf("%.3f of the units of single messages, more than 0.6", ratio)
			} else {
				t.Logf("%.3f of the units of single messages", ratio)
			}
		})
	}
}

// mailbox returns n messages, newest first. Each next message answers one of the latest threads or begins a new
// one, so that threads have geometric lengths of mean 3 and lie across one another.
func mailbox(n int) []ref {
	chance := rand.New(rand.NewPCG(3, 4))
	var open []string
	refs := make([]ref, n)
	for i := range refs {
		if len(open) < 20 {
			open = append(open, fmt.Sprint("thread ", i))
		}
		k := chance.IntN(len(open))
		refs[i] = ref{fmt.Sprint(i), open[k]}
		if chance.IntN(3) == 0 { // it was the thread's last
			open = slices.Delete(open, k, k+1)
		}
	}
	return refs
}

func sequence(refs []ref) iter.Seq2[ref, error] {
	return func(yield func(ref, error) bool) {
		for _, r := range refs {
			if !yield(r, nil) {
				return
			}
		}
	}
}
